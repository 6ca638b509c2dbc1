package dev.lockstep.example.pipeline.run;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** A process of its own for one part of the pipeline. */
public final class RoleMain {

  private RoleMain() {}

  /** Runs until it is told to stop: role, then the environment as {@code name=value}. */
  public static void main(String[] args) throws InterruptedException {
    Map<String, String> values = new HashMap<>();
    Map<String, String> databases = new HashMap<>();
    for (int i = 1; i < args.length; i++) {
      int equals = args[i].indexOf('=');
      String name = args[i].substring(0, equals);
      String value = args[i].substring(equals + 1);
      if (name.startsWith("database.")) {
        databases.put(name.substring("database.".length()), value);
      } else {
        values.put(name, value);
      }
    }
    Environment environment =
        new Environment(
            values.getOrDefault("bootstrap", ""),
            databases,
            Path.of(values.getOrDefault("input", "")),
            Integer.parseInt(values.getOrDefault("limit", "0")),
            Long.parseLong(values.getOrDefault("seed", "0")),
            Double.parseDouble(values.getOrDefault("failRate", "0")),
            Path.of(values.getOrDefault("directory", "")));
    Service service = Service.start(Role.valueOf(args[0]), environment);
    Runtime.getRuntime().addShutdownHook(new Thread(service::close));
    new CountDownLatch(1).await();
  }

  /** Returns the arguments that {@link #main} reads. */
  static List<String> arguments(Role role, Environment environment) {
    List<String> arguments = new ArrayList<>();
    arguments.add(role.name());
    arguments.add("bootstrap=" + environment.bootstrapServers());
    arguments.add("input=" + environment.input());
    arguments.add("limit=" + environment.limit());
    arguments.add("seed=" + environment.seed());
    arguments.add("failRate=" + environment.failRate());
    arguments.add("directory=" + environment.directory());
    environment.databases().forEach((name, url) -> arguments.add("database." + name + "=" + url));
    return arguments;
  }
}

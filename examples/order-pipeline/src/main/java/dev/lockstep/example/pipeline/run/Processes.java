package dev.lockstep.example.pipeline.run;

import dev.lockstep.testkit.process.ChildJvm;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** The parts of the pipeline, all in this JVM or each in a process of its own. */
final class Processes implements AutoCloseable {

  private static final List<String> JVM =
      List.of("-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1");

  private final Environment environment;
  private final boolean apart;
  private final Map<Role, AutoCloseable> running = new ConcurrentHashMap<>();

  Processes(Environment environment, boolean apart) {
    this.environment = environment;
    this.apart = apart;
  }

  void startAll() {
    for (Role role : Role.values()) {
      start(role);
    }
  }

  void start(Role role) {
    running.put(role, apart ? launch(role) : Service.start(role, environment));
  }

  /** Kills a part with SIGKILL. */
  void kill(Role role) {
    if (running.get(role) instanceof ChildJvm child) {
      child.kill();
    }
  }

  /** Kills every part that has a process; parts of this JVM end with it. */
  void killAll() {
    running.values().stream()
        .filter(ChildJvm.class::isInstance)
        .forEach(part -> ((ChildJvm) part).kill());
    running.clear();
  }

  /** Returns parts whose processes ended by themselves. */
  List<Role> dead() {
    return running.entrySet().stream()
        .filter(e -> e.getValue() instanceof ChildJvm child && !child.isAlive())
        .map(Map.Entry::getKey)
        .toList();
  }

  private ChildJvm launch(Role role) {
    Path log = environment.directory().resolve(role.label() + ".log");
    return ChildJvm.start(
        role.label(), log, JVM, RoleMain.class.getName(), RoleMain.arguments(role, environment));
  }

  @Override
  public void close() throws Exception {
    // deciders last: what the services still say is folded
    for (Role role :
        List.of(
            Role.ORDER,
            Role.INVENTORY,
            Role.PAYMENT,
            Role.SHIPPING,
            Role.ORCHESTRATOR,
            Role.LOCKS)) {
      AutoCloseable part = running.remove(role);
      if (part != null) {
        part.close();
      }
    }
  }
}

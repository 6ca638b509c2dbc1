package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import dev.lockstep.testkit.process.Signals;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.awaitility.Awaitility;

/** A process of {@code examples/node-lock-client}. */
final class NodeClient implements AutoCloseable {

  private static final Path DIRECTORY = Path.of("..", "examples", "node-lock-client");
  private static final Duration SOON = Duration.ofSeconds(30);
  private static final Pattern TOKEN = Pattern.compile("\"token\":(\\d+)");

  private final Process process;
  private final BufferedWriter orders;
  private final List<String> said = new CopyOnWriteArrayList<>();

  private NodeClient(Process process) {
    this.process = process;
    this.orders = process.outputWriter(StandardCharsets.UTF_8);
    Thread reader = new Thread(this::read, "node-client");
    reader.setDaemon(true);
    reader.start();
  }

  /** Brings its libraries; without Node there is nothing to test. */
  static void install() throws Exception {
    try {
      Process npm =
          new ProcessBuilder("npm", "ci", "--no-audit", "--no-fund")
              .directory(DIRECTORY.toFile())
              .redirectErrorStream(true)
              .start();
      String output = new String(npm.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(npm.waitFor(120, TimeUnit.SECONDS)).isTrue();
      assertThat(npm.exitValue()).as(output).isZero();
    } catch (IOException e) {
      System.out.println("NOT RUN: the client in another language, as Node is not installed: " + e);
      abort("Node is not installed");
    }
  }

  static NodeClient start(String brokers, Duration ttl) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder("node", "main.js", brokers, Long.toString(ttl.toMillis()));
    builder.directory(DIRECTORY.toFile());
    builder.redirectError(ProcessBuilder.Redirect.INHERIT);
    NodeClient client = new NodeClient(builder.start());
    try {
      client.await("connected", "");
    } catch (RuntimeException e) {
      // it would hold the pipes of the test run open
      client.close();
      throw e;
    }
    return client;
  }

  void order(String line) {
    try {
      orders.write(line + "\n");
      orders.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits for an event about a key, and takes it; returns its line. */
  String await(String event, String key) {
    return Awaitility.await()
        .atMost(SOON)
        .until(() -> take(event, key), Optional::isPresent)
        .orElseThrow();
  }

  boolean hasSaid(String event, String key) {
    return said.stream().anyMatch(line -> is(line, event, key));
  }

  static long token(String line) {
    Matcher matcher = TOKEN.matcher(line);
    assertThat(matcher.find()).as(line).isTrue();
    return Long.parseLong(matcher.group(1));
  }

  void pause() {
    Signals.send(process.pid(), "STOP");
  }

  void resume() {
    Signals.send(process.pid(), "CONT");
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }

  private Optional<String> take(String event, String key) {
    for (String line : said) {
      if (is(line, event, key)) {
        said.remove(line);
        return Optional.of(line);
      }
    }
    return Optional.empty();
  }

  private static boolean is(String line, String event, String key) {
    return line.contains("\"event\":\"" + event + "\"")
        && (key.isEmpty() || line.contains("\"key\":\"" + key + "\""));
  }

  private void read() {
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      lines.lines().forEach(said::add);
    } catch (IOException | UncheckedIOException e) {
      said.add("{\"event\":\"ended\"}");
    }
  }
}

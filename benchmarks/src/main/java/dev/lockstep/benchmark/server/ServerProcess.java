package dev.lockstep.benchmark.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** A server from an installed package, on loopback, for as long as this object lives. */
public final class ServerProcess implements AutoCloseable {

  private static final Duration START = Duration.ofSeconds(30);

  private final Process process;

  private ServerProcess(Process process) {
    this.process = process;
  }

  /**
   * Starts a server and waits until it listens.
   *
   * @param name what messages call it
   * @param command program and arguments
   * @param port where it will listen
   * @param directory where it runs; created if missing. Its output goes to {@code server.log} there
   * @return the running server
   * @throws IOException when it does not start; its output is part of the message
   */
  public static ServerProcess start(String name, List<String> command, int port, Path directory)
      throws IOException {
    Files.createDirectories(directory);
    Path log = directory.resolve("server.log");
    Process process =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    ServerProcess server = new ServerProcess(process);
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
    long end = System.nanoTime() + START.toNanos();
    while (!listens(port)) {
      if (!process.isAlive() || System.nanoTime() > end) {
        server.close();
        throw new IOException(
            "%s does not listen on port %d: %s"
                .formatted(name, port, Files.readString(log, StandardCharsets.UTF_8)));
      }
      pause();
    }
    return server;
  }

  /**
   * Looks for an installed program.
   *
   * @param name file name
   * @return where it is, if it is installed
   */
  public static Optional<Path> installed(String name) {
    return List.of("/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin").stream()
        .map(directory -> Path.of(directory, name))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /**
   * Runs a program and returns the first line that it prints.
   *
   * @param command program and arguments
   * @return the line, or "unknown"
   */
  public static String firstLine(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      try (var reader = process.inputReader(StandardCharsets.UTF_8)) {
        String line = reader.readLine();
        return line == null ? "unknown" : line.strip();
      }
    } catch (IOException e) {
      return "unknown";
    }
  }

  /** Ends it with SIGKILL: its data is of no use to anybody. */
  @Override
  public void close() {
    process.destroyForcibly();
    try {
      var unused = process.waitFor(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static boolean listens(int port) {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      return socket.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  private static void pause() {
    try {
      TimeUnit.MILLISECONDS.sleep(50);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

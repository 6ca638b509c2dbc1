package dev.lockstep.testkit.process;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A JVM that runs one main class of this class path in a process of its own.
 *
 * <p>Output goes to one file. The child ends with this JVM, also when this JVM is killed. Not
 * thread-safe.
 */
public final class ChildJvm implements AutoCloseable {

  private static final Duration GRACE = Duration.ofSeconds(15);

  private final String name;
  private final Path output;
  private final Process process;

  private ChildJvm(String name, Path output, Process process) {
    this.name = name;
    this.output = output;
    this.process = process;
  }

  /**
   * Starts a child.
   *
   * @param name what messages call it
   * @param output file that receives standard output and standard error; appended to
   * @param jvmArguments options of the JVM, such as {@code -Xmx256m}
   * @param mainClass class with a {@code main} method on this JVM's class path
   * @param arguments arguments of that method
   * @return the running child
   * @throws UncheckedIOException when the process or its output file cannot be made; free space or
   *     file rights are what to look at
   */
  public static ChildJvm start(
      String name,
      Path output,
      List<String> jvmArguments,
      String mainClass,
      List<String> arguments) {
    return start(name, output, jvmArguments, mainClass, arguments, Map.of());
  }

  /**
   * Starts a child with further environment variables.
   *
   * @param name what messages call it
   * @param output file that receives standard output and standard error; appended to
   * @param jvmArguments options of the JVM, such as {@code -Xmx256m}
   * @param mainClass class with a {@code main} method on this JVM's class path
   * @param arguments arguments of that method
   * @param environment variables beside those of this process
   * @return the running child
   * @throws UncheckedIOException when the process or its output file cannot be made; free space or
   *     file rights are what to look at
   */
  public static ChildJvm start(
      String name,
      Path output,
      List<String> jvmArguments,
      String mainClass,
      List<String> arguments,
      Map<String, String> environment) {
    return start(name, output, List.of(), jvmArguments, mainClass, arguments, environment);
  }

  /**
   * Starts a child by another program, such as one that puts it into a network of its own.
   *
   * @param name what messages call it
   * @param output file that receives standard output and standard error; appended to
   * @param prefix program and arguments before the JVM's; it must become the JVM, under one id
   * @param jvmArguments options of the JVM, such as {@code -Xmx256m}
   * @param mainClass class with a {@code main} method on this JVM's class path
   * @param arguments arguments of that method
   * @param environment variables beside those of this process
   * @return the running child
   * @throws UncheckedIOException when the process or its output file cannot be made; free space or
   *     file rights are what to look at
   */
  public static ChildJvm start(
      String name,
      Path output,
      List<String> prefix,
      List<String> jvmArguments,
      String mainClass,
      List<String> arguments,
      Map<String, String> environment) {
    List<String> command = new ArrayList<>(prefix);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(jvmArguments);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(ChildMain.class.getName());
    command.add(Long.toString(ProcessHandle.current().pid()));
    command.add(mainClass);
    command.addAll(arguments);
    try {
      Files.createDirectories(output.toAbsolutePath().getParent());
      ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
      builder.environment().putAll(environment);
      builder.redirectOutput(ProcessBuilder.Redirect.appendTo(output.toFile()));
      builder.redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
      return new ChildJvm(name, output, builder.start());
    } catch (IOException e) {
      throw new UncheckedIOException("Process '" + name + "' could not be started", e);
    }
  }

  /**
   * Returns the operating system's id of the process.
   *
   * @return process id
   */
  public long pid() {
    return process.pid();
  }

  /**
   * Returns the file that holds what the child printed.
   *
   * @return output file
   */
  public Path output() {
    return output;
  }

  /**
   * Tells whether the process still exists; a paused one does.
   *
   * @return true while it exists
   */
  public boolean isAlive() {
    return process.isAlive();
  }

  /** Ends the process at once with SIGKILL and waits until it is gone. */
  public void kill() {
    process.destroyForcibly();
    awaitExit(GRACE);
  }

  /** Stops every thread of the process with SIGSTOP. */
  public void pause() {
    Signals.send(process.pid(), "STOP");
  }

  /** Lets a paused process go on with SIGCONT. */
  public void resume() {
    Signals.send(process.pid(), "CONT");
  }

  /** Asks the process to end with SIGTERM; after 15 s it is killed. */
  public void stop() {
    if (!process.isAlive()) {
      return;
    }
    process.destroy();
    try {
      if (!process.waitFor(GRACE.toMillis(), TimeUnit.MILLISECONDS)) {
        kill();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Waits for the end of the process.
   *
   * @param timeout longest wait
   * @return exit code; 137 after a kill
   * @throws IllegalStateException when it still runs after {@code timeout}; look at {@link
   *     #output()}
   */
  public int awaitExit(Duration timeout) {
    try {
      if (!process.waitFor(timeout.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new IllegalStateException(
            "Process '%s' (pid %d) did not end within %s; its output is in %s"
                .formatted(name, process.pid(), timeout, output));
      }
      return process.exitValue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("Interrupted while waiting for process '" + name + "'", e);
    }
  }

  /** Same as {@link #stop()}; a paused process is killed. */
  @Override
  public void close() {
    resumeIfAlive();
    stop();
  }

  private void resumeIfAlive() {
    if (process.isAlive()) {
      Signals.send(process.pid(), "CONT");
    }
  }
}

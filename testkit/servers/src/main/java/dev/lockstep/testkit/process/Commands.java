package dev.lockstep.testkit.process;

import java.io.IOException;
import java.util.concurrent.TimeUnit;

/** Commands of the system. */
final class Commands {

  private static final int SECONDS = 10;

  private Commands() {}

  /** Runs one; false: it is not there, failed, or took more than ten seconds. */
  static boolean succeeds(String... command) {
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor(SECONDS, TimeUnit.SECONDS) && process.exitValue() == 0;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("Interrupted in '" + String.join(" ", command) + "'", e);
    }
  }
}

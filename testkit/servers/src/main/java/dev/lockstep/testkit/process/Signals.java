package dev.lockstep.testkit.process;

import java.io.IOException;
import java.io.UncheckedIOException;

/** Sends signals that {@link Process} has no method for. */
public final class Signals {

  private Signals() {}

  /**
   * Sends a signal.
   *
   * @param pid process that this JVM started
   * @param signal name without SIG, such as {@code STOP}
   * @throws IllegalStateException when it could not be sent
   */
  public static void send(long pid, String signal) {
    try {
      int code = new ProcessBuilder("kill", "-" + signal, Long.toString(pid)).start().waitFor();
      if (code != 0) {
        throw new IllegalStateException(
            "Signal %s could not be sent to process %d: kill ended with %d; is it still running?"
                .formatted(signal, pid, code));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Command 'kill' could not be run", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("Interrupted while sending " + signal + " to " + pid, e);
    }
  }
}

package dev.lockstep.testkit.kafka;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;

/** Finds ports that nobody listens on right now. */
public final class FreePort {

  private FreePort() {}

  /**
   * Finds one.
   *
   * @return port on loopback
   * @throws UncheckedIOException when there is none
   */
  public static int find() {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException("No free port on loopback for a broker", e);
    }
  }
}

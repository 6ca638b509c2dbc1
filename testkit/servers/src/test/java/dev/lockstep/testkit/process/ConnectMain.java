package dev.lockstep.testkit.process;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;

/**
 * Connects to {@code host port} within a second and reads one byte; fails with code 1 otherwise.
 */
public final class ConnectMain {

  private ConnectMain() {}

  public static void main(String[] args) throws IOException {
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(args[0], Integer.parseInt(args[1])), 1_000);
      socket.setSoTimeout(1_000);
      System.exit(socket.getInputStream().read() == 7 ? 0 : 1);
    }
  }
}

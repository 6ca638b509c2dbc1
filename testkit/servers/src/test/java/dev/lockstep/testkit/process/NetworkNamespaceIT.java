package dev.lockstep.testkit.process;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.lockstep.testkit.process.NetworkNamespace.Cut;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NetworkNamespaceIT {

  @TempDir Path directory;

  @Test
  void packetsVanishWhileItIsCut() throws IOException {
    Optional<NetworkNamespace> made = NetworkNamespace.create(200);
    assumeThat(made).as("network namespaces need root and the 'ip' command").isPresent();
    try (NetworkNamespace network = made.orElseThrow();
        ServerSocket server =
            new ServerSocket(0, 50, InetAddress.getByName(NetworkNamespace.hostAddress()))) {
      Thread answers = new Thread(() -> answer(server));
      answers.setDaemon(true);
      answers.start();

      assertThat(connects(network, server)).isTrue();
      for (Cut cut : Cut.values()) {
        network.cut(cut);
        assertThat(connects(network, server)).as("%s", cut).isFalse();
        network.heal();
        assertThat(connects(network, server)).as("after %s", cut).isTrue();
      }
    }
  }

  private boolean connects(NetworkNamespace network, ServerSocket server) {
    try (ChildJvm child =
        ChildJvm.start(
            "connect",
            directory.resolve("connect.log"),
            network.prefix(),
            List.of("-Xmx32m", "-XX:+UseSerialGC"),
            ConnectMain.class.getName(),
            List.of(
                server.getInetAddress().getHostAddress(), Integer.toString(server.getLocalPort())),
            Map.of())) {
      return child.awaitExit(Duration.ofSeconds(20)) == 0;
    }
  }

  private static void answer(ServerSocket server) {
    while (!server.isClosed()) {
      try (Socket socket = server.accept()) {
        socket.getOutputStream().write(7);
      } catch (IOException e) {
        return;
      }
    }
  }
}

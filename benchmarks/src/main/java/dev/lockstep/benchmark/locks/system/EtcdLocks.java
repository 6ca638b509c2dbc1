package dev.lockstep.benchmark.locks.system;

import dev.lockstep.benchmark.locks.LockDriver;
import dev.lockstep.benchmark.locks.LockSystem;
import dev.lockstep.benchmark.server.ServerProcess;
import dev.lockstep.testkit.kafka.FreePort;
import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.Lock;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * etcd's lock service by jetcd on one etcd. A lease per client, as two locks of one lease do not
 * exclude each other; long leases, so that none has to be kept alive.
 */
public final class EtcdLocks implements LockSystem {

  private static final long LEASE_SECONDS = 3_600;

  private final String endpoint;
  private final ServerProcess server;

  /**
   * Starts etcd.
   *
   * @param directory for its files
   * @throws IOException when it does not start
   */
  public EtcdLocks(Path directory) throws IOException {
    int port = FreePort.find();
    String peers = "http://127.0.0.1:" + FreePort.find();
    this.endpoint = "http://127.0.0.1:" + port;
    List<String> command = new ArrayList<>();
    command.add(ServerProcess.installed("etcd").orElseThrow().toString());
    command.addAll(List.of("--data-dir", directory.resolve("data").toString()));
    command.addAll(List.of("--listen-client-urls", endpoint, "--advertise-client-urls", endpoint));
    command.addAll(List.of("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers));
    command.addAll(List.of("--initial-cluster", "default=" + peers, "--log-level", "error"));
    this.server = ServerProcess.start("etcd", command, port, directory);
  }

  @Override
  public String name() {
    return "etcd";
  }

  @Override
  public String version() {
    return "jetcd %s, %s, one server; fsync"
        .formatted(
            Client.class.getPackage().getImplementationVersion(),
            ServerProcess.firstLine("etcd", "--version"));
  }

  @Override
  public List<String> variants() {
    return List.of("async", "blocking");
  }

  @Override
  public LockDriver connect(String variant, int clients) throws Exception {
    Client client = Client.builder().endpoints(endpoint).build();
    Lock locks = client.getLockClient();
    List<Long> leases = new ArrayList<>();
    for (int i = 0; i < clients; i++) {
      leases.add(client.getLeaseClient().grant(LEASE_SECONDS).get().getID());
    }
    return new LockDriver() {
      @Override
      public boolean isAsync() {
        return variant.equals("async");
      }

      @Override
      public CompletableFuture<Held> acquire(int number, String key) {
        CompletableFuture<Held> held =
            locks
                .lock(ByteSequence.from(key, StandardCharsets.UTF_8), leases.get(number))
                .thenApply(granted -> () -> locks.unlock(granted.getKey()));
        if (!isAsync()) {
          var unused = held.join();
        }
        return held;
      }

      @Override
      public void close() {
        client.close();
      }
    };
  }

  @Override
  public void close() {
    server.close();
  }
}

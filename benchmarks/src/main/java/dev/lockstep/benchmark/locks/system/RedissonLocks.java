package dev.lockstep.benchmark.locks.system;

import dev.lockstep.benchmark.locks.LockDriver;
import dev.lockstep.benchmark.locks.LockSystem;
import dev.lockstep.benchmark.server.ServerProcess;
import dev.lockstep.testkit.kafka.FreePort;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.redisson.Redisson;
import org.redisson.api.RLock;
import org.redisson.api.RedissonClient;
import org.redisson.config.Config;

/** Redisson's RLock with its watchdog, on one Redis. */
public final class RedissonLocks implements LockSystem {

  /** Which of its locks, and how Redis keeps them. */
  public enum Kind {
    /** Its plain and fastest one, in memory only: whoever is quick gets a lock that became free. */
    PLAIN("redisson", "plain lock, memory only"),

    /** As plain, each command written through to the disk. */
    FSYNC("redisson-fsync", "plain lock, fsync at every command"),

    /** In the order of asking, as Lockstep's; memory only. */
    FAIR("redisson-fair", "fair lock, memory only");

    private final String system;
    private final String described;

    Kind(String system, String described) {
      this.system = system;
      this.described = described;
    }
  }

  private final Kind kind;
  private final int port;
  private final ServerProcess server;

  /**
   * Starts Redis.
   *
   * @param directory for its files
   * @param kind which lock, and how it is kept
   * @throws IOException when it does not start
   */
  public RedissonLocks(Path directory, Kind kind) throws IOException {
    this.kind = kind;
    this.port = FreePort.find();
    List<String> command = new ArrayList<>();
    command.add(ServerProcess.installed("redis-server").orElseThrow().toString());
    command.addAll(List.of("--port", Integer.toString(port), "--bind", "127.0.0.1"));
    command.addAll(List.of("--save", "", "--appendonly", kind == Kind.FSYNC ? "yes" : "no"));
    command.addAll(List.of("--appendfsync", "always"));
    this.server = ServerProcess.start("Redis", command, port, directory);
  }

  @Override
  public String name() {
    return kind.system;
  }

  @Override
  public String version() {
    return "Redisson %s, %s; %s"
        .formatted(
            Redisson.class.getPackage().getImplementationVersion(),
            ServerProcess.firstLine("redis-server", "--version"),
            kind.described);
  }

  @Override
  public List<String> variants() {
    return List.of("async", "blocking");
  }

  @Override
  public LockDriver connect(String variant, int clients) {
    Config config = new Config();
    config.useSingleServer().setAddress("redis://127.0.0.1:" + port);
    RedissonClient client = Redisson.create(config);
    return new LockDriver() {
      @Override
      public boolean isAsync() {
        return variant.equals("async");
      }

      @Override
      public CompletableFuture<Held> acquire(int number, String key) {
        RLock lock = kind == Kind.FAIR ? client.getFairLock(key) : client.getLock(key);
        if (isAsync()) {
          long owner = number + 1_000_000L;
          return lock.lockAsync(owner)
              .toCompletableFuture()
              .thenApply(nothing -> () -> lock.unlockAsync(owner).toCompletableFuture());
        }
        lock.lock();
        return CompletableFuture.completedFuture(
            () -> {
              lock.unlock();
              return CompletableFuture.completedFuture(null);
            });
      }

      @Override
      public void close() {
        client.shutdown();
      }
    };
  }

  @Override
  public void close() {
    server.close();
  }
}

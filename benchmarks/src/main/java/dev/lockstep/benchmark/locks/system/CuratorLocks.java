package dev.lockstep.benchmark.locks.system;

import dev.lockstep.benchmark.locks.LockDriver;
import dev.lockstep.benchmark.locks.LockSystem;
import dev.lockstep.benchmark.server.ServerProcess;
import dev.lockstep.testkit.kafka.FreePort;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.retry.RetryOneTime;
import org.apache.curator.x.async.AsyncWrappers;

/**
 * Curator's InterProcessMutex on one ZooKeeper. Its asynchronous style is the wrapper that Curator
 * offers, on a pool with a thread per client; as the mutex belongs to a thread, that one takes the
 * semaphore mutex.
 */
public final class CuratorLocks implements LockSystem {

  /** ZooKeeper of Debian's package. */
  public static final Path JAR = Path.of("/usr/share/java/zookeeper.jar");

  private final int port;
  private final ServerProcess server;

  /**
   * Starts ZooKeeper.
   *
   * @param directory for its files
   * @throws IOException when it does not start
   */
  public CuratorLocks(Path directory) throws IOException {
    this.port = FreePort.find();
    Files.createDirectories(directory);
    Path config = directory.resolve("zoo.cfg");
    Files.writeString(
        config,
        String.join(
            "\n",
            "tickTime=2000",
            "dataDir=" + directory.resolve("data"),
            "clientPort=" + port,
            "clientPortAddress=127.0.0.1",
            "admin.enableServer=false",
            "maxClientCnxns=0"));
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    List<String> command =
        List.of(
            java,
            "-Xmx512m",
            "-cp",
            "/usr/share/java/*",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            config.toString());
    this.server = ServerProcess.start("ZooKeeper", command, port, directory);
  }

  @Override
  public String name() {
    return "curator";
  }

  @Override
  public String version() {
    return "Curator %s, ZooKeeper from Debian's package, one server; fsync"
        .formatted(InterProcessMutex.class.getPackage().getImplementationVersion());
  }

  @Override
  public List<String> variants() {
    return List.of("async", "blocking");
  }

  @Override
  public LockDriver connect(String variant, int clients) throws Exception {
    CuratorFramework client =
        CuratorFrameworkFactory.newClient("127.0.0.1:" + port, new RetryOneTime(1_000));
    client.start();
    client.blockUntilConnected();
    ExecutorService pool = Executors.newFixedThreadPool(clients);
    return new LockDriver() {
      @Override
      public boolean isAsync() {
        return variant.equals("async");
      }

      @Override
      public CompletableFuture<Held> acquire(int number, String key) throws Exception {
        if (isAsync()) {
          InterProcessSemaphoreMutex lock = new InterProcessSemaphoreMutex(client, "/" + key);
          return AsyncWrappers.lockAsync(lock, pool)
              .toCompletableFuture()
              .thenApply(nothing -> () -> CompletableFuture.runAsync(() -> release(lock), pool));
        }
        InterProcessMutex lock = new InterProcessMutex(client, "/" + key);
        lock.acquire();
        return CompletableFuture.completedFuture(
            () -> {
              lock.release();
              return CompletableFuture.completedFuture(null);
            });
      }

      @Override
      public void close() {
        pool.shutdownNow();
        client.close();
      }
    };
  }

  private static void release(InterProcessSemaphoreMutex lock) {
    try {
      lock.release();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    server.close();
  }
}

package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.testkit.lock.LockChecker;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The protocol page is enough: a client in another language, beside Java clients. */
class NodeClientIT {

  private static final Duration LONG = Duration.ofSeconds(20);
  private static final Duration TTL = Duration.ofSeconds(3);

  @TempDir static Path directory;
  private static LockWorld world;

  @BeforeAll
  static void start() throws Exception {
    NodeClient.install();
    world = new LockWorld(directory);
  }

  @AfterAll
  static void stop() {
    if (world != null) {
      LockChecker.Result result = world.check();
      world.close();
      assertThat(result.violations()).isEmpty();
    }
  }

  @Test
  void locksWaitsAndReleases() throws Exception {
    try (LockClient java = world.client();
        NodeClient node = NodeClient.start(world.config().bootstrapServers(), TTL)) {
      Lease first = java.lock("shared-key").acquire(LONG);
      node.order("acquire shared-key 0");
      assertThat(node.await("failed", "shared-key")).contains("TIMED_OUT");
      node.order("acquire shared-key 15000");
      await().pollDelay(Duration.ofMillis(300)).until(() -> !node.hasSaid("granted", "shared-key"));
      assertThat(first.release().join()).isTrue();
      long token = NodeClient.token(node.await("granted", "shared-key"));
      assertThat(token).isGreaterThan(first.token());
      assertThat(java.lock("shared-key").tryAcquire()).isEmpty();

      // longer than its time to live: beats keep it
      await()
          .pollDelay(TTL.plusSeconds(1))
          .atMost(LONG)
          .until(() -> java.lock("shared-key").tryAcquire().isEmpty());
      node.order("safe shared-key");
      assertThat(node.await("safe", "shared-key")).contains("\"safe\":true");
      node.order("release shared-key");
      assertThat(node.await("released", "shared-key")).contains("\"released\":true");
      try (Lease next = java.lock("shared-key").acquire(LONG)) {
        assertThat(next.token()).isGreaterThan(token);
      }
    }
  }

  @Test
  void keysOfAllPartitionsAreFound() throws Exception {
    try (LockClient java = world.client();
        NodeClient node = NodeClient.start(world.config().bootstrapServers(), TTL)) {
      for (int i = 0; i < 12; i++) {
        String key = "schlüssel-" + "x".repeat(i);
        node.order("acquire " + key + " 5000");
        node.await("granted", key);
        assertThat(java.lock(key).tryAcquire()).isEmpty();
      }
    }
  }

  @Test
  void pausedClientKnowsThatItsLockIsLost() throws Exception {
    try (LockClient java = world.client();
        NodeClient node = NodeClient.start(world.config().bootstrapServers(), TTL)) {
      node.order("acquire paused-key 0");
      long token = NodeClient.token(node.await("granted", "paused-key"));
      node.pause();
      Lease successor = java.lock("paused-key").acquire(LONG);
      assertThat(successor.token()).isGreaterThan(token);
      node.resume();

      assertThat(NodeClient.token(node.await("jeopardy", "paused-key"))).isEqualTo(token);
      assertThat(NodeClient.token(node.await("lost", "paused-key"))).isEqualTo(token);
      node.order("safe paused-key");
      assertThat(node.await("safe", "paused-key")).contains("\"safe\":false");
      node.order("release paused-key");
      assertThat(node.await("released", "paused-key")).contains("\"released\":false");
      assertThat(successor.state()).isEqualTo(Lease.State.SAFE);
      assertThat(successor.release().join()).isTrue();

      // a session that is over does not end the client
      node.order("acquire paused-key 5000");
      assertThat(NodeClient.token(node.await("granted", "paused-key")))
          .isGreaterThan(successor.token());
    }
  }
}

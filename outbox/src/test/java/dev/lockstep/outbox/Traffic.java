package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * A writer that goes on whatever becomes of Kafka: every few ms one transaction with a message to
 * each of its topics for each of its keys, which lie in both shards, numbered from 1.
 */
final class Traffic implements AutoCloseable {

  private static final List<String> KEYS = List.of("k0", "k1");
  private static final long EVERY_MS = 10;

  private final OutboxWorld world;
  private final List<String> topics;
  private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor();
  private final ScheduledFuture<?> writing;
  private volatile int last;
  private volatile long longestNanos;

  Traffic(OutboxWorld world, String... topics) {
    this.world = world;
    this.topics = List.of(topics);
    this.writing = thread.scheduleWithFixedDelay(this::write, 0, EVERY_MS, TimeUnit.MILLISECONDS);
  }

  private void write() {
    int next = last + 1;
    List<OutboxMessage> messages = new ArrayList<>();
    for (String topic : topics) {
      for (String key : KEYS) {
        messages.add(message(topic, key, "" + next));
      }
    }
    long begun = System.nanoTime();
    try {
      world.publish(messages.toArray(OutboxMessage[]::new));
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
    longestNanos = Math.max(longestNanos, System.nanoTime() - begun);
    last = next;
  }

  /** Transactions that are committed. */
  int last() {
    return last;
  }

  /**
   * Waits until so many more transactions are committed, each of them without waiting itself: one
   * that waited for Kafka would wait for 10 s.
   */
  void goesOnFor(int transactions) {
    int from = last;
    await()
        .atMost(Duration.ofSeconds(60))
        .until(() -> last >= from + transactions || writing.isDone());
    assertThat(writing.isDone()).as("the writer failed").isFalse();
    assertThat(longestNanos).as("no writer waits").isLessThan(TimeUnit.SECONDS.toNanos(8));
  }

  /** Ends it; returns how many transactions are committed. */
  int stop() {
    assertThat(writing.isDone()).as("the writer failed").isFalse();
    close();
    return last;
  }

  /** Asserts that records are what was written, each once, the messages of a key in their order. */
  void assertWhole(List<String> records) {
    Map<String, List<String>> found = new HashMap<>();
    for (String record : records) {
      int equals = record.indexOf('=');
      found
          .computeIfAbsent(record.substring(0, equals), k -> new ArrayList<>())
          .add(record.substring(equals + 1));
    }
    assertThat(records).hasSize(KEYS.size() * last);
    List<String> expected = IntStream.rangeClosed(1, last).mapToObj(Integer::toString).toList();
    for (String key : KEYS) {
      assertThat(found.get(key)).as("key " + key).isEqualTo(expected);
    }
  }

  @Override
  public void close() {
    thread.shutdown();
    try {
      assertThat(thread.awaitTermination(20, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}

package dev.lockstep.outbox;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.FunctionTimer;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.concurrent.TimeUnit;

/**
 * Meters of a relay or an inbox consumer, for Micrometer (an optional dependency: bring {@code
 * micrometer-core}).
 *
 * <p>Relay: {@code lockstep.outbox.healthy} (1 or 0), {@code lockstep.outbox.backlog} (rows that
 * are committed and not published, up to 10,000 a shard), {@code lockstep.outbox.oldest} (age of
 * the oldest of them, seconds), {@code lockstep.outbox.blocked} (keys and topics, up to 100 a
 * shard; all gauges), {@code lockstep.outbox.rows} (counter of rows published), {@code
 * lockstep.outbox.latency} (timer of rows, from their transaction to the acknowledgement), {@code
 * lockstep.outbox.commit} (timer of Kafka transactions and flushes). Each relay counts its own
 * shards: add them up.
 *
 * <p>Inbox: {@code lockstep.inbox.healthy} (1 or 0), {@code lockstep.inbox.waiting} (partitions
 * that wait, whatever for), {@code lockstep.inbox.handled}, {@code lockstep.inbox.repeats}, {@code
 * lockstep.inbox.parked} (counters of messages).
 */
public final class OutboxMetrics {

  private static final String OUTBOX = "lockstep.outbox.";
  private static final String INBOX = "lockstep.inbox.";

  private OutboxMetrics() {}

  /**
   * Makes the meters of a relay.
   *
   * @param relay what to measure; a registry holds it weakly, so keep it yourself
   * @param tags added to each meter: key, value, key, value, ...
   * @return binder for a registry
   */
  public static MeterBinder of(OutboxRelay relay, String... tags) {
    return registry -> {
      Gauge.builder(OUTBOX + "healthy", relay, r -> r.health().isHealthy() ? 1 : 0)
          .tags(tags)
          .register(registry);
      Gauge.builder(OUTBOX + "backlog", relay, r -> r.stats().backlog())
          .tags(tags)
          .description("rows that are committed and not published")
          .register(registry);
      Gauge.builder(OUTBOX + "oldest", relay, r -> r.stats().oldest().toMillis() / 1_000.0)
          .tags(tags)
          .baseUnit("seconds")
          .register(registry);
      Gauge.builder(OUTBOX + "blocked", relay, r -> r.health().blocked().size())
          .tags(tags)
          .register(registry);
      FunctionCounter.builder(OUTBOX + "rows", relay, r -> r.stats().rows())
          .tags(tags)
          .description("rows that were published")
          .register(registry);
      FunctionTimer.builder(
              OUTBOX + "latency",
              relay,
              r -> r.stats().rows(),
              r -> r.stats().latency().toMillis(),
              TimeUnit.MILLISECONDS)
          .tags(tags)
          .description("from the transaction that wrote a row to its acknowledgement")
          .register(registry);
      FunctionTimer.builder(
              OUTBOX + "commit",
              relay,
              r -> r.stats().commits(),
              r -> r.stats().commitTime().toNanos(),
              TimeUnit.NANOSECONDS)
          .tags(tags)
          .register(registry);
    };
  }

  /**
   * Makes the meters of an inbox consumer.
   *
   * @param consumer what to measure; a registry holds it weakly, so keep it yourself
   * @param tags added to each meter: key, value, key, value, ...
   * @return binder for a registry
   */
  public static MeterBinder of(InboxConsumer consumer, String... tags) {
    return registry -> {
      Gauge.builder(INBOX + "healthy", consumer, c -> c.health().isHealthy() ? 1 : 0)
          .tags(tags)
          .register(registry);
      Gauge.builder(INBOX + "waiting", consumer, c -> c.health().faults().size())
          .tags(tags)
          .register(registry);
      FunctionCounter.builder(INBOX + "handled", consumer, c -> c.health().handled())
          .tags(tags)
          .register(registry);
      FunctionCounter.builder(INBOX + "repeats", consumer, c -> c.health().repeats())
          .tags(tags)
          .register(registry);
      FunctionCounter.builder(INBOX + "parked", consumer, c -> c.health().parked())
          .tags(tags)
          .register(registry);
    };
  }
}

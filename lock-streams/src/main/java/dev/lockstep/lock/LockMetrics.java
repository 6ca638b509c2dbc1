package dev.lockstep.lock;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.FunctionTimer;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.concurrent.TimeUnit;
import java.util.function.ToLongFunction;

/**
 * Meters of a lock client or a lock service, for Micrometer (an optional dependency: bring {@code
 * micrometer-core}).
 *
 * <p>Client: {@code lockstep.lock.acquires} (counter, tag {@code outcome}: granted, timed_out,
 * denied, failed), {@code lockstep.lock.wait} (timer of granted acquires), {@code
 * lockstep.lock.held} and {@code lockstep.lock.waiting} (gauges), {@code lockstep.lock.lost}
 * (counter of leases that ended without being given back).
 *
 * <p>Service: {@code lockstep.lock.healthy} (1 or 0), {@code lockstep.lock.partitions.stopped},
 * {@code lockstep.lock.alarms} (gauges), {@code lockstep.lock.commands} (counter of records
 * folded), {@code lockstep.lock.effects} (counter), {@code lockstep.lock.express.lag} (gauge:
 * effects not yet acknowledged), {@code lockstep.lock.commit} (timer of transactions of state).
 *
 * <p>Inspector: {@code lockstep.lock.keys} (in use), {@code lockstep.lock.queued} (requests that
 * wait), {@code lockstep.lock.queue.longest}, {@code lockstep.lock.sessions} (gauges, over all
 * partitions, at most a second old). Time from a release to the next grant is no meter: both stand
 * in one record.
 */
public final class LockMetrics {

  private static final String PREFIX = "lockstep.lock.";

  private LockMetrics() {}

  /**
   * Makes the meters of a client.
   *
   * @param client what to measure; kept as long as the registry keeps its meters
   * @param tags added to each meter: key, value, key, value, ...
   * @return binder for a registry
   */
  public static MeterBinder of(LockClient client, String... tags) {
    return registry -> {
      outcome(registry, client, tags, "granted", LockClient.Stats::granted);
      outcome(registry, client, tags, "timed_out", LockClient.Stats::timedOut);
      outcome(registry, client, tags, "denied", LockClient.Stats::denied);
      outcome(registry, client, tags, "failed", LockClient.Stats::failed);
      FunctionTimer.builder(
              PREFIX + "wait",
              client,
              c -> c.stats().granted(),
              c -> c.stats().waitedNanos(),
              TimeUnit.NANOSECONDS)
          .tags(tags)
          .description("from the call to the grant")
          .register(registry);
      FunctionCounter.builder(PREFIX + "lost", client, c -> c.stats().lost())
          .tags(tags)
          .description("leases that ended without being given back")
          .register(registry);
      Gauge.builder(PREFIX + "held", client, c -> c.stats().held()).tags(tags).register(registry);
      Gauge.builder(PREFIX + "waiting", client, c -> c.stats().waiting())
          .tags(tags)
          .register(registry);
    };
  }

  /**
   * Makes the meters of a service.
   *
   * @param service what to measure; kept as long as the registry keeps its meters
   * @param tags added to each meter: key, value, key, value, ...
   * @return binder for a registry
   */
  public static MeterBinder of(LockService service, String... tags) {
    return registry -> {
      Gauge.builder(PREFIX + "healthy", service, s -> s.health().isHealthy() ? 1 : 0)
          .tags(tags)
          .register(registry);
      Gauge.builder(PREFIX + "partitions.stopped", service, s -> s.health().stopped().size())
          .tags(tags)
          .register(registry);
      Gauge.builder(PREFIX + "alarms", service, s -> s.health().alarms().size())
          .tags(tags)
          .register(registry);
      FunctionCounter.builder(PREFIX + "commands", service, s -> s.stats().folded())
          .tags(tags)
          .description("records of the lock log that were folded")
          .register(registry);
      FunctionCounter.builder(PREFIX + "effects", service, s -> s.stats().announced())
          .tags(tags)
          .register(registry);
      Gauge.builder(PREFIX + "express.lag", service, s -> s.stats().pending())
          .tags(tags)
          .description("effects that Kafka has not acknowledged yet")
          .register(registry);
      FunctionTimer.builder(
              PREFIX + "commit",
              service,
              s -> s.stats().commits(),
              s -> s.stats().commitNanos(),
              TimeUnit.NANOSECONDS)
          .tags(tags)
          .register(registry);
    };
  }

  /**
   * Makes the meters of all locks, wherever they are served.
   *
   * @param inspector what to read; kept as long as the registry keeps its meters
   * @param tags added to each meter: key, value, key, value, ...
   * @return binder for a registry
   */
  public static MeterBinder of(LockInspector inspector, String... tags) {
    return registry -> {
      total(registry, inspector, tags, "keys", LockInspector.Totals::keys);
      total(registry, inspector, tags, "queued", LockInspector.Totals::queued);
      total(registry, inspector, tags, "queue.longest", LockInspector.Totals::longestQueue);
      total(registry, inspector, tags, "sessions", LockInspector.Totals::sessions);
    };
  }

  private static void total(
      MeterRegistry registry,
      LockInspector inspector,
      String[] tags,
      String name,
      ToLongFunction<LockInspector.Totals> value) {
    Gauge.builder(PREFIX + name, inspector, i -> value.applyAsLong(i.totals()))
        .tags(tags)
        .register(registry);
  }

  private static void outcome(
      MeterRegistry registry,
      LockClient client,
      String[] tags,
      String outcome,
      ToLongFunction<LockClient.Stats> value) {
    FunctionCounter.builder(PREFIX + "acquires", client, c -> (double) value.applyAsLong(c.stats()))
        .tags(Tags.of(tags).and("outcome", outcome))
        .description("acquires that ended")
        .register(registry);
  }
}

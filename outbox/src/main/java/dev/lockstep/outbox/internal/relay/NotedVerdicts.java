package dev.lockstep.outbox.internal.relay;

import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Remembers what Kafka refuses. Used by the shard's thread. */
final class NotedVerdicts implements Publishing.Verdicts {

  private static final Logger LOG = LoggerFactory.getLogger(NotedVerdicts.class);

  private final Map<Long, String> condemned;
  private final Destinations destinations;

  /**
   * @param condemned seq of rows that will never be taken, and why; added to
   */
  NotedVerdicts(Map<Long, String> condemned, Destinations destinations) {
    this.condemned = condemned;
    this.destinations = destinations;
  }

  @Override
  public void condemn(RowName row, String reason) {
    LOG.warn("Row {} (id {}) to '{}': {}", row.seq(), row.id(), row.topic(), reason);
    condemned.put(row.seq(), reason);
  }

  @Override
  public void report(String topic, String reason) {
    destinations.report(topic, reason);
  }
}

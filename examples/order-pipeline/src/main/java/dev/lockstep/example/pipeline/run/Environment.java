package dev.lockstep.example.pipeline.run;

import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Path;
import java.util.Map;

/**
 * Where a run takes place; the same for all its processes.
 *
 * @param bootstrapServers of the broker
 * @param databases JDBC address by service
 * @param input invoices
 * @param limit most invoices
 * @param seed of failures and opening stock
 * @param failRate share of payments and shipments that fail
 * @param directory local state and logs
 */
public record Environment(
    String bootstrapServers,
    Map<String, String> databases,
    Path input,
    int limit,
    long seed,
    double failRate,
    Path directory) {

  /** Partitions of lock and saga topics. */
  public static final int PARTITIONS = 4;

  /** Returns how to reach Kafka. */
  public LockstepConfig config() {
    return LockstepConfig.of(bootstrapServers);
  }

  /** Returns the JDBC address of a service. */
  public String database(String service) {
    String url = databases.get(service);
    if (url == null) {
      throw new IllegalArgumentException("Service '" + service + "' has no database");
    }
    return url;
  }
}

package dev.lockstep.benchmark.outbox;

import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.schema.LockstepConfig;

/**
 * Where one slice runs: a database and a topic of its own.
 *
 * @param dataSource empty database
 * @param config how to reach Kafka
 * @param topic empty, eight partitions
 * @param number of the slice, for names
 */
public record Place(HikariDataSource dataSource, LockstepConfig config, String topic, int number) {

  /** Bytes of a payload. */
  public static final int PAYLOAD = 400;

  /** Keys of a backlog. */
  public static final int KEYS = 10_000;

  /** What fills a payload: text, as who stores JSON would pay for other bytes. */
  public static final String FILLER = "payload ";
}

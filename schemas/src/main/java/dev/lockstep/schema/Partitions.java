package dev.lockstep.schema;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.utils.Utils;

/**
 * Chooses a partition for a key: murmur2 modulo a count, as Kafka's default partitioner does.
 *
 * <p>The count comes from a Layout, never from live metadata: it must be the same on every instance
 * and every day (rule 1).
 */
public final class Partitions {

  private Partitions() {}

  /**
   * Chooses a partition.
   *
   * @param key record key
   * @param count number of partitions in the Layout
   * @return 0 to count - 1
   */
  public static int of(byte[] key, int count) {
    return Utils.toPositive(Utils.murmur2(key)) % count;
  }

  /**
   * Chooses a partition for text.
   *
   * @param key record key, hashed as UTF-8
   * @param count number of partitions in the Layout
   * @return 0 to count - 1
   */
  public static int of(String key, int count) {
    return of(key.getBytes(StandardCharsets.UTF_8), count);
  }
}

package dev.lockstep.outbox.internal.relay;

import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/**
 * What is blocked: a key of a topic, or the whole topic. Immutable.
 *
 * @param key in hexadecimal digits; null: the whole topic
 */
record BlockKey(String topic, @Nullable String key) {

  static BlockKey of(String topic, byte @Nullable [] key) {
    return new BlockKey(topic, key == null ? null : HexFormat.of().formatHex(key));
  }

  boolean isWholeTopic() {
    return key == null;
  }

  /** Column {@code msg_key} of {@code lockstep_outbox_blocked}. */
  byte[] bytes() {
    return key == null ? new byte[0] : HexFormat.of().parseHex(key);
  }
}

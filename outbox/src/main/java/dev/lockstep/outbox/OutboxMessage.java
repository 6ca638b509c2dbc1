package dev.lockstep.outbox;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A message to publish. Immutable.
 *
 * @param id identity of the message; receivers drop repeats by it
 * @param topic physical name of a registered topic
 * @param key record key; messages of one key keep their order. Null: no order
 * @param payload record value; null is a tombstone
 * @param headers further record headers, text
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record OutboxMessage(
    UUID id,
    String topic,
    byte @Nullable [] key,
    byte @Nullable [] payload,
    Map<String, String> headers) {

  /** Copies the headers. */
  public OutboxMessage {
    headers = Map.copyOf(headers);
  }

  /**
   * Makes a message with a random id.
   *
   * @param topic physical name of a registered topic
   * @param key record key, UTF-8
   * @param payload record value
   * @return message without further headers
   */
  public static OutboxMessage of(String topic, String key, byte[] payload) {
    return new OutboxMessage(
        UUID.randomUUID(), topic, key.getBytes(StandardCharsets.UTF_8), payload, Map.of());
  }

  /**
   * Returns a copy with one more header.
   *
   * @param name header name
   * @param value text
   * @return changed copy
   */
  public OutboxMessage withHeader(String name, String value) {
    Map<String, String> more = new LinkedHashMap<>(headers);
    more.put(name, value);
    return new OutboxMessage(id, topic, key, payload, more);
  }
}

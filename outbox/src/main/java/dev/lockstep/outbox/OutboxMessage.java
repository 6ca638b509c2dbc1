package dev.lockstep.outbox;

import dev.lockstep.schema.LockstepHeaders;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A message to publish. Immutable.
 *
 * @param id identity of the message; receivers drop repeats by it
 * @param topic physical name of a registered topic
 * @param key record key; messages of one key keep their order. Null: order is kept by {@code
 *     partition} if there is one, else not at all
 * @param payload record value; null is a tombstone
 * @param headers further record headers, text
 * @param partition of the topic; null: by the key's hash
 * @param notBefore it is not published before this time, by the database's clock; it then takes its
 *     place behind what was committed meanwhile. Null: at once
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record OutboxMessage(
    UUID id,
    String topic,
    byte @Nullable [] key,
    byte @Nullable [] payload,
    Map<String, String> headers,
    @Nullable Integer partition,
    @Nullable Instant notBefore) {

  /** Copies the headers and checks the partition. */
  public OutboxMessage {
    headers = Map.copyOf(headers);
    if (partition != null && partition < 0) {
      throw new IllegalArgumentException(
          "Message %s to '%s' asks for partition %d; partitions count from 0"
              .formatted(id, topic, partition));
    }
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
    return of(topic, key.getBytes(StandardCharsets.UTF_8), payload);
  }

  /**
   * Makes a message with a random id.
   *
   * @param topic physical name of a registered topic
   * @param key record key; null: no order is asked for
   * @param payload record value; null is a tombstone
   * @return message without further headers
   */
  public static OutboxMessage of(String topic, byte @Nullable [] key, byte @Nullable [] payload) {
    return new OutboxMessage(UUID.randomUUID(), topic, key, payload, Map.of(), null, null);
  }

  /**
   * Makes a message with a random id, and says in the header {@code content-type} how it is
   * written.
   *
   * @param topic physical name of a registered topic
   * @param key record key, UTF-8
   * @param value what to publish
   * @param codec how it is written
   * @param <T> type of the value
   * @return message
   * @throws OutboxException when the value cannot be written
   */
  public static <T> OutboxMessage of(String topic, String key, T value, PayloadCodec<T> codec) {
    return of(topic, key, codec.encode(value))
        .withHeader(LockstepHeaders.CONTENT_TYPE, codec.contentType());
  }

  /**
   * Makes the message that deletes a key from a compacted topic.
   *
   * @param topic physical name of a registered topic
   * @param key record key, UTF-8
   * @return message without payload
   */
  public static OutboxMessage tombstone(String topic, String key) {
    return of(topic, key.getBytes(StandardCharsets.UTF_8), null);
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
    return new OutboxMessage(id, topic, key, payload, more, partition, notBefore);
  }

  /**
   * Returns a copy that says what happened: CloudEvents attribute {@code type}. The relay adds
   * {@code id}, {@code source}, {@code time} and {@code specversion}.
   *
   * @param type such as {@code com.example.order.placed}
   * @return changed copy
   */
  public OutboxMessage withType(String type) {
    return withHeader(LockstepHeaders.CE_TYPE, type);
  }

  /**
   * Returns a copy for a partition of the caller's choice.
   *
   * @param number from 0; a row for a partition that the topic does not have is poison
   * @return changed copy
   */
  public OutboxMessage toPartition(int number) {
    return new OutboxMessage(id, topic, key, payload, headers, number, notBefore);
  }

  /**
   * Returns a copy that leaves later.
   *
   * @param time by the database's clock
   * @return changed copy
   */
  public OutboxMessage notBefore(Instant time) {
    return new OutboxMessage(id, topic, key, payload, headers, partition, time);
  }
}

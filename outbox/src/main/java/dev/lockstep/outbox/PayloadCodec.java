package dev.lockstep.outbox;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lockstep.schema.spi.RecordCodec;

/**
 * Turns values into payloads. Implementations are thread-safe.
 *
 * @param <T> type of the values
 */
public interface PayloadCodec<T> {

  /**
   * Encodes a value.
   *
   * @param value what to publish
   * @return record value
   * @throws OutboxException when it cannot be written: the caller's transaction fails, nothing is
   *     published
   */
  byte[] encode(T value);

  /**
   * Returns the value of the header {@code content-type}.
   *
   * @return such as {@code application/json}
   */
  String contentType();

  /**
   * Writes JSON with Jackson.
   *
   * @param mapper how; no type names of the payload are needed to read it, so none are written
   * @param <T> type of the values
   * @return codec for {@code application/json}
   */
  static <T> PayloadCodec<T> json(ObjectMapper mapper) {
    return new PayloadCodec<>() {
      @Override
      public byte[] encode(T value) {
        try {
          return mapper.writeValueAsBytes(value);
        } catch (JsonProcessingException e) {
          throw new OutboxException(
              "A %s cannot be published as JSON: %s"
                  .formatted(value.getClass().getName(), e.getOriginalMessage()),
              e);
        }
      }

      @Override
      public String contentType() {
        return "application/json";
      }
    };
  }

  /**
   * Writes Avro.
   *
   * @param codec of the wire: {@link dev.lockstep.schema.SingleObjectCodec} or one of a registry
   * @param <T> type of the values
   * @return codec for {@code avro/binary}
   */
  static <T> PayloadCodec<T> avro(RecordCodec codec) {
    return new PayloadCodec<>() {
      @Override
      public byte[] encode(T value) {
        return codec.encode(value);
      }

      @Override
      public String contentType() {
        return "avro/binary";
      }
    };
  }
}

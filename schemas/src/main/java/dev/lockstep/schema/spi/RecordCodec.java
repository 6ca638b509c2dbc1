package dev.lockstep.schema.spi;

import dev.lockstep.schema.MalformedRecordException;
import dev.lockstep.schema.UnknownSchemaException;

/**
 * Turns values into bytes and back. Implementations are thread-safe and pure: equal values give
 * equal bytes, on every machine and every day.
 */
public interface RecordCodec {

  /**
   * Writes a value.
   *
   * @param value of a type that the codec knows
   * @return bytes that name their schema
   * @throws IllegalArgumentException when the type is not known: register it
   */
  byte[] encode(Object value);

  /**
   * Reads the schema's fingerprint without decoding.
   *
   * @param bytes what {@link #encode} wrote
   * @return CRC-64-AVRO fingerprint of the writer's schema
   * @throws MalformedRecordException when the bytes do not name a schema
   */
  long fingerprint(byte[] bytes);

  /**
   * Reads a value.
   *
   * @param bytes what {@link #encode} wrote, here or elsewhere
   * @return the value
   * @throws MalformedRecordException when the bytes are not of the schema they name; the record is
   *     bad for everyone
   * @throws UnknownSchemaException when this program lacks the schema; another may have it
   */
  Object decode(byte[] bytes);
}

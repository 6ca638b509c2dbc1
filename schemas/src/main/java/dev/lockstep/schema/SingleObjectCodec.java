package dev.lockstep.schema;

import dev.lockstep.schema.spi.RecordCodec;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Avro's single-object encoding: {@code C3 01}, the schema's fingerprint in 8 bytes (little
 * endian), then the binary body. Needs no server. Thread-safe.
 *
 * <p>Source: Avro specification 1.12, "Single-object encoding".
 */
public final class SingleObjectCodec implements RecordCodec {

  private static final byte MAGIC_1 = (byte) 0xC3;
  private static final byte MAGIC_2 = 0x01;
  private static final int HEADER = 10;

  private final SchemaCatalog catalog;

  /**
   * Creates a codec.
   *
   * @param catalog types that can be written and read
   */
  public SingleObjectCodec(SchemaCatalog catalog) {
    this.catalog = catalog;
  }

  @Override
  public byte[] encode(Object value) {
    RecordType type = catalog.get(value.getClass());
    try {
      byte[] body = type.form().write(value);
      return ByteBuffer.allocate(HEADER + body.length)
          .order(ByteOrder.LITTLE_ENDIAN)
          .put(MAGIC_1)
          .put(MAGIC_2)
          .putLong(type.fingerprint())
          .put(body)
          .array();
    } catch (IOException | RuntimeException e) {
      throw new SchemaException(
          "Value of %s does not fit its schema %s: %s"
              .formatted(type.type().getName(), type.schema().getFullName(), e.getMessage()),
          e);
    }
  }

  @Override
  public long fingerprint(byte[] bytes) {
    if (bytes.length < HEADER || bytes[0] != MAGIC_1 || bytes[1] != MAGIC_2) {
      throw new MalformedRecordException(
          "Record of %d bytes does not begin with C3 01 and a fingerprint".formatted(bytes.length));
    }
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(2);
  }

  @Override
  public Object decode(byte[] bytes) {
    long fingerprint = fingerprint(bytes);
    RecordType type = catalog.find(fingerprint);
    if (type == null) {
      throw new UnknownSchemaException(fingerprint);
    }
    try {
      return type.form().read(bytes, HEADER, bytes.length - HEADER);
    } catch (IOException | RuntimeException e) {
      throw new MalformedRecordException(
          "Record of %d bytes is no %s: %s"
              .formatted(bytes.length, type.schema().getFullName(), e.getMessage()),
          e);
    }
  }
}

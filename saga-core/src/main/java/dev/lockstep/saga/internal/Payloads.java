package dev.lockstep.saga.internal;

import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.spi.RecordCodec;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.SchemaNormalization;

/**
 * Users' values inside protocol records. Any value can be written; only registered types can be
 * read. Thread-safe.
 */
public final class Payloads {

  private final Map<Class<?>, RecordCodec> writers = new ConcurrentHashMap<>();
  private final RecordCodec reader;

  public Payloads(SchemaCatalog readable) {
    this.reader = new SingleObjectCodec(readable);
  }

  public ByteBuffer encode(Object value) {
    return ByteBuffer.wrap(
        writers
            .computeIfAbsent(
                value.getClass(), type -> new SingleObjectCodec(SchemaCatalog.of(type)))
            .encode(value));
  }

  public Object decode(ByteBuffer bytes) {
    return reader.decode(array(bytes));
  }

  /** Hash of a command's content: a participant echoes it, and another one parks the saga. */
  public static long hash(ByteBuffer content) {
    return SchemaNormalization.fingerprint64(array(content));
  }

  public static byte[] array(ByteBuffer bytes) {
    byte[] copy = new byte[bytes.remaining()];
    bytes.duplicate().get(copy);
    return copy;
  }
}

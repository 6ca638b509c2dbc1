package dev.lockstep.testkit.saga;

import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SchemaException;
import dev.lockstep.schema.SingleObjectCodec;
import java.nio.ByteBuffer;

/** Users' values inside protocol records, as a participant sees them. */
final class UserValue {

  static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

  private UserValue() {}

  static ByteBuffer encode(Object value) {
    return ByteBuffer.wrap(new SingleObjectCodec(SchemaCatalog.of(value.getClass())).encode(value));
  }

  /** Decodes a value; one of another type is described instead. */
  static Object decode(ByteBuffer bytes, Class<?> type) {
    byte[] copy = new byte[bytes.remaining()];
    bytes.duplicate().get(copy);
    try {
      return new SingleObjectCodec(SchemaCatalog.of(type)).decode(copy);
    } catch (SchemaException e) {
      return "something that is no " + type.getSimpleName();
    }
  }
}

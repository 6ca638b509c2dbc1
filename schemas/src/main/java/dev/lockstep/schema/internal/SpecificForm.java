package dev.lockstep.schema.internal;

import dev.lockstep.schema.SchemaException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.Schema;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificDatumReader;
import org.apache.avro.specific.SpecificDatumWriter;
import org.apache.avro.specific.SpecificRecord;

/** A class that Avro generated. */
public final class SpecificForm implements WireForm {

  private final Schema schema;
  private final SpecificDatumWriter<SpecificRecord> writer;
  private final SpecificDatumReader<SpecificRecord> reader;

  public SpecificForm(Class<? extends SpecificRecord> type) {
    schema = SpecificData.get().getSchema(type);
    SpecificData model = new OwnClasses(type.getClassLoader());
    writer = new SpecificDatumWriter<>(schema, model);
    reader = new SpecificDatumReader<>(schema, schema, model);
  }

  @Override
  public Schema schema() {
    return schema;
  }

  @Override
  public byte[] write(Object value) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream(128);
    BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
    writer.write((SpecificRecord) value, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  @Override
  public Object read(byte[] bytes, int offset, int length) throws IOException {
    BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(bytes, offset, length, null);
    SpecificRecord value = reader.read(null, decoder);
    if (!decoder.isEnd()) {
      throw new IOException("bytes are left over behind a " + schema.getName());
    }
    return value;
  }

  /**
   * Finds the classes of a registered type's own schema.
   *
   * <p>Avro 1.12.2 loads classes through a JVM-wide allow-list that is empty at first. A library
   * must not widen it for everybody: names are resolved here instead, and only those of the schema
   * that the registered class carries, never one from the wire.
   */
  private static final class OwnClasses extends SpecificData {

    private final ConcurrentHashMap<String, Class<?>> byName = new ConcurrentHashMap<>();

    OwnClasses(ClassLoader loader) {
      super(loader);
      // the generated classes write and read themselves: the same bytes, no walk over the schema
      setCustomCoders(true);
    }

    @Override
    @SuppressWarnings("rawtypes") // as overridden
    public Class getClass(Schema schema) {
      return switch (schema.getType()) {
        case RECORD, ENUM, FIXED -> byName.computeIfAbsent(schema.getFullName(), this::load);
        default -> super.getClass(schema);
      };
    }

    private Class<?> load(String name) {
      try {
        return Class.forName(name, false, getClassLoader());
      } catch (ClassNotFoundException e) {
        throw new SchemaException("Class of schema " + name + " is missing; generate it", e);
      }
    }
  }
}

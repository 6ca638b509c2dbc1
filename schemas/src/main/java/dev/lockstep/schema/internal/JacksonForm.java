package dev.lockstep.schema.internal;

import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.dataformat.avro.AvroMapper;
import com.fasterxml.jackson.dataformat.avro.AvroSchema;
import com.fasterxml.jackson.dataformat.avro.jsr310.AvroJavaTimeModule;
import dev.lockstep.schema.SchemaException;
import java.io.IOException;
import org.apache.avro.Schema;

/** Any class that Jackson can write, in Avro's binary encoding. */
public final class JacksonForm implements WireForm {

  private static final AvroMapper MAPPER =
      AvroMapper.builder()
          .addModule(new AvroJavaTimeModule())
          // equal values must give equal bytes
          .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
          .build();

  private final Schema schema;
  private final ObjectWriter writer;
  private final ObjectReader reader;

  public JacksonForm(Class<?> type) {
    try {
      AvroSchema avro = MAPPER.schemaFor(type);
      schema = avro.getAvroSchema();
      writer = MAPPER.writerFor(type).with(avro);
      reader = MAPPER.readerFor(type).with(avro);
    } catch (JsonMappingException e) {
      throw new SchemaException(
          "No Avro schema can be derived from %s: %s; make it a record of plain values"
              .formatted(type.getName(), e.getOriginalMessage()),
          e);
    }
  }

  @Override
  public Schema schema() {
    return schema;
  }

  @Override
  public byte[] write(Object value) throws IOException {
    return writer.writeValueAsBytes(value);
  }

  @Override
  public Object read(byte[] bytes, int offset, int length) throws IOException {
    return reader.readValue(bytes, offset, length);
  }
}

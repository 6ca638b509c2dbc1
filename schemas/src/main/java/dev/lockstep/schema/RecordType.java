package dev.lockstep.schema;

import dev.lockstep.schema.internal.JacksonForm;
import dev.lockstep.schema.internal.SpecificForm;
import dev.lockstep.schema.internal.WireForm;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.specific.SpecificRecord;

/**
 * One type that can be written and read: a class, its Avro schema and that schema's fingerprint.
 */
public final class RecordType {

  private final Class<?> type;
  private final WireForm form;
  private final long fingerprint;

  private RecordType(Class<?> type, WireForm form) {
    this.type = type;
    this.form = form;
    this.fingerprint = SchemaNormalization.parsingFingerprint64(form.schema());
  }

  /**
   * Describes a class: one that Avro generated, or any class that Jackson can write, such as a Java
   * record (its schema is derived from it, fields in order of declaration).
   *
   * @param type the class
   * @return its description
   * @throws SchemaException when no schema can be derived from the class
   */
  public static RecordType of(Class<?> type) {
    if (SpecificRecord.class.isAssignableFrom(type)) {
      return new RecordType(type, new SpecificForm(type.asSubclass(SpecificRecord.class)));
    }
    return new RecordType(type, new JacksonForm(type));
  }

  /**
   * Returns the Java class.
   *
   * @return class of decoded values
   */
  public Class<?> type() {
    return type;
  }

  /**
   * Returns the schema.
   *
   * @return Avro schema that values are written with
   */
  public Schema schema() {
    return form.schema();
  }

  /**
   * Returns the schema's fingerprint.
   *
   * @return CRC-64-AVRO of the parsing canonical form (Avro specification, "Schema fingerprints")
   */
  public long fingerprint() {
    return fingerprint;
  }

  WireForm form() {
    return form;
  }
}

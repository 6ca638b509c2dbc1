package dev.lockstep.schema;

/** A schema that this program lacks; another program, or a newer release, may have it. */
public final class UnknownSchemaException extends SchemaException {

  private static final long serialVersionUID = 1L;

  private final long fingerprint;

  /**
   * Creates an exception.
   *
   * @param fingerprint CRC-64-AVRO fingerprint of the schema
   */
  public UnknownSchemaException(long fingerprint) {
    super(
        "Schema %016x is not known to this program: register its type, or run the release that has it"
            .formatted(fingerprint));
    this.fingerprint = fingerprint;
  }

  /**
   * Returns the schema that is missing.
   *
   * @return CRC-64-AVRO fingerprint
   */
  public long fingerprint() {
    return fingerprint;
  }
}

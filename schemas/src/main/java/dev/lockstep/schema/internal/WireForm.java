package dev.lockstep.schema.internal;

import java.io.IOException;
import org.apache.avro.Schema;

/** Writes and reads one type's Avro binary body. Thread-safe. */
public interface WireForm {

  /** Returns the schema of the body. */
  Schema schema();

  /** Writes a value of the type. */
  byte[] write(Object value) throws IOException;

  /** Reads {@code length} bytes from {@code offset}; all of them must be used. */
  Object read(byte[] bytes, int offset, int length) throws IOException;
}

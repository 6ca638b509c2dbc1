package dev.lockstep.schema;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.jspecify.annotations.Nullable;

/** Names of record headers, and how their text is read. All values are UTF-8 text. */
public final class LockstepHeaders {

  /** Where an effect of a machine comes from; see {@link EffectPosition}. */
  public static final String POSITION = "lockstep-position";

  /** Row of an outbox; see {@link RowSource}. */
  public static final String ROW = "lockstep-row";

  /** A record that an operator sent once more; which replay it was. */
  public static final String REPLAY = "lockstep-replay";

  /** Leader epoch of a consumed record; put there by the host's consumer, never on the wire. */
  public static final String LEADER_EPOCH = "lockstep-leader-epoch";

  /** CloudEvents attribute {@code id}. */
  public static final String CE_ID = "ce_id";

  /** CloudEvents attribute {@code source}. */
  public static final String CE_SOURCE = "ce_source";

  /** CloudEvents attribute {@code type}. */
  public static final String CE_TYPE = "ce_type";

  /** CloudEvents attribute {@code time}. */
  public static final String CE_TIME = "ce_time";

  /** CloudEvents attribute {@code specversion}. */
  public static final String CE_SPECVERSION = "ce_specversion";

  /** Type of the value, as in HTTP. */
  public static final String CONTENT_TYPE = "content-type";

  private LockstepHeaders() {}

  /**
   * Returns the last value of a header.
   *
   * @param headers headers of a record
   * @param name header name
   * @return its text, or null when the record has no such header
   */
  public static @Nullable String text(Headers headers, String name) {
    Header header = headers.lastHeader(name);
    return header == null || header.value() == null
        ? null
        : new String(header.value(), StandardCharsets.UTF_8);
  }

  /**
   * Turns text into a header value.
   *
   * @param text any text
   * @return UTF-8 bytes
   */
  public static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}

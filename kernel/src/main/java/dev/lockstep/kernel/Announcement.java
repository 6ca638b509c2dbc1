package dev.lockstep.kernel;

import java.util.HexFormat;
import java.util.List;

/**
 * An effect, ready to be sent: byte for byte the same however often and wherever it is made.
 *
 * @param topic destination
 * @param partition partition of it
 * @param key record key
 * @param value record value, in the machine's codec
 * @param headers {@code lockstep-position} first, then the CloudEvents attributes
 * @param atLeisure nobody waits for it: see {@link Effects#atLeisure}
 */
@SuppressWarnings("ArrayRecordComponent") // compared by describe()
public record Announcement(
    String topic,
    int partition,
    byte[] key,
    byte[] value,
    List<HeaderText> headers,
    boolean atLeisure) {

  /**
   * One header.
   *
   * @param name header name
   * @param value text, sent as UTF-8
   */
  public record HeaderText(String name, String value) {}

  /**
   * Returns all that is sent in one line, for comparison and for people.
   *
   * @return destination, key and value in hexadecimal, headers
   */
  public String describe() {
    return topic
        + "/"
        + partition
        + " "
        + HexFormat.of().formatHex(key)
        + " "
        + HexFormat.of().formatHex(value)
        + " "
        + headers;
  }
}

package dev.lockstep.outbox.internal.relay;

/** Parts of statements that read rows. */
final class Rows {

  private Rows() {}

  /** The first rows by seq, as many as fit; ends with parameters for rows and bytes. */
  static String bounded(String rows) {
    return "SELECT * FROM (SELECT u.*, sum(bytes) OVER (ORDER BY seq) - bytes AS bytes_before FROM ("
        + rows
        + " ORDER BY seq LIMIT ?) u) b WHERE bytes_before < ?";
  }
}

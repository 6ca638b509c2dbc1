package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Parts of statements that read rows. */
final class Rows {

  private Rows() {}

  /** The first rows by seq, as many as fit; ends with parameters for rows and bytes. */
  static String bounded(String rows) {
    return bounded(rows, "seq");
  }

  /**
   * The same where few rows are expected: no index has this order, so that none is read from its
   * beginning for the sake of it.
   */
  static String fewBounded(String rows) {
    return bounded("SELECT * FROM (" + rows + ") few", "seq + 0");
  }

  private static String bounded(String rows, String order) {
    return "SELECT * FROM (SELECT u.*, sum(bytes) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before FROM ("
        + rows
        + " ORDER BY "
        + order
        + " LIMIT ?) u) b WHERE bytes_before < ?";
  }

  /**
   * A row up to so many bytes is small: a page of {@link #MOST_SMALL} is not larger than a page may
   * be, and nobody needs to sum it up.
   */
  static final long SMALL = 3 << 10;

  static final long MOST_SMALL = PageSize.BYTES / SMALL;

  /**
   * The first rows by seq; ends with a parameter for how many. Of rows that are not small only
   * their outline comes. Costs the database three quarters of what the sums of {@link
   * #bounded(String)} cost.
   */
  static String small(String rows) {
    String ifSmall = "CASE WHEN bytes <= " + SMALL + " THEN ";
    return "SELECT seq, id, topic, part, "
        + ifSmall
        + "msg_key END AS msg_key, "
        + ifSmall
        + "payload END AS payload, "
        + ifSmall
        + "headers END AS headers, created_at, bytes FROM ("
        + rows
        + " ORDER BY seq LIMIT ?) u";
  }

  /**
   * The same rows with the relay epoch that owns the shard, in one snapshot: what was put aside by
   * a later owner must not be overtaken by one that has not noticed it. Kafka's fencing comes too
   * late on the express lane.
   */
  static String owned(String rows, int shard) {
    return "SELECT q.*, (SELECT epoch FROM lockstep_outbox_owner w WHERE w.shard = "
        + shard
        + ") AS owner_epoch FROM ("
        + rows
        + ") q ORDER BY seq";
  }

  /**
   * Reads all rows of a result.
   *
   * @throws ProducerFencedException when a later relay owns the shard
   */
  static List<LedgerRow> owned(ResultSet result, int shard, long epoch, int lane, Dialect dialect)
      throws SQLException {
    RowReader reader = new RowReader(result, lane, dialect);
    List<LedgerRow> rows = new ArrayList<>();
    while (result.next()) {
      if (rows.isEmpty()) {
        // one statement, one snapshot: it is the same in all
        requireOwner(result, shard, epoch);
      }
      rows.add(reader.read());
    }
    return rows;
  }

  /**
   * Compares the epoch of {@link #owned(String, int)}.
   *
   * @throws ProducerFencedException when a later relay owns the shard
   */
  static void requireOwner(ResultSet row, int shard, long epoch) throws SQLException {
    long owner = row.getLong("owner_epoch");
    if (owner > epoch) {
      throw new ProducerFencedException(
          "Shard %d was taken over by relay epoch %d, this one has %d"
              .formatted(shard, owner, epoch));
    }
  }
}

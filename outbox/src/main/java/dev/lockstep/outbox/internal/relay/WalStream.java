package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.WalSource;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.replication.LogSequenceNumber;
import org.postgresql.replication.PGReplicationStream;

/**
 * A slot of a relay, and what comes through it. The slot is temporary: rows stand in the ledger, so
 * that nothing is lost with it. Read by one thread; may be closed by another.
 */
final class WalStream implements AutoCloseable {

  static final String PUBLICATION = "lockstep_outbox";
  private static final int OLDEST_VERSION = 140_000;
  private static final int STATUS_SECONDS = 1;

  private final Connection connection;
  private volatile boolean closed;

  private WalStream(Connection connection) {
    this.connection = connection;
  }

  /** Connects; nothing is read yet. */
  static WalStream open(WalSource source) throws SQLException {
    return new WalStream(source.connect());
  }

  /**
   * Looks whether the log can be followed.
   *
   * @throws OutboxException with all that is wrong
   */
  static void require(WalSource source, String name) {
    List<String> faults;
    try (Connection connection = source.connect()) {
      faults = faults(connection);
    } catch (SQLException e) {
      throw new OutboxException(
          "Outbox '%s' cannot follow the log of its database: no connection for replication (the user needs REPLICATION): %s"
              .formatted(name, e.getMessage()),
          e);
    }
    if (!faults.isEmpty()) {
      throw new OutboxException(
          "Outbox '%s' cannot follow the log of its database: %s"
              .formatted(name, String.join("; ", faults)));
    }
  }

  private static List<String> faults(Connection connection) throws SQLException {
    List<String> faults = new ArrayList<>();
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT current_setting('server_version_num')::int, current_setting('wal_level'),"
                    + " (SELECT count(*) FROM pg_publication_tables p WHERE p.pubname = '"
                    + PUBLICATION
                    + "' AND p.tablename = 'lockstep_outbox')")) {
      row.next();
      if (row.getInt(1) < OLDEST_VERSION) {
        faults.add("it needs PostgreSQL 14, this is " + row.getInt(1) / 10_000);
      }
      if (!"logical".equals(row.getString(2))) {
        faults.add("wal_level is '%s', needs 'logical'".formatted(row.getString(2)));
      }
      if (row.getInt(3) == 0) {
        faults.add(
            "publication '%s' is missing: run wal-postgresql.sql of the jar"
                .formatted(PUBLICATION));
      }
    }
    return faults;
  }

  /**
   * Reads until it is closed or fails.
   *
   * @param begun called when everything that commits from now on will come
   */
  void follow(PgOutput output, Runnable begun) throws SQLException {
    PGConnection replication = connection.unwrap(PGConnection.class);
    String slot = "lockstep_outbox_" + UUID.randomUUID().toString().replace('-', '_');
    // waits for all transactions that are open
    var unused =
        replication
            .getReplicationAPI()
            .createReplicationSlot()
            .logical()
            .withSlotName(slot)
            .withTemporaryOption()
            .withOutputPlugin("pgoutput")
            .make();
    try (PGReplicationStream stream =
        replication
            .getReplicationAPI()
            .replicationStream()
            .logical()
            .withSlotName(slot)
            .withSlotOption("proto_version", 1)
            .withSlotOption("publication_names", PUBLICATION)
            .withSlotOption("binary", true)
            .withAutomaticFlush(false)
            .withStatusInterval(STATUS_SECONDS, TimeUnit.SECONDS)
            .start()) {
      begun.run();
      while (!closed) {
        ByteBuffer message = stream.read();
        if (message == null) {
          throw new SQLException("The server ended the stream");
        }
        output.read(message);
        // nothing is read from it again: the ledger keeps what is not published
        LogSequenceNumber received = stream.getLastReceiveLSN();
        stream.setAppliedLSN(received);
        stream.setFlushedLSN(received);
      }
    }
  }

  /** Ends the reading too. */
  @Override
  public void close() throws SQLException {
    closed = true;
    connection.abort(Runnable::run);
  }
}

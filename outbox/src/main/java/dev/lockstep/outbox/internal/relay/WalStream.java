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
import org.jspecify.annotations.Nullable;
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
  private volatile boolean creating;

  private WalStream(Connection connection) {
    this.connection = connection;
  }

  /** Names a history: a PostgreSQL cluster, and how often it was promoted or restored. */
  static String history(RelayPosition.Origin origin) {
    return origin.system() + "/" + origin.timeline();
  }

  /**
   * Returns whose log this is.
   *
   * @param ledger a connection to the database of the outbox
   * @throws SQLException when it is another one's
   */
  String history(Connection ledger) throws SQLException {
    String wanted = history(LedgerIdentity.now(ledger).origin());
    String foreign = foreign(ledger, wanted);
    if (foreign != null) {
      throw new SQLException(foreign);
    }
    return wanted;
  }

  private @Nullable String foreign(Connection ledger, String wanted) throws SQLException {
    try (Statement here = ledger.createStatement();
        ResultSet name = here.executeQuery("SELECT current_database()");
        Statement there = connection.createStatement();
        ResultSet row = there.executeQuery("IDENTIFY_SYSTEM")) {
      name.next();
      row.next();
      String log =
          "%s/%s, database '%s'"
              .formatted(
                  row.getString("systemid"), row.getLong("timeline"), row.getString("dbname"));
      String own = "%s, database '%s'".formatted(wanted, name.getString(1));
      return log.equals(own)
          ? null
          : "the log is that of server %s, the ledger lies in server %s: connect to the same"
              .formatted(log, own);
    }
  }

  /** Connects; nothing is read yet. */
  static WalStream open(WalSource source) throws SQLException {
    return new WalStream(source.connect());
  }

  /**
   * Looks whether the log can be followed.
   *
   * @param ledger a connection to the database of the outbox
   * @throws OutboxException with all that is wrong
   */
  static void require(WalSource source, String name, Connection ledger) {
    List<String> faults;
    try (WalStream stream = open(source)) {
      faults = faults(stream.connection);
      String foreign = stream.foreign(ledger, history(LedgerIdentity.now(ledger).origin()));
      if (foreign != null) {
        faults.add(foreign);
      }
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
    // to wait is its work: a timeout would end the stream when nothing is committed for a while
    connection.setNetworkTimeout(Runnable::run, 0);
    String slot = "lockstep_outbox_" + UUID.randomUUID().toString().replace('-', '_');
    create(replication, slot);
    // it ends with its connection; to close it alone would wait for a server that may be gone
    PGReplicationStream stream =
        replication
            .getReplicationAPI()
            .replicationStream()
            .logical()
            .withSlotName(slot)
            .withSlotOption("proto_version", 1)
            .withSlotOption("publication_names", PUBLICATION)
            .withSlotOption("binary", true)
            // with keepalives too: where nothing is published, others write all the same
            .withAutomaticFlush(true)
            .withStatusInterval(STATUS_SECONDS, TimeUnit.SECONDS)
            .start();
    // the driver sets one for a stream
    connection.setNetworkTimeout(Runnable::run, 0);
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

  /** Waits for all transactions that are open. */
  private void create(PGConnection replication, String slot) throws SQLException {
    creating = true;
    try {
      var unused =
          replication
              .getReplicationAPI()
              .createReplicationSlot()
              .logical()
              .withSlotName(slot)
              .withTemporaryOption()
              .withOutputPlugin("pgoutput")
              .make();
    } finally {
      creating = false;
    }
  }

  /** Lets the reading fail. */
  void abort() throws SQLException {
    connection.abort(Runnable::run);
  }

  /** Ends the reading too. */
  @Override
  public void close() throws SQLException {
    closed = true;
    try {
      if (creating) {
        // a server that waits for transactions to end does not look whether anybody is left
        connection.unwrap(PGConnection.class).cancelQuery();
      }
    } finally {
      abort();
    }
  }
}

package dev.lockstep.outbox.internal.sql;

import dev.lockstep.outbox.OutboxException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** What databases disagree about. Stateless. */
public interface Dialect {

  /** The one with snapshots. */
  Dialect POSTGRESQL = PostgreSql.INSTANCE;

  /** Headers of a row, names and values in turn; or why they cannot be read. */
  record Headers(List<String> namesAndValues, @Nullable String fault) {

    /** Most rows have none. */
    static final Headers NONE = new Headers(List.of(), null);
  }

  /** Sets the parameters of a statement. */
  @FunctionalInterface
  interface Parameters {
    void set(PreparedStatement statement) throws SQLException;
  }

  /**
   * Returns the dialect of a connection.
   *
   * @throws OutboxException when there is none for its database
   */
  static Dialect of(Connection connection) throws SQLException {
    String product = connection.getMetaData().getDatabaseProductName();
    return switch (product) {
      case "PostgreSQL" -> PostgreSql.INSTANCE;
      case "MariaDB", "MySQL" -> Portable.MARIADB;
      case "H2" -> Portable.H2;
      default ->
          throw new OutboxException(
              "An outbox cannot live in '%s': it takes PostgreSQL, MariaDB, MySQL or H2"
                  .formatted(product));
    };
  }

  /** Folder of its migrations in the jar. */
  String folder();

  /**
   * Tells whether it has snapshots: rows then stay in the ledger when they are published. Else a
   * row that is there is one that is not published.
   */
  boolean hasSnapshots();

  /** Asks how many tables {@code lockstep_outbox_meta} there are: 0 or 1. */
  String countMeta();

  /** The columns of a row, and {@code bytes}. */
  String columns();

  /** Sets the id of a row. */
  void setId(PreparedStatement statement, int index, UUID id) throws SQLException;

  /** Reads an id, from the column with a number. */
  UUID id(ResultSet row, int column) throws SQLException;

  /** Reads {@code headers}, from the column with a number. */
  Headers headers(ResultSet row, int column) throws SQLException;

  /** Reads {@code created_at} in ms since the epoch, from the column with a number. */
  long createdAt(ResultSet row, int column) throws SQLException;

  /** Sets a time column. */
  void setTime(PreparedStatement statement, int index, Instant time) throws SQLException;

  /** The time now, by the database's clock, in ms since the epoch. */
  String now();

  /** A time column as ms since the epoch. */
  String millis(String column);

  /**
   * Inserts a row unless one with its primary key is there, or is being inserted: then it waits for
   * that transaction. Leaves the transaction usable.
   *
   * @param insert an INSERT without what comes behind its values
   * @return false when there is one
   */
  boolean insertOnce(Connection connection, String insert, Parameters parameters)
      throws SQLException;

  /**
   * Lets statements of an operator wait for locks for ten seconds at most, where that can be said.
   */
  void limitLockWaits(Connection connection) throws SQLException;

  /**
   * Changes the number of shards of each lane, and the segments where there are any.
   *
   * @throws SQLException when rows are left, or from the database
   */
  void configure(Connection connection, int shards, int segments, int seconds) throws SQLException;
}

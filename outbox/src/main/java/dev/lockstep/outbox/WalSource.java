package dev.lockstep.outbox;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Properties;

/**
 * Where a relay follows the write-ahead log of its PostgreSQL: see {@link RelayOptions#withWal}.
 *
 * <p>Needs PostgreSQL 14 or newer with {@code wal_level = logical}, a free replication slot and WAL
 * sender for each relay, a user with the attribute {@code REPLICATION}, and the publication of
 * {@code wal-postgresql.sql} in the jar. The slot is a temporary one: it ends with its connection
 * and never keeps WAL of a relay that is gone.
 */
@FunctionalInterface
public interface WalSource {

  /**
   * Opens a connection for replication to the database of the outbox: no pool, no pgbouncer. Called
   * by one thread, again after each failure.
   *
   * @return a connection that unwraps to {@code org.postgresql.PGConnection}; the relay closes it
   * @throws SQLException when the server is away; it is tried again
   */
  Connection connect() throws SQLException;

  /**
   * Connects by the driver.
   *
   * @param url JDBC address of the database
   * @param properties user, password and what else the driver takes; copied, never logged
   * @return source
   */
  static WalSource of(String url, Properties properties) {
    Properties own = new Properties();
    own.putAll(properties);
    own.setProperty("replication", "database");
    own.setProperty("assumeMinServerVersion", "14");
    own.setProperty("preferQueryMode", "simple");
    own.putIfAbsent("tcpKeepAlive", "true");
    return () -> DriverManager.getConnection(url, own);
  }
}

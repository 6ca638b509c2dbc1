package dev.lockstep.benchmark.outbox;

import java.sql.SQLException;
import java.util.List;

/** A way to get rows of a database to Kafka. */
public interface OutboxSystem {

  /**
   * Returns the name for reports.
   *
   * @return {@code lockstep}, {@code limit}, ...
   */
  String name();

  /**
   * Returns version and settings.
   *
   * @return one line
   */
  String version();

  /**
   * Returns the ways in which it is measured.
   *
   * @return names, at least one
   */
  List<String> variants();

  /**
   * Tells whether latency at a steady load means anything here.
   *
   * @return false: only the drain rate is measured
   */
  default boolean isRelay() {
    return true;
  }

  /**
   * Makes tables in an empty database.
   *
   * @param place database and topic
   * @param variant one of {@link #variants}
   * @return the outbox there
   * @throws Exception when it cannot be made
   */
  Outlet open(Place place, String variant) throws Exception;

  /** An outbox in one database. Its relay does not run yet. */
  interface Outlet extends AutoCloseable {

    /**
     * Stores many rows, in many transactions, by the database itself.
     *
     * @param rows how many, with keys {@code key-0} to {@code key-9999} in turn
     * @throws SQLException from the database
     */
    void fill(long rows) throws SQLException;

    /**
     * Stores one row in a transaction of its own and commits.
     *
     * @param key record key
     * @param payload record value
     * @throws SQLException from the database
     */
    void publish(String key, byte[] payload) throws SQLException;

    /**
     * Starts what publishes.
     *
     * @throws Exception when it cannot be started
     */
    void startRelay() throws Exception;

    /**
     * Returns the tables whose dead rows are counted.
     *
     * @return prefix of their names
     */
    String tables();

    @Override
    void close() throws Exception;
  }
}

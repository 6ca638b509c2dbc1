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
   * @param variant one of {@link #variants}
   * @return false: only the drain rate is measured
   */
  default boolean isRelay(String variant) {
    return true;
  }

  /**
   * Returns the largest backlog that is drained. Who is slow drains less, as rates are compared.
   *
   * @return rows, a multiple of ten
   */
  default long mostRows() {
    return Long.MAX_VALUE;
  }

  /**
   * Returns how many connections its pool needs to be at its best.
   *
   * @return size of the pool
   */
  default int connections() {
    return 12;
  }

  /**
   * Tells whether its rows lie in the database of the place; otherwise it brings its own, of which
   * neither WAL nor dead rows are counted.
   *
   * @return false: it brings its own
   */
  default boolean usesPlace() {
    return true;
  }

  /**
   * Tells whether a row that comes twice though nothing failed breaks a promise.
   *
   * @return false: repeated rows are told, and are no violation
   */
  default boolean neverRepeats() {
    return false;
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
     * Stores many rows, in many transactions, before the relay runs. Payloads begin with the number
     * of their row.
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
     * Starts what publishes, and returns once it reads or is about to: what is done once before is
     * no part of the drain rate.
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

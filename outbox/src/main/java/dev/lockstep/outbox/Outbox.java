package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.write.BufferingTransaction;
import dev.lockstep.outbox.internal.write.Migration;
import dev.lockstep.outbox.internal.write.TopicTable;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * Publishes from inside database transactions. Thread-safe; one per data source.
 *
 * <p>Shape: rows of {@code lockstep_outbox} in the data source's schema (PostgreSQL 13 or newer).
 *
 * <p>Guarantee: rolled back is never published; committed is published, nothing skipped, in commit
 * order per key as long as the writers of a key exclude each other by a row lock that they take
 * before they publish. A writer never waits for Kafka.
 */
@SuppressWarnings(
    "overloads") // a block either returns a value or does not, as with ExecutorService.submit
public final class Outbox {

  /** Business code inside a transaction. */
  @FunctionalInterface
  public interface Work<T extends @Nullable Object> {

    /**
     * Runs inside the transaction.
     *
     * @param tx connection and publishing
     * @return result for the caller
     * @throws SQLException from the database; the transaction is rolled back
     */
    T run(OutboxTransaction tx) throws SQLException;
  }

  /** Business code inside a transaction that returns nothing. */
  @FunctionalInterface
  public interface Action {

    /**
     * Runs inside the transaction.
     *
     * @param tx connection and publishing
     * @throws SQLException from the database; the transaction is rolled back
     */
    void run(OutboxTransaction tx) throws SQLException;
  }

  private final DataSource dataSource;
  private final TopicTable topics;
  private final List<Runnable> commitListeners = new CopyOnWriteArrayList<>();

  /**
   * Uses a data source whose schema has the outbox tables.
   *
   * @param dataSource PostgreSQL
   */
  public Outbox(DataSource dataSource) {
    this.dataSource = dataSource;
    this.topics = new TopicTable(dataSource);
  }

  /**
   * Brings the tables up to this version. Who keeps migrations with Flyway adds the location {@code
   * classpath:dev/lockstep/outbox/migration/postgresql}; this method then finds the tables as they
   * should be and does nothing.
   *
   * @throws OutboxException when the database refuses
   */
  public void migrate() {
    Migration.run(dataSource);
  }

  /**
   * Makes a topic known. Its lane cannot be changed.
   *
   * @param topic physical name
   * @param lane how its messages leave
   * @param partitions keys are hashed modulo this, as the Layout of an input topic asks; 0: as many
   *     as the topic has
   * @throws OutboxException when the topic is known with another lane or count
   */
  public void register(String topic, Lane lane, int partitions) {
    register(topic, lane, partitions, PoisonPolicy.BLOCK_KEY);
  }

  /**
   * Makes a topic known. Its lane cannot be changed; its policy can.
   *
   * @param topic physical name
   * @param lane how its messages leave
   * @param partitions keys are hashed modulo this; 0: as many as the topic has
   * @param onPoison what becomes of a message that Kafka refuses
   * @throws OutboxException when the topic is known with another lane or count
   */
  public void register(String topic, Lane lane, int partitions, PoisonPolicy onPoison) {
    topics.register(topic, lane, partitions, onPoison);
  }

  /**
   * Runs business code in a transaction of its own: commits when it returns, rolls back when it
   * throws.
   *
   * @param action business code; published messages go out with its commit
   * @throws SQLException from the database; nothing was published
   * @throws OutboxException when the messages could not be stored; nothing was committed
   */
  public void inTransaction(Action action) throws SQLException {
    Boolean unused =
        callInTransaction(
            tx -> {
              action.run(tx);
              return true;
            });
  }

  /**
   * Runs business code that returns something, as {@link #inTransaction} does.
   *
   * @param work business code; published messages go out with its commit
   * @param <T> type of the result
   * @return what {@code work} returned
   * @throws SQLException from the database; nothing was published
   * @throws OutboxException when the messages could not be stored; nothing was committed
   */
  public <T extends @Nullable Object> T callInTransaction(Work<T> work) throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      connection.setAutoCommit(false);
      BufferingTransaction tx = new BufferingTransaction(connection, topics);
      T result;
      boolean published;
      try {
        result = work.run(tx);
        published = tx.flush();
        connection.commit();
      } catch (Throwable thrown) {
        connection.rollback();
        throw thrown;
      } finally {
        tx.close();
        restore(connection);
      }
      if (published) {
        commitListeners.forEach(Runnable::run);
      }
      return result;
    }
  }

  /**
   * Returns the data source.
   *
   * @return what was given
   */
  public DataSource dataSource() {
    return dataSource;
  }

  /**
   * Calls back after each commit that published, on the committing thread: a relay of this JVM is
   * woken by it.
   *
   * @param listener must be quick and not throw
   */
  public void onCommit(Runnable listener) {
    commitListeners.add(listener);
  }

  private static void restore(Connection connection) throws SQLException {
    if (!connection.isClosed()) {
      connection.setAutoCommit(true);
    }
  }
}

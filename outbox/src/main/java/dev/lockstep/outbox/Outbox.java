package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.sql.Migration;
import dev.lockstep.outbox.internal.write.BufferingTransaction;
import dev.lockstep.outbox.internal.write.MessageBuffer;
import dev.lockstep.outbox.internal.write.Notifier;
import dev.lockstep.outbox.internal.write.PublishingConnection;
import dev.lockstep.outbox.internal.write.TopicTable;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Publishes from inside database transactions. Thread-safe; one per data source.
 *
 * <p>Shape: rows of {@code lockstep_outbox} in the data source's schema (PostgreSQL 13 or newer,
 * MariaDB 10.6, H2 2.2).
 *
 * <p>Guarantee: rolled back is never published; committed is published, nothing skipped, in commit
 * order per key: see {@link KeyOrder}. A writer never waits for Kafka.
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

  private static final Logger LOG = LoggerFactory.getLogger(Outbox.class);

  private final DataSource dataSource;
  private final KeyOrder order;
  private final TopicTable topics;
  private final List<Runnable> commitListeners = new CopyOnWriteArrayList<>();
  private final List<Supplier<Map<String, String>>> headers = new CopyOnWriteArrayList<>();
  private final AtomicBoolean notifies = new AtomicBoolean();

  /**
   * Uses a data source whose schema has the outbox tables.
   *
   * @param dataSource of PostgreSQL, MariaDB or H2
   */
  public Outbox(DataSource dataSource) {
    this(dataSource, KeyOrder.ROW_LOCK);
  }

  /**
   * Uses a data source whose schema has the outbox tables.
   *
   * @param dataSource of PostgreSQL, MariaDB or H2
   * @param order how messages of a key are put in the order of their commits
   */
  public Outbox(DataSource dataSource, KeyOrder order) {
    this.dataSource = dataSource;
    this.order = order;
    this.topics = new TopicTable(dataSource);
  }

  /**
   * Brings the tables up to this version, as their owner. With Flyway run the location {@code
   * classpath:dev/lockstep/outbox/migration/postgresql} (or {@code /mariadb}, {@code /h2}) under a
   * history table of its own, since your scripts have a version 1 as well; this method then finds
   * the tables as they should be and does nothing.
   *
   * @throws OutboxException when the database refuses
   */
  public void migrate() {
    Migration.run(dataSource);
  }

  /**
   * Makes a topic known, and keeps the policy that it was registered with; at first {@link
   * PoisonPolicy#BLOCK_KEY}. Its lane cannot be changed.
   *
   * @param topic physical name
   * @param lane how its messages leave
   * @param partitions keys are hashed modulo this, as the Layout of an input topic asks; 0: as many
   *     as the topic has
   * @throws OutboxException when the topic is known with another lane or count, or the database
   *     refuses
   */
  public void register(String topic, Lane lane, int partitions) {
    topics.register(topic, lane, partitions, null);
  }

  /**
   * Makes a topic known. Its lane cannot be changed; its policy can.
   *
   * @param topic physical name
   * @param lane how its messages leave
   * @param partitions keys are hashed modulo this; 0: as many as the topic has
   * @param onPoison what becomes of a message that Kafka refuses
   * @throws OutboxException when the topic is known with another lane or count, or the database
   *     refuses
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
      T result;
      boolean published;
      try (BufferingTransaction tx = new BufferingTransaction(connection, messages())) {
        result = work.run(tx);
        published = tx.flush();
        connection.commit();
      } catch (Throwable thrown) {
        rollback(connection, thrown);
        throw thrown;
      }
      restore(connection);
      if (published) {
        committed();
      }
      return result;
    }
  }

  /**
   * Returns a data source whose connections can publish: for code that commits by itself. Messages
   * are kept until {@code commit()} and stored just before it; a rollback, or one to a savepoint,
   * drops what it takes back.
   *
   * @return data source that takes its connections from that of this outbox
   */
  public DataSource publishing() {
    return PublishingConnection.wrap(dataSource, this::messages, this::committed);
  }

  /**
   * Publishes with the open transaction of a connection. On a connection of {@link #publishing} the
   * message is kept until the commit; on any other it is stored at once, one round trip each, since
   * nobody tells when that commits; a relay then finds it at its next poll.
   *
   * @param connection with an open transaction
   * @param message the message; at most the topic's {@code max_bytes}
   * @throws SQLException from the database
   * @throws OutboxException when the connection commits each statement by itself, the topic is not
   *     registered, or the message is too large
   */
  public void publish(Connection connection, OutboxMessage message) throws SQLException {
    requireTransaction(connection, message);
    if (connection.isWrapperFor(PublishingConnection.class)) {
      try (Statement none = connection.createStatement()) {
        // nothing is sent, but a pool above learns that there is something to roll back
        int[] unused = none.executeBatch();
      }
      connection.unwrap(PublishingConnection.class).publish(message);
    } else {
      MessageBuffer buffer = messages();
      buffer.add(connection, message);
      boolean unused = buffer.flush(connection);
    }
  }

  /**
   * Makes the buffer of a transaction that a transaction manager ends: see {@link OutboxBuffer}.
   *
   * @return empty buffer
   */
  public OutboxBuffer buffer() {
    return new OutboxBuffer(messages(), this::committed);
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

  /**
   * Tells relays in other processes of each commit that published, on PostgreSQL: those that listen
   * ({@link RelayOptions#withListening}) need not wait for their next poll. On other databases
   * nothing happens.
   *
   * <p>A notification goes out behind the commit, on a thread and a connection of its own that is
   * borrowed for it; at most one in 5 ms. A writer never waits for it nor fails with it. What is
   * published with {@link #publish} on a connection that somebody else commits is not told of.
   *
   * @return close it before the data source
   * @throws IllegalStateException when this outbox does so already
   */
  public RelayNotifier notifyRelays() {
    if (!notifies.compareAndSet(false, true)) {
      throw new IllegalStateException(
          "This outbox notifies relays already; keep what the first notifyRelays() returned, or close it");
    }
    Notifier notifier = new Notifier(dataSource);
    Runnable committed = notifier::committed;
    notifier.start();
    onCommit(committed);
    return new RelayNotifier(
        notifier,
        () -> {
          forget(committed);
          notifier.close();
          notifies.set(false);
        });
  }

  /**
   * Adds headers to each message that is published from now on, such as those of a trace: {@code
   * outbox.addHeaders(TraceContext::headers)}.
   *
   * @param supplier called on the publishing thread, for each message; a header that the message
   *     has already is left as it is
   */
  public void addHeaders(Supplier<Map<String, String>> supplier) {
    headers.add(supplier);
  }

  private MessageBuffer messages() {
    return new MessageBuffer(topics, order, this::withHeaders);
  }

  private OutboxMessage withHeaders(OutboxMessage published) {
    OutboxMessage message = published;
    for (Supplier<Map<String, String>> supplier : headers) {
      for (Map.Entry<String, String> header : supplier.get().entrySet()) {
        if (!message.headers().containsKey(header.getKey())) {
          message = message.withHeader(header.getKey(), header.getValue());
        }
      }
    }
    return message;
  }

  /** No longer calls back. */
  void forget(Runnable listener) {
    commitListeners.remove(listener);
  }

  static void requireTransaction(Connection connection, OutboxMessage message) throws SQLException {
    if (connection.getAutoCommit()) {
      throw new OutboxException(
          "Message %s to '%s' was published outside a transaction: the connection is in auto-commit mode; call setAutoCommit(false)"
              .formatted(message.id(), message.topic()));
    }
  }

  private void committed() {
    commitListeners.forEach(Runnable::run);
  }

  /** What is committed stays so, whatever becomes of the connection: its pool finds out. */
  private static void restore(Connection connection) {
    try {
      connection.setAutoCommit(true);
    } catch (SQLException e) {
      LOG.debug("A connection could not be given back as it came", e);
    }
  }

  /** What went wrong first is what the caller must hear of. */
  private static void rollback(Connection connection, Throwable thrown) {
    try {
      connection.rollback();
      connection.setAutoCommit(true);
    } catch (SQLException e) {
      thrown.addSuppressed(e);
    }
  }
}

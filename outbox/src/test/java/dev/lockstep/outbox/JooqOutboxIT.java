package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxDatabase.ofAccount;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.outbox.jooq.JooqOutbox;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import javax.sql.DataSource;
import org.jooq.Configuration;
import org.jooq.DSLContext;
import org.jooq.SQLDialect;
import org.jooq.TransactionContext;
import org.jooq.TransactionListener;
import org.jooq.impl.DSL;
import org.jooq.impl.DataSourceConnectionProvider;
import org.jooq.impl.DefaultConfiguration;
import org.jooq.impl.DefaultTransactionProvider;
import org.jooq.impl.ThreadLocalTransactionProvider;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** jOOQ ends the transaction; its nested transactions are savepoints. */
class JooqOutboxIT {

  @TempDir static Path directory;
  private static PostgresServer postgres;

  private final AtomicInteger told = new AtomicInteger();
  private OutboxDatabase database;
  private Configuration plain;
  private JooqOutbox jooq;
  private DSLContext context;

  @BeforeAll
  static void startServer() {
    System.setProperty("org.jooq.no-logo", "true");
    System.setProperty("org.jooq.no-tips", "true");
    postgres = PostgresServer.start(directory.resolve("pg"));
  }

  @AfterAll
  static void stopServer() {
    postgres.close();
  }

  @BeforeEach
  void createOutbox(TestInfo test) throws SQLException {
    database = new OutboxDatabase(postgres, test);
    plain = new DefaultConfiguration().set(database.pool).set(SQLDialect.POSTGRES);
    jooq = new JooqOutbox(OutboxDatabase.counting(database.pool, told));
    context = DSL.using(jooq.publishing(plain));
  }

  @AfterEach
  void closePool() {
    database.close();
  }

  @Test
  void commitStoresAllByOneStatementAndTellsOnce() {
    context.transaction(
        configuration -> {
          jooq.publish(configuration, ofAccount("1"));
          add(configuration);
          jooq.publish(configuration.dsl().configuration(), ofAccount("2"));
          assertThat(database.stored()).isEmpty();
        });
    assertThat(database.balance()).isEqualTo(1);
    assertThat(database.stored()).containsExactly("1", "2");
    assertThat(database.statements()).isEqualTo(1);
    assertThat(told).hasValue(1);
  }

  @Test
  void rollbackDropsAll() {
    assertThatThrownBy(
            () ->
                context.transaction(
                    configuration -> {
                      add(configuration);
                      jooq.publish(configuration, ofAccount("dropped"));
                      throw new IllegalArgumentException("business");
                    }))
        .hasMessage("business");
    context.transaction(configuration -> {});
    assertThat(database.balance()).isZero();
    assertThat(database.stored()).isEmpty();
    assertThat(told).hasValue(0);
  }

  @Test
  void nestedTransactionDropsWhatItTakesBack() {
    context.transaction(
        outer -> {
          jooq.publish(outer, ofAccount("1"));
          outer.dsl().transaction(inner -> jooq.publish(inner, ofAccount("2")));
          failInside(outer);
          outer
              .dsl()
              .transaction(
                  inner -> {
                    failInside(inner);
                    jooq.publish(inner, ofAccount("3"));
                  });
          jooq.publish(outer, ofAccount("4"));
        });
    assertThat(database.balance()).isZero();
    assertThat(database.stored()).containsExactly("1", "2", "3", "4");
    assertThat(database.statements()).isEqualTo(1);
    assertThat(told).hasValue(1);
  }

  /** Its rows stay, so its messages do. */
  @Test
  void nestedTransactionWithoutSavepointTakesNothingBack() {
    plain.set(
        new DefaultTransactionProvider(new DataSourceConnectionProvider(database.pool), false));
    DSL.using(jooq.publishing(plain)).transaction(this::failInside);
    assertThat(database.balance()).isEqualTo(1);
    assertThat(database.stored()).containsExactly("inside");
  }

  @Test
  void numberIsDrawnBehindTheRowLock() throws SQLException {
    database.assertNumberIsDrawnBehindTheLock(
        () ->
            context.transaction(
                configuration -> {
                  jooq.publish(configuration, ofAccount("second"));
                  add(configuration);
                }));
  }

  @Test
  void refusedWithoutATransaction() {
    assertThatThrownBy(() -> jooq.publish(context.configuration(), ofAccount("1")))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("outside a transaction");
    DSL.using(plain)
        .transaction(
            configuration ->
                assertThatThrownBy(() -> jooq.publish(configuration, ofAccount("1")))
                    .isInstanceOf(OutboxException.class)
                    .hasMessageContaining("JooqOutbox.publishing"));
    assertThat(database.stored()).isEmpty();
  }

  @Test
  void refusedWhenTheTransactionIsOver() {
    AtomicReference<Configuration> kept = new AtomicReference<>();
    context.transaction(kept::set);
    assertThatThrownBy(() -> jooq.publish(kept.get(), ofAccount("1")))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("is over");
  }

  @Test
  void failureToStoreRollsBack() throws SQLException {
    database.execute("ALTER TABLE lockstep_outbox ADD CHECK (payload <> 'poison')");
    assertThatThrownBy(
            () ->
                context.transaction(
                    configuration -> {
                      add(configuration);
                      jooq.publish(configuration, ofAccount("poison"));
                    }))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("could not be stored");
    assertThat(database.balance()).isZero();
    assertThat(told).hasValue(0);
  }

  @Test
  void listenersInFrontMayPublishAndThoseBehindAreRefused() {
    TransactionListener late =
        new TransactionListener() {
          @Override
          public void commitStart(TransactionContext transaction) {
            jooq.publish(transaction.configuration(), ofAccount("late"));
          }
        };
    DSL.using(jooq.publishing(plain.deriveAppending(late))).transaction(configuration -> {});
    assertThat(database.stored()).containsExactly("late");
    assertThatThrownBy(
            () ->
                DSL.using(jooq.publishing(plain).deriveAppending(late))
                    .transaction(JooqOutboxIT::add))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("being committed");
    assertThat(database.balance()).isZero();
    assertThat(database.stored()).containsExactly("late");
  }

  @Test
  void configurationThatCanPublishStaysAsItIs() {
    Configuration publishing = jooq.publishing(plain);
    assertThat(jooq.publishing(publishing)).isSameAs(publishing);
  }

  @Test
  void transactionsOfThreadsAreRefused() {
    plain.set(new ThreadLocalTransactionProvider(new DataSourceConnectionProvider(database.pool)));
    assertThatThrownBy(() -> jooq.publishing(plain))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("ThreadLocalTransactionProvider");
  }

  @Test
  void sampleOfTheReferenceRuns() {
    DataSource dataSource = database.pool;
    Configuration configuration = plain;
    long amount = 7;
    // tag::jooq[]
    JooqOutbox outbox = new JooqOutbox(new Outbox(dataSource));
    DSLContext ctx = DSL.using(outbox.publishing(configuration));

    ctx.transaction(
        tx -> {
          tx.dsl().execute("UPDATE account SET balance = balance + ?", amount);
          outbox.publish(
              tx, OutboxMessage.of("accounts", "a", Long.toString(amount).getBytes(UTF_8)));
        });
    // end::jooq[]
    assertThat(database.balance()).isEqualTo(7);
    assertThat(database.stored()).containsExactly("7");
  }

  private void failInside(Configuration outer) {
    assertThatThrownBy(
            () ->
                outer
                    .dsl()
                    .transaction(
                        inner -> {
                          add(inner);
                          jooq.publish(inner, ofAccount("inside"));
                          throw new IllegalArgumentException("inner");
                        }))
        .hasMessage("inner");
  }

  private static void add(Configuration configuration) {
    configuration.dsl().execute("UPDATE account SET balance = balance + 1");
  }
}

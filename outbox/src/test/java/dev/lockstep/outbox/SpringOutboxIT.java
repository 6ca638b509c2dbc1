package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxDatabase.ofAccount;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.springframework.transaction.TransactionDefinition.PROPAGATION_NESTED;
import static org.springframework.transaction.TransactionDefinition.PROPAGATION_NOT_SUPPORTED;
import static org.springframework.transaction.TransactionDefinition.PROPAGATION_REQUIRES_NEW;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.outbox.spring.SpringOutbox;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.TransactionAwareDataSourceProxy;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.annotation.EnableTransactionManagement;
import org.springframework.transaction.annotation.Transactional;
import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;
import org.springframework.transaction.support.TransactionTemplate;

/** Spring ends the transaction: what it publishes shares its end, in all propagations. */
class SpringOutboxIT {

  @TempDir static Path directory;
  private static PostgresServer postgres;

  private final AtomicInteger told = new AtomicInteger();
  private OutboxDatabase database;
  private Outbox outbox;
  private DataSourceTransactionManager manager;
  private SpringOutbox spring;
  private TransactionTemplate transaction;

  @BeforeAll
  static void startServer() {
    postgres = PostgresServer.start(directory.resolve("pg"));
  }

  @AfterAll
  static void stopServer() {
    postgres.close();
  }

  @BeforeEach
  void createOutbox(TestInfo test) throws SQLException {
    database = new OutboxDatabase(postgres, test);
    outbox = OutboxDatabase.counting(database.pool, told);
    manager = new DataSourceTransactionManager(database.pool);
    spring = new SpringOutbox(outbox, manager);
    transaction = new TransactionTemplate(manager);
  }

  @AfterEach
  void closePool() {
    database.close();
  }

  @Test
  void commitStoresAllByOneStatementAndTellsOnce() {
    transaction.executeWithoutResult(
        status -> {
          spring.publish(ofAccount("1"));
          spring.publish(ofAccount("2"));
          assertThat(database.stored()).isEmpty();
        });
    assertThat(database.stored()).containsExactly("1", "2");
    assertThat(database.statements()).isEqualTo(1);
    assertThat(told).hasValue(1);
  }

  @Test
  void rollbackDropsAll() {
    assertThatThrownBy(
            () ->
                transaction.executeWithoutResult(
                    status -> {
                      spring.publish(ofAccount("dropped"));
                      throw new IllegalArgumentException("business");
                    }))
        .hasMessage("business");
    transaction.executeWithoutResult(
        status -> {
          spring.publish(ofAccount("dropped"));
          status.setRollbackOnly();
        });
    transaction.executeWithoutResult(status -> {});
    assertThat(database.stored()).isEmpty();
    assertThat(told).hasValue(0);
  }

  @Test
  void savepointsDropWhatTheyTakeBack() {
    TransactionTemplate nested = template(PROPAGATION_NESTED);
    transaction.executeWithoutResult(
        status -> {
          spring.publish(ofAccount("1"));
          nested.executeWithoutResult(inner -> spring.publish(ofAccount("2")));
          nested.executeWithoutResult(
              inner -> {
                spring.publish(ofAccount("dropped"));
                inner.setRollbackOnly();
              });
          Object savepoint = status.createSavepoint();
          spring.publish(ofAccount("dropped"));
          status.rollbackToSavepoint(savepoint);
          spring.publish(ofAccount("3"));
        });
    assertThat(database.stored()).containsExactly("1", "2", "3");
    assertThat(database.statements()).isEqualTo(1);
    assertThat(told).hasValue(1);
  }

  @Test
  void nestedTransactionThatIsTheOutermostCommits() {
    template(PROPAGATION_NESTED).executeWithoutResult(status -> spring.publish(ofAccount("1")));
    assertThat(database.stored()).containsExactly("1");
  }

  @Test
  void innerTransactionCommitsAloneWhileTheOuterRollsBack() {
    transaction.executeWithoutResult(
        outer -> {
          spring.publish(ofAccount("dropped"));
          template(PROPAGATION_REQUIRES_NEW)
              .executeWithoutResult(inner -> spring.publish(ofAccount("inner")));
          assertThat(database.stored()).containsExactly("inner");
          spring.publish(ofAccount("dropped"));
          outer.setRollbackOnly();
        });
    assertThat(database.stored()).containsExactly("inner");
    assertThat(told).hasValue(1);
  }

  @Test
  void outerTransactionCommitsAloneWhileTheInnerRollsBack() {
    transaction.executeWithoutResult(
        outer -> {
          spring.publish(ofAccount("1"));
          template(PROPAGATION_REQUIRES_NEW)
              .executeWithoutResult(
                  inner -> {
                    spring.publish(ofAccount("dropped"));
                    inner.setRollbackOnly();
                  });
          spring.publish(ofAccount("2"));
        });
    assertThat(database.stored()).containsExactly("1", "2");
  }

  @Test
  void participantThatRollsBackTakesAllWithIt() {
    assertThatThrownBy(
            () ->
                transaction.executeWithoutResult(
                    outer -> {
                      spring.publish(ofAccount("dropped"));
                      transaction.executeWithoutResult(inner -> inner.setRollbackOnly());
                    }))
        .hasMessageContaining("rollback-only");
    assertThat(database.stored()).isEmpty();
    assertThat(told).hasValue(0);
  }

  @Test
  void refusedWithoutATransaction() {
    assertThatThrownBy(() -> spring.publish(ofAccount("1")))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("outside a transaction");
    transaction.executeWithoutResult(
        outer ->
            template(PROPAGATION_NOT_SUPPORTED)
                .executeWithoutResult(
                    none ->
                        assertThatThrownBy(() -> spring.publish(ofAccount("1")))
                            .isInstanceOf(OutboxException.class)
                            .hasMessageContaining("outside a transaction")));
    assertThat(database.stored()).isEmpty();
  }

  @Test
  void refusedInAReadOnlyTransaction() {
    transaction.setReadOnly(true);
    transaction.executeWithoutResult(
        status ->
            assertThatThrownBy(() -> spring.publish(ofAccount("1")))
                .isInstanceOf(OutboxException.class)
                .hasMessageContaining("read-only"));
  }

  /** Its pool would take the connection back with the rows on it, and roll them back. */
  @Test
  void refusedInATransactionOfAnotherDatabase() throws SQLException {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(database.url);
    config.setAutoCommit(false);
    try (OutboxDatabase other = new OutboxDatabase(postgres, "another_database");
        HikariDataSource manual = new HikariDataSource(config)) {
      DataSourceTransactionManager elsewhere = new DataSourceTransactionManager(other.pool);
      SpringOutbox misled = new SpringOutbox(new Outbox(manual), elsewhere);
      new TransactionTemplate(elsewhere)
          .executeWithoutResult(
              status -> {
                new JdbcTemplate(manual).queryForList("SELECT 1");
                for (SpringOutbox each : List.of(misled, spring)) {
                  assertThatThrownBy(() -> each.publish(ofAccount("1")))
                      .isInstanceOf(OutboxException.class)
                      .hasMessageContaining("data source");
                }
              });
    }
  }

  @Test
  void refusedInATransactionThatBeganBefore() {
    transaction.executeWithoutResult(
        outer -> {
          SpringOutbox late = new SpringOutbox(outbox, manager);
          template(PROPAGATION_NESTED)
              .executeWithoutResult(
                  nested ->
                      assertThatThrownBy(() -> late.publish(ofAccount("1")))
                          .isInstanceOf(OutboxException.class)
                          .hasMessageContaining("that SpringOutbox was made with"));
        });
  }

  @Test
  void failureToStoreRollsBack() throws SQLException {
    database.execute("ALTER TABLE lockstep_outbox ADD CHECK (payload <> 'poison')");
    assertThatThrownBy(
            () ->
                transaction.executeWithoutResult(
                    status -> {
                      addByJdbc(1);
                      spring.publish(ofAccount("poison"));
                    }))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("could not be stored");
    assertThat(database.balance()).isZero();
    assertThat(told).hasValue(0);
  }

  @Test
  void unknownTopicIsRefusedAtOnceAndTheTransactionGoesOn() {
    transaction.executeWithoutResult(
        status -> {
          assertThatThrownBy(() -> spring.publish(OutboxMessage.tombstone("unknown", "a")))
              .isInstanceOf(OutboxException.class)
              .hasMessageContaining("not registered");
          spring.publish(ofAccount("1"));
        });
    assertThat(database.stored()).containsExactly("1");
  }

  /** Whoever comes last before the commit may be the first that publishes. */
  @Test
  void callbacksBeforeTheCommitMayPublish() {
    transaction.executeWithoutResult(
        status ->
            TransactionSynchronizationManager.registerSynchronization(
                new TransactionSynchronization() {
                  @Override
                  public void beforeCommit(boolean readOnly) {
                    spring.publish(ofAccount("before commit"));
                  }

                  @Override
                  public void beforeCompletion() {
                    spring.publish(ofAccount("before completion"));
                  }
                }));
    assertThat(database.stored()).containsExactly("before commit", "before completion");
    assertThat(database.statements()).isEqualTo(1);
  }

  @Test
  void callbacksAfterTheCommitAreRefusedUnlessInATransactionOfTheirOwn() {
    List<String> refused = new ArrayList<>();
    transaction.executeWithoutResult(
        status ->
            TransactionSynchronizationManager.registerSynchronization(
                new TransactionSynchronization() {
                  @Override
                  public void afterCommit() {
                    refuse("after commit");
                  }

                  @Override
                  public void afterCompletion(int outcome) {
                    refuse("after completion");
                  }

                  private void refuse(String when) {
                    assertThatThrownBy(() -> spring.publish(ofAccount(when)))
                        .isInstanceOf(OutboxException.class)
                        .hasMessageContaining("is over");
                    template(PROPAGATION_REQUIRES_NEW)
                        .executeWithoutResult(own -> spring.publish(ofAccount("own, " + when)));
                    refused.add(when);
                  }
                }));
    assertThat(refused).containsExactly("after commit", "after completion");
    assertThat(database.stored()).containsExactly("own, after commit", "own, after completion");
  }

  @Test
  void outboxMayKnowTheDataSourceBehindAProxy() {
    SpringOutbox behind =
        new SpringOutbox(new Outbox(new TransactionAwareDataSourceProxy(database.pool)), manager);
    transaction.executeWithoutResult(status -> behind.publish(ofAccount("1")));
    assertThat(database.stored()).containsExactly("1");
  }

  @Test
  void eachOutboxHasItsOwnMessages() {
    SpringOutbox second = new SpringOutbox(outbox, manager);
    transaction.executeWithoutResult(
        status -> {
          spring.publish(ofAccount("1"));
          second.publish(ofAccount("2"));
        });
    assertThat(database.stored()).containsExactly("1", "2");
    assertThat(database.statements()).isEqualTo(2);
  }

  private void addByJdbc(long amount) {
    new JdbcTemplate(database.pool).update("UPDATE account SET balance = balance + ?", amount);
  }

  private TransactionTemplate template(int propagation) {
    TransactionTemplate template = new TransactionTemplate(manager);
    template.setPropagationBehavior(propagation);
    return template;
  }

  @Test
  void sampleOfTheReferenceRuns() {
    try (AnnotationConfigApplicationContext context = new AnnotationConfigApplicationContext()) {
      context.registerBean(Outbox.class, () -> outbox);
      context.registerBean(PlatformTransactionManager.class, () -> manager);
      context.registerBean(JdbcTemplate.class, () -> new JdbcTemplate(database.pool));
      context.register(Beans.class);
      context.refresh();
      context.getBean(Accounts.class).deposit("a", 7);
    }
    assertThat(database.balance()).isEqualTo(7);
    assertThat(database.stored()).containsExactly("7");
  }

  @Configuration(proxyBeanMethods = false)
  @EnableTransactionManagement
  static class Beans {

    // tag::spring[]
    @Bean
    SpringOutbox springOutbox(Outbox outbox, PlatformTransactionManager transactionManager) {
      return new SpringOutbox(outbox, transactionManager);
    }

    // end::spring[]

    @Bean
    Accounts accounts(JdbcTemplate jdbc, SpringOutbox outbox) {
      return new Accounts(jdbc, outbox);
    }
  }

  static class Accounts {

    private final JdbcTemplate jdbc;
    private final SpringOutbox outbox;

    Accounts(JdbcTemplate jdbc, SpringOutbox outbox) {
      this.jdbc = jdbc;
      this.outbox = outbox;
    }

    // tag::transactional[]
    @Transactional
    public void deposit(String id, long amount) {
      jdbc.update("UPDATE account SET balance = balance + ? WHERE id = ?", amount, id);
      outbox.publish(OutboxMessage.of("accounts", id, Long.toString(amount).getBytes(UTF_8)));
    }
    // end::transactional[]
  }
}

package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxDatabase.ofAccount;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.springframework.transaction.TransactionDefinition.PROPAGATION_REQUIRES_NEW;

import dev.lockstep.outbox.spring.SpringOutbox;
import dev.lockstep.testkit.postgres.PostgresServer;
import jakarta.persistence.EntityManager;
import jakarta.persistence.EntityManagerFactory;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.dao.OptimisticLockingFailureException;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;
import org.springframework.orm.jpa.SharedEntityManagerCreator;
import org.springframework.orm.jpa.persistenceunit.PersistenceManagedTypes;
import org.springframework.orm.jpa.vendor.HibernateJpaVendorAdapter;
import org.springframework.transaction.support.TransactionTemplate;

/** Hibernate writes when the transaction commits: messages must come behind that. */
class SpringJpaOutboxIT {

  @TempDir static Path directory;
  private static PostgresServer postgres;

  private final AtomicInteger told = new AtomicInteger();
  private OutboxDatabase database;
  private LocalContainerEntityManagerFactoryBean factoryBean;
  private EntityManager entities;
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
    factoryBean = new LocalContainerEntityManagerFactoryBean();
    factoryBean.setPersistenceUnitName("accounts");
    factoryBean.setDataSource(database.pool);
    factoryBean.setManagedTypes(PersistenceManagedTypes.of(Account.class.getName()));
    factoryBean.setJpaVendorAdapter(new HibernateJpaVendorAdapter());
    factoryBean.afterPropertiesSet();
    EntityManagerFactory factory = factoryBean.getObject();
    entities = SharedEntityManagerCreator.createSharedEntityManager(factory);
    JpaTransactionManager manager = new JpaTransactionManager(factory);
    spring = new SpringOutbox(OutboxDatabase.counting(database.pool, told), manager);
    transaction = new TransactionTemplate(manager);
  }

  @AfterEach
  void closePool() {
    factoryBean.destroy();
    database.close();
  }

  @Test
  void entityAndMessagesShareTheCommit() {
    transaction.executeWithoutResult(
        status -> {
          spring.publish(ofAccount("1"));
          account().add(7);
          spring.publish(ofAccount("2"));
        });
    assertThat(database.balance()).isEqualTo(7);
    assertThat(database.stored()).containsExactly("1", "2");
    assertThat(database.statements()).isEqualTo(1);
    assertThat(told).hasValue(1);
  }

  @Test
  void entityAndMessagesShareTheRollback() {
    transaction.executeWithoutResult(
        status -> {
          account().add(7);
          spring.publish(ofAccount("dropped"));
          status.setRollbackOnly();
        });
    assertThat(database.balance()).isZero();
    assertThat(database.stored()).isEmpty();
    assertThat(told).hasValue(0);
  }

  @Test
  void innerTransactionCommitsAlone() {
    TransactionTemplate requiresNew = new TransactionTemplate(transaction.getTransactionManager());
    requiresNew.setPropagationBehavior(PROPAGATION_REQUIRES_NEW);
    transaction.executeWithoutResult(
        outer -> {
          spring.publish(ofAccount("dropped"));
          requiresNew.executeWithoutResult(
              inner -> {
                account().add(1);
                spring.publish(ofAccount("inner"));
              });
          outer.setRollbackOnly();
        });
    assertThat(database.balance()).isEqualTo(1);
    assertThat(database.stored()).containsExactly("inner");
  }

  /** Stored before Hibernate flushes, the message would be published before the first writer's. */
  @Test
  void numberIsDrawnBehindTheRowLockOfTheEntity() throws SQLException {
    database.assertNumberIsDrawnBehindTheLock(
        () ->
            transaction.executeWithoutResult(
                status -> {
                  spring.publish(ofAccount("second"));
                  account().add(1);
                }));
  }

  @Test
  void entityMayPublishWhenItIsWritten() {
    transaction.executeWithoutResult(
        status -> {
          Account account = account();
          account.whenWritten = () -> spring.publish(ofAccount("written"));
          account.add(1);
        });
    assertThat(database.stored()).containsExactly("written");
    assertThat(told).hasValue(1);
  }

  @Test
  void failureOfTheFlushIsThatOfTheCommit() {
    assertThatThrownBy(
            () ->
                transaction.executeWithoutResult(
                    status -> {
                      account().add(1);
                      spring.publish(ofAccount("dropped"));
                      try {
                        database.execute("DELETE FROM account");
                      } catch (SQLException e) {
                        throw new AssertionError(e);
                      }
                    }))
        .isInstanceOf(OptimisticLockingFailureException.class);
    assertThat(database.stored()).isEmpty();
    assertThat(told).hasValue(0);
  }

  @Test
  void refusedWithoutATransaction() {
    assertThatThrownBy(() -> spring.publish(ofAccount("1")))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("outside a transaction");
  }

  private Account account() {
    return entities.find(Account.class, "a");
  }
}

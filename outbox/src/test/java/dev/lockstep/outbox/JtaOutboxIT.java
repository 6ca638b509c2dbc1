package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxDatabase.ofAccount;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.arjuna.ats.arjuna.common.ObjectStoreEnvironmentBean;
import com.arjuna.ats.arjuna.common.arjPropertyManager;
import com.arjuna.ats.internal.arjuna.objectstore.VolatileStore;
import com.arjuna.ats.internal.jta.transaction.arjunacore.TransactionSynchronizationRegistryImple;
import com.arjuna.common.internal.util.propertyservice.BeanPopulator;
import dev.lockstep.outbox.jta.JtaOutbox;
import dev.lockstep.testkit.postgres.PostgresServer;
import io.agroal.api.AgroalDataSource;
import io.agroal.api.configuration.supplier.AgroalDataSourceConfigurationSupplier;
import io.agroal.narayana.NarayanaTransactionIntegration;
import jakarta.transaction.RollbackException;
import jakarta.transaction.Synchronization;
import jakarta.transaction.Transaction;
import jakarta.transaction.TransactionManager;
import jakarta.transaction.TransactionSynchronizationRegistry;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.hibernate.SessionFactory;
import org.hibernate.cfg.AvailableSettings;
import org.hibernate.cfg.Configuration;
import org.hibernate.engine.transaction.jta.platform.internal.JBossStandAloneJtaPlatform;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.xa.PGXADataSource;

/** A JTA transaction manager ends the transaction, with XA connections of PostgreSQL. */
class JtaOutboxIT {

  @FunctionalInterface
  private interface Work {

    void run() throws Exception;
  }

  @TempDir static Path directory;
  private static PostgresServer postgres;
  private static TransactionManager manager;
  private static TransactionSynchronizationRegistry registry;
  private static int databases;

  private final AtomicInteger told = new AtomicInteger();
  private OutboxDatabase database;
  private AgroalDataSource dataSource;
  private JtaOutbox jta;

  @BeforeAll
  static void startServer() throws Exception {
    postgres = PostgresServer.start(directory.resolve("pg"));
    // no log of transactions on disk, and no server for their status
    for (String store : Arrays.asList(null, "stateStore", "communicationStore")) {
      BeanPopulator.getNamedInstance(ObjectStoreEnvironmentBean.class, store)
          .setObjectStoreType(VolatileStore.class.getName());
    }
    arjPropertyManager.getCoreEnvironmentBean().setNodeIdentifier("test");
    arjPropertyManager.getCoordinatorEnvironmentBean().setTransactionStatusManagerEnable(false);
    manager = com.arjuna.ats.jta.TransactionManager.transactionManager();
    registry = new TransactionSynchronizationRegistryImple();
  }

  @AfterAll
  static void stopServer() {
    postgres.close();
  }

  @BeforeEach
  void createOutbox(TestInfo test) throws SQLException {
    String name = test.getTestMethod().orElseThrow().getName();
    database = new OutboxDatabase(postgres, "d" + databases++ + "_" + name);
    dataSource = pool(database);
    jta = new JtaOutbox(OutboxDatabase.counting(dataSource, told), registry);
  }

  @AfterEach
  void closePool() throws Exception {
    if (manager.getTransaction() != null) {
      // a test failed inside: the next must find a free thread
      manager.rollback();
    }
    dataSource.close();
    database.close();
  }

  @Test
  void commitStoresAllByOneStatementAndTellsOnce() throws Exception {
    commit(
        () -> {
          jta.publish(ofAccount("1"));
          addByJdbc(dataSource);
          jta.publish(ofAccount("2"));
          assertThat(database.stored()).isEmpty();
        });
    assertThat(database.balance()).isEqualTo(1);
    assertThat(database.stored()).containsExactly("1", "2");
    assertThat(database.statements()).isEqualTo(1);
    assertThat(told).hasValue(1);
  }

  @Test
  void rollbackDropsAll() throws Exception {
    manager.begin();
    addByJdbc(dataSource);
    jta.publish(ofAccount("dropped"));
    manager.rollback();
    commit(() -> {});
    assertThat(database.balance()).isZero();
    assertThat(database.stored()).isEmpty();
    assertThat(told).hasValue(0);
  }

  @Test
  void messagesArePreparedWithOtherDatabases() throws Exception {
    try (OutboxDatabase other = new OutboxDatabase(postgres, "other");
        AgroalDataSource elsewhere = pool(other)) {
      commit(
          () -> {
            addByJdbc(elsewhere);
            jta.publish(ofAccount("1"));
          });
      assertThat(other.balance()).isEqualTo(1);
      assertThat(database.stored()).containsExactly("1");
      assertThat(told).hasValue(1);
    }
  }

  @Test
  void suspendedTransactionKeepsItsMessages() throws Exception {
    manager.begin();
    jta.publish(ofAccount("outer"));
    Transaction outer = manager.suspend();
    commit(() -> jta.publish(ofAccount("inner")));
    assertThat(database.stored()).containsExactly("inner");
    manager.resume(outer);
    manager.rollback();
    assertThat(database.stored()).containsExactly("inner");
    assertThat(told).hasValue(1);
  }

  @Test
  void publishesForNothingInATransactionThatIsMarkedForRollback() throws Exception {
    manager.begin();
    jta.publish(ofAccount("dropped"));
    manager.setRollbackOnly();
    jta.publish(ofAccount("dropped"));
    assertThatThrownBy(manager::commit).isInstanceOf(RollbackException.class);
    manager.begin();
    manager.setRollbackOnly();
    jta.publish(ofAccount("dropped"));
    manager.rollback();
    assertThat(database.stored()).isEmpty();
    assertThat(told).hasValue(0);
  }

  @Test
  void refusedWithoutATransaction() {
    assertThatThrownBy(() -> jta.publish(ofAccount("1")))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("outside a transaction");
  }

  @Test
  void refusedWhenConnectionsTakeNoPart() throws Exception {
    JtaOutbox local = new JtaOutbox(new Outbox(database.pool), registry);
    commit(
        () ->
            assertThatThrownBy(() -> local.publish(ofAccount("1")))
                .isInstanceOf(OutboxException.class)
                .hasMessageContaining("auto-commit"));
    assertThat(database.stored()).isEmpty();
  }

  @Test
  void failureToStoreRollsBack() throws Exception {
    database.execute("ALTER TABLE lockstep_outbox ADD CHECK (payload <> 'poison')");
    assertThatThrownBy(
            () ->
                commit(
                    () -> {
                      addByJdbc(dataSource);
                      jta.publish(ofAccount("poison"));
                    }))
        .isInstanceOf(RollbackException.class)
        .hasStackTraceContaining("could not be stored");
    assertThat(database.balance()).isZero();
    assertThat(told).hasValue(0);
  }

  @Test
  void callbacksMayPublishUntilTheCommit() throws Exception {
    commit(
        () -> {
          manager
              .getTransaction()
              .registerSynchronization(before(() -> jta.publish(ofAccount("1"))));
          registry.registerInterposedSynchronization(
              before(
                  () -> {
                    jta.publish(ofAccount("2"));
                    registry.registerInterposedSynchronization(
                        before(() -> jta.publish(ofAccount("3"))));
                  }));
        });
    assertThat(database.stored()).containsExactly("1", "2", "3");
    assertThat(told).hasValue(1);
  }

  /** Behind the last that stores: stored at once, as nobody would later. */
  @Test
  void whatIsPublishedBehindAllIsStoredAtOnce() throws Exception {
    commit(
        () -> {
          jta.publish(ofAccount("1"));
          registry.registerInterposedSynchronization(
              before(
                  () ->
                      registry.registerInterposedSynchronization(
                          before(() -> jta.publish(ofAccount("2"))))));
        });
    assertThat(database.stored()).containsExactly("1", "2");
    assertThat(database.statements()).isEqualTo(2);
    assertThat(told).hasValue(1);
  }

  @Test
  void callbackAfterTheCommitIsRefused() throws Exception {
    AtomicInteger refused = new AtomicInteger();
    commit(
        () ->
            registry.registerInterposedSynchronization(
                new Synchronization() {
                  @Override
                  public void beforeCompletion() {}

                  @Override
                  public void afterCompletion(int status) {
                    assertThatThrownBy(() -> jta.publish(ofAccount("1")))
                        .isInstanceOf(OutboxException.class)
                        .hasMessageContaining("outside a transaction");
                    refused.incrementAndGet();
                  }
                }));
    assertThat(refused).hasValue(1);
    assertThat(database.stored()).isEmpty();
  }

  /** Application servers let Hibernate flush in an interposed synchronization, others do not. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void numberIsDrawnBehindTheRowLockOfTheEntity(boolean interposed) throws Exception {
    try (SessionFactory sessions = sessions(interposed)) {
      database.assertNumberIsDrawnBehindTheLock(
          () ->
              commitUnchecked(
                  () -> {
                    jta.publish(ofAccount("second"));
                    sessions.getCurrentSession().find(Account.class, "a").add(1);
                  }));
    }
    assertThat(database.balance()).isEqualTo(1);
    assertThat(told).hasValue(1);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void entityMayPublishWhenItIsWritten(boolean interposed) throws Exception {
    try (SessionFactory sessions = sessions(interposed)) {
      commit(
          () -> {
            Account account = sessions.getCurrentSession().find(Account.class, "a");
            account.whenWritten = () -> jta.publish(ofAccount("written"));
            account.add(1);
          });
    }
    assertThat(database.stored()).containsExactly("written");
    assertThat(told).hasValue(1);
  }

  @Test
  void sampleOfTheReferenceRuns() throws Exception {
    long amount = 7;
    // tag::jta[]
    JtaOutbox outbox = new JtaOutbox(new Outbox(dataSource), registry);

    manager.begin();
    try (Connection connection = dataSource.getConnection();
        PreparedStatement update =
            connection.prepareStatement("UPDATE account SET balance = balance + ?")) {
      update.setLong(1, amount);
      update.executeUpdate();
    }
    outbox.publish(OutboxMessage.of("accounts", "a", Long.toString(amount).getBytes(UTF_8)));
    manager.commit();
    // end::jta[]
    assertThat(database.balance()).isEqualTo(7);
    assertThat(database.stored()).containsExactly("7");
  }

  private static void commit(Work work) throws Exception {
    manager.begin();
    try {
      work.run();
    } catch (Throwable thrown) {
      manager.rollback();
      throw thrown;
    }
    manager.commit();
  }

  private static void commitUnchecked(Work work) {
    try {
      commit(work);
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static Synchronization before(Runnable callback) {
    return new Synchronization() {
      @Override
      public void beforeCompletion() {
        callback.run();
      }

      @Override
      public void afterCompletion(int status) {}
    };
  }

  private static void addByJdbc(DataSource to) throws SQLException {
    try (Connection connection = to.getConnection();
        PreparedStatement update =
            connection.prepareStatement("UPDATE account SET balance = balance + 1")) {
      update.executeUpdate();
    }
  }

  private static AgroalDataSource pool(OutboxDatabase database) throws SQLException {
    return AgroalDataSource.from(
        new AgroalDataSourceConfigurationSupplier()
            .connectionPoolConfiguration(
                pool ->
                    pool.maxSize(5)
                        .transactionIntegration(
                            new NarayanaTransactionIntegration(manager, registry))
                        .connectionFactoryConfiguration(
                            factory ->
                                factory
                                    .connectionProviderClass(PGXADataSource.class)
                                    .jdbcUrl(database.url))));
  }

  private SessionFactory sessions(boolean interposed) {
    Configuration configuration = new Configuration().addAnnotatedClass(Account.class);
    configuration.getProperties().put(AvailableSettings.JAKARTA_JTA_DATASOURCE, dataSource);
    configuration.setProperty(AvailableSettings.TRANSACTION_COORDINATOR_STRATEGY, "jta");
    configuration.setProperty(AvailableSettings.CURRENT_SESSION_CONTEXT_CLASS, "jta");
    configuration
        .getProperties()
        .put(
            AvailableSettings.JTA_PLATFORM,
            interposed ? new InterposingPlatform() : new JBossStandAloneJtaPlatform());
    return configuration.buildSessionFactory();
  }

  /** As Hibernate has it in application servers. */
  private static final class InterposingPlatform extends JBossStandAloneJtaPlatform {

    private static final long serialVersionUID = 1L;

    @Override
    public void registerSynchronization(Synchronization synchronization) {
      registry.registerInterposedSynchronization(synchronization);
    }
  }
}

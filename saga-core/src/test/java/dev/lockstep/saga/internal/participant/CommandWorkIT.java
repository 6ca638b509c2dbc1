package dev.lockstep.saga.internal.participant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.saga.Answer;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.StepContext;
import dev.lockstep.saga.internal.BarrierMigration;
import dev.lockstep.saga.internal.Payloads;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.StepCommand;
import dev.lockstep.schema.saga.StepOutcome;
import dev.lockstep.schema.saga.StepReply;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A participant's commands on a real database: repeats, wrong order, crashes, failures. */
class CommandWorkIT {

  record Charge(String saga, long cents) {}

  record Refund(String saga, long cents) {}

  record Charged(String receipt) {}

  @TempDir static Path directory;
  private static PostgresServer postgres;
  private static HikariDataSource dataSource;
  private static Outbox outbox;

  private final Payloads payloads = new Payloads(SchemaCatalog.of(Charged.class));
  private Answer next = Answer.success();
  private @Nullable RuntimeException thrown;
  private Runnable before = () -> {};

  @BeforeAll
  static void startDatabase() {
    postgres = PostgresServer.start(directory.resolve("pg"));
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(postgres.createDatabase("bank"));
    dataSource = new HikariDataSource(pool);
    outbox = new Outbox(dataSource);
    outbox.migrate();
    BarrierMigration.run(dataSource);
    BarrierMigration.run(dataSource);
    execute("CREATE TABLE account (cents bigint NOT NULL)");
    execute("INSERT INTO account VALUES (0)");
  }

  @AfterAll
  static void stopDatabase() {
    dataSource.close();
    postgres.close();
  }

  @BeforeEach
  void emptyTheAccount() {
    execute("UPDATE account SET cents = 0");
    execute("DELETE FROM lockstep_barrier");
  }

  private final CommandWork work =
      new CommandWork(
          Participant.named("bank")
              .on(Charge.class, (context, c) -> move(context, c.cents()))
              .on(Refund.class, (context, r) -> move(context, -r.cents())));

  private Answer move(StepContext context, long cents) throws SQLException {
    before.run();
    try (var update =
        context.tx().connection().prepareStatement("UPDATE account SET cents = cents + ?")) {
      update.setLong(1, cents);
      update.executeUpdate();
    }
    if (thrown != null) {
      throw thrown;
    }
    return next;
  }

  private StepCommand command(Direction direction, int attempt) {
    Object payload =
        direction == Direction.COMPENSATION ? new Refund("s1", 100) : new Charge("s1", 100);
    ByteBuffer bytes =
        direction == Direction.CANCEL ? ByteBuffer.allocate(0) : payloads.encode(payload);
    return new StepCommand(
        "s1", "pay", "charge", direction, attempt, Payloads.hash(bytes), 0L, bytes, List.of());
  }

  private StepReply run(Direction direction, int attempt) throws SQLException {
    StepReply reply = outbox.callInTransaction(tx -> work.run(tx, command(direction, attempt)));
    assertThat(reply).isNotNull();
    return reply;
  }

  private static long cents() {
    try (Connection connection = dataSource.getConnection();
        ResultSet row = connection.createStatement().executeQuery("SELECT cents FROM account")) {
      row.next();
      return row.getLong(1);
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  private static void execute(String sql) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void repeatIsAnsweredWithTheKeptReply() throws SQLException {
    next = Answer.success(new Charged("R-1"));
    StepReply first = run(Direction.ACTION, 1);
    next = Answer.success(new Charged("R-2"));

    StepReply repeat = run(Direction.ACTION, 1);

    assertThat(cents()).isEqualTo(100);
    assertThat(payloads.decode(repeat.getPayload())).isEqualTo(new Charged("R-1"));
    assertThat(repeat.getContentHash()).isEqualTo(first.getContentHash());
  }

  /** Execution K4 of the kernel review: a slow first attempt and a second one. */
  @Test
  void anotherAttemptIsNotAnotherCharge() throws SQLException {
    run(Direction.ACTION, 1);

    assertThat(run(Direction.ACTION, 2).getOutcome()).isEqualTo(StepOutcome.SUCCESS);
    assertThat(cents()).isEqualTo(100);
  }

  @Test
  void twoAttemptsAtTheSameTimeTakeEffectOnce() throws Exception {
    CountDownLatch both = new CountDownLatch(1);
    CountDownLatch inside = new CountDownLatch(1);
    before =
        () -> {
          inside.countDown();
          awaitLatch(both);
        };
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      Future<StepReply> slow = threads.submit(() -> run(Direction.ACTION, 1));
      awaitLatch(inside);
      Future<StepReply> second = threads.submit(() -> run(Direction.ACTION, 2));
      both.countDown();

      assertThat(slow.get(20, TimeUnit.SECONDS).getOutcome()).isEqualTo(StepOutcome.SUCCESS);
      assertThat(second.get(20, TimeUnit.SECONDS).getOutcome()).isEqualTo(StepOutcome.SUCCESS);
    } finally {
      threads.shutdownNow();
    }
    assertThat(cents()).isEqualTo(100);
  }

  private static void awaitLatch(CountDownLatch latch) {
    try {
      assertThat(latch.await(20, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void compensationUndoesAnActionOnce() throws SQLException {
    run(Direction.ACTION, 1);

    assertThat(run(Direction.COMPENSATION, 1).getOutcome()).isEqualTo(StepOutcome.SUCCESS);
    assertThat(run(Direction.COMPENSATION, 2).getOutcome()).isEqualTo(StepOutcome.SUCCESS);
    assertThat(cents()).isZero();
  }

  @Test
  void compensationBeforeItsActionDoesNothingAndRefusesTheAction() throws SQLException {
    assertThat(run(Direction.COMPENSATION, 1).getReason()).isEqualTo("Nothing was done");

    StepReply late = outbox.callInTransaction(tx -> work.run(tx, command(Direction.ACTION, 1)));

    assertThat(cents()).isZero();
    assertThat(late == null ? null : late.getOutcome()).isNotEqualTo(StepOutcome.SUCCESS);
  }

  /** Execution K8 of the kernel review: no reply, compensated, then the charge executes late. */
  @Test
  void cancelledActionNeverHappens() throws SQLException {
    assertThat(run(Direction.CANCEL, 1).getOutcome()).isEqualTo(StepOutcome.CANCELLED);

    outbox.inTransaction(tx -> work.run(tx, command(Direction.ACTION, 1)));

    assertThat(cents()).isZero();
    assertThat(run(Direction.CANCEL, 2).getOutcome()).isEqualTo(StepOutcome.CANCELLED);
  }

  @Test
  void cancelOfADoneActionTellsThatItWasDone() throws SQLException {
    StepReply done = run(Direction.ACTION, 1);

    StepReply answer = run(Direction.CANCEL, 1);

    assertThat(answer.getOutcome()).isEqualTo(StepOutcome.SUCCESS);
    assertThat(answer.getContentHash()).isEqualTo(done.getContentHash());
    assertThat(cents()).isEqualTo(100);
  }

  @Test
  void businessFailureIsFinalAndUndoesWhatTheHandlerWrote() throws SQLException {
    next = Answer.failure("card declined");
    assertThat(run(Direction.ACTION, 1).getOutcome()).isEqualTo(StepOutcome.FAILURE);
    next = Answer.success();

    StepReply repeat = run(Direction.ACTION, 2);

    assertThat(repeat.getOutcome()).isEqualTo(StepOutcome.FAILURE);
    assertThat(repeat.getReason()).isEqualTo("card declined");
    assertThat(cents()).isZero();
    // nothing to undo for something that was refused
    assertThat(run(Direction.COMPENSATION, 1).getReason()).isEqualTo("Nothing was done");
    assertThat(cents()).isZero();
  }

  @Test
  void technicalFailureLeavesTheWayFree() throws SQLException {
    next = Answer.retry(Duration.ofMillis(70), "terminal is busy");
    StepReply busy = run(Direction.ACTION, 1);
    assertThat(busy.getOutcome()).isEqualTo(StepOutcome.RETRY);
    assertThat(busy.getRetryAfterMillis()).isEqualTo(70);
    thrown = new IllegalStateException("who knows");
    assertThat(run(Direction.ACTION, 2).getOutcome()).isEqualTo(StepOutcome.RETRY);
    assertThat(cents()).isZero();
    thrown = null;
    next = Answer.success();

    assertThat(run(Direction.ACTION, 3).getOutcome()).isEqualTo(StepOutcome.SUCCESS);
    assertThat(cents()).isEqualTo(100);
  }

  @Test
  void failedStatementDoesNotPoisonTheTransaction() throws SQLException {
    before = () -> thrown = null;
    StepReply reply =
        outbox.callInTransaction(
            tx -> {
              StepReply bad =
                  new CommandWork(
                          Participant.named("bank")
                              .on(
                                  Charge.class,
                                  (context, c) -> {
                                    try (Statement statement =
                                        context.tx().connection().createStatement()) {
                                      statement.execute("SELECT no_such_column FROM account");
                                    }
                                    return Answer.success();
                                  }))
                      .run(tx, command(Direction.ACTION, 1));
              // the next command of the batch, in the same transaction
              StepCommand other =
                  new StepCommand(
                      "s2",
                      "pay",
                      "charge",
                      Direction.ACTION,
                      1,
                      1L,
                      0L,
                      payloads.encode(new Charge("s2", 7)),
                      List.of());
              work.run(tx, other);
              return bad;
            });

    assertThat(reply).isNotNull();
    assertThat(reply.getOutcome()).isEqualTo(StepOutcome.RETRY);
    assertThat(cents()).isEqualTo(7);
  }

  @Test
  void staleTokenIsNeitherAFailureNorKept() throws SQLException {
    next = Answer.staleToken("token 5 is below 7");
    assertThat(run(Direction.ACTION, 1).getOutcome()).isEqualTo(StepOutcome.STALE_TOKEN);
    next = Answer.success();

    assertThat(run(Direction.ACTION, 2).getOutcome()).isEqualTo(StepOutcome.SUCCESS);
    assertThat(cents()).isEqualTo(100);
  }

  @Test
  void crashBeforeTheCommitLeavesNothing() throws SQLException {
    assertThatThrownBy(
            () ->
                outbox.inTransaction(
                    tx -> {
                      work.run(tx, command(Direction.ACTION, 1));
                      throw new SQLException("connection is gone");
                    }))
        .isInstanceOf(SQLException.class);
    assertThat(cents()).isZero();

    assertThat(run(Direction.ACTION, 1).getOutcome()).isEqualTo(StepOutcome.SUCCESS);
    assertThat(cents()).isEqualTo(100);
  }
}

package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.lock.LeaderElection.Term;
import dev.lockstep.lock.LockHistory.Holding;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import javax.sql.DataSource;
import net.javacrumbs.shedlock.core.DefaultLockingTaskExecutor;
import net.javacrumbs.shedlock.core.LockConfiguration;
import net.javacrumbs.shedlock.core.SimpleLock;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is built on locks, against a real broker. */
class LockRecipesIT {

  private static final Duration WAIT = Duration.ofSeconds(20);

  @TempDir static Path directory;
  private static LockWorld world;
  private static LockClient client;

  @BeforeAll
  static void start() {
    world = new LockWorld(directory);
    client = world.client();
  }

  @AfterAll
  static void stop() {
    client.close();
    world.close();
  }

  /** Notes its terms; fails when two lead at once. */
  private static final class Member implements LeaderElection.Candidate {
    private final AtomicInteger leading;
    private final Queue<Long> terms;

    Member(AtomicInteger leading, Queue<Long> terms) {
      this.leading = leading;
      this.terms = terms;
    }

    @Override
    public void elected(Term term) {
      if (leading.incrementAndGet() != 1) {
        terms.add(-1L);
      }
      terms.add(term.token());
    }

    @Override
    public void lost(Term term) {
      leading.decrementAndGet();
    }
  }

  @Test
  void oneLeadsAndTermsRise() {
    AtomicInteger leading = new AtomicInteger();
    Queue<Long> terms = new ConcurrentLinkedQueue<>();
    List<LockClient> clients = new ArrayList<>();
    List<LeaderElection> elections = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      LockClient own = world.client();
      clients.add(own);
      elections.add(LeaderElection.join(own, "leader", "member-" + i, new Member(leading, terms)));
    }
    await().atMost(WAIT).until(() -> terms.size() == 1);

    for (int round = 2; round <= 4; round++) {
      int expected = round;
      LeaderElection leader =
          elections.stream().filter(e -> e.leads().isPresent()).findFirst().orElseThrow();
      leader.resign();
      await().atMost(WAIT).until(() -> terms.size() == expected);
    }
    elections.forEach(LeaderElection::close);
    clients.forEach(LockClient::close);

    assertThat(List.copyOf(terms)).doesNotContain(-1L).isSorted().doesNotHaveDuplicates();
    assertThat(leading).hasValue(0);
  }

  @Test
  void leaderWhoseClientEndsIsReplaced() {
    AtomicInteger leading = new AtomicInteger();
    Queue<Long> terms = new ConcurrentLinkedQueue<>();
    LockClient first = world.client();
    LeaderElection one = LeaderElection.join(first, "replaced", "one", new Member(leading, terms));
    await().atMost(WAIT).until(() -> one.leads().isPresent());
    try (LockClient second = world.client();
        LeaderElection two =
            LeaderElection.join(second, "replaced", "two", new Member(leading, terms))) {
      first.close();

      await().atMost(WAIT).until(() -> two.leads().isPresent());
      assertThat(one.leads()).isEmpty();
    }
    one.close();
    assertThat(terms).doesNotContain(-1L).hasSize(2);
  }

  /**
   * Found by a reader of the code: it was told of its election behind its own end, and for good.
   */
  @Test
  void candidateThatLeavesWhileItWinsDoesNotBelieveItLeads() {
    AtomicInteger leading = new AtomicInteger();
    Queue<Long> terms = new ConcurrentLinkedQueue<>();
    for (int i = 0; i < 100; i++) {
      LeaderElection one =
          LeaderElection.join(client, "leaving", "one", new Member(leading, terms));
      // around the time that a reply takes
      LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(100L * i));
      one.close();
    }
    await().during(Duration.ofMillis(500)).atMost(WAIT).until(() -> leading.get() == 0);
    assertThat(terms).doesNotContain(-1L);
  }

  @Test
  void observerIsToldWhoLeads() {
    AtomicInteger leading = new AtomicInteger();
    Queue<Long> terms = new ConcurrentLinkedQueue<>();
    Queue<Optional<LeaderObserver.Leader>> told = new ConcurrentLinkedQueue<>();
    try (LeaderObserver observer = LeaderObserver.watch(world.config(), "observed", told::add)) {
      await().atMost(WAIT).until(() -> told.size() == 1);
      try (LeaderElection one =
          LeaderElection.join(client, "observed", "one", new Member(leading, terms))) {
        await().atMost(WAIT).until(() -> told.size() == 2);
        // the observer may hear of it before the candidate
        await().atMost(WAIT).until(() -> one.leads().isPresent());
        assertThat(observer.leader().orElseThrow().term()).isEqualTo(one.leads().orElseThrow());
        assertThat(observer.leader().orElseThrow().name()).isEqualTo("one");
      }
      await().atMost(WAIT).until(() -> told.size() == 3);
    }
    assertThat(told).extracting(Optional::isPresent).containsExactly(false, true, false);
  }

  @Test
  void jobRunsOnceWhoeverIsDue() throws Exception {
    // what a slow machine may take between the two runs
    Duration least = Duration.ofSeconds(8);
    JobLock job = JobLock.of(client, "job", Duration.ofMinutes(1), least);
    try (LockClient other = world.client()) {
      JobLock same = JobLock.of(other, "job", Duration.ofMinutes(1), least);

      assertThat(job.run(() -> "done")).hasValue("done");
      assertThat(same.run(() -> "again")).as("kept for at least 8 s").isEmpty();
      await()
          .atMost(WAIT)
          .untilAsserted(() -> assertThat(same.run(() -> "later")).hasValue("later"));
    }
  }

  @Test
  void jobThatHangsDoesNotStopTheNext() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch hangs = new CountDownLatch(1);
    JobLock job = JobLock.of(client, "hang", Duration.ofSeconds(1), Duration.ZERO);
    Thread first =
        new Thread(
            () -> {
              try {
                job.run(
                    () -> {
                      begun.countDown();
                      return hangs.await(1, TimeUnit.MINUTES);
                    });
              } catch (Exception e) {
                throw new IllegalStateException(e);
              }
            });
    first.start();
    assertThat(begun.await(20, TimeUnit.SECONDS)).isTrue();

    await().atMost(WAIT).untilAsserted(() -> assertThat(job.run(() -> "next")).isPresent());
    hangs.countDown();
    first.join(10_000);
  }

  @Test
  void jobNeedsTimesThatFit() {
    assertThatThrownBy(
            () -> JobLock.of(client, "job", Duration.ofSeconds(1), Duration.ofSeconds(2)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("not below at least PT2S");
  }

  /** A closed client gave its jobs' locks back at once: the service keeps them free now. */
  @Test
  void jobIsNotRunTwiceWithinAtLeastThoughItsClientIsClosed() throws Exception {
    Duration most = Duration.ofMinutes(1);
    Duration least = Duration.ofSeconds(8);
    try (LockClient one = world.client()) {
      assertThat(JobLock.of(one, "closed job", most, least).run(() -> 1)).hasValue(1);
    }
    JobLock second = JobLock.of(client, "closed job", most, least);
    assertThat(second.run(() -> 2)).isEmpty();
    await().atMost(WAIT).until(() -> second.run(() -> 3).isPresent());
  }

  @Test
  void latchOpensWhenAllHaveCounted() throws Exception {
    try (LockClient other = world.client()) {
      DistributedLatch latch = client.latch("start");
      DistributedLatch same = other.latch("start");
      assertThat(same.count().get(20, TimeUnit.SECONDS)).isZero();
      same.await(WAIT);
      assertThat(latch.close(3, "test").get(20, TimeUnit.SECONDS)).isTrue();
      assertThat(same.close(9, "other").get(20, TimeUnit.SECONDS)).isFalse();
      CompletableFuture<Void> open = same.awaitAsync(WAIT);

      assertThat(latch.countDown().get(20, TimeUnit.SECONDS)).isEqualTo(2);
      assertThat(same.countDown().get(20, TimeUnit.SECONDS)).isEqualTo(1);
      assertThatThrownBy(() -> same.await(Duration.ofMillis(300)))
          .isInstanceOf(LockTimeoutException.class)
          .hasMessageContaining("held by 'test'");
      assertThat(open).isNotDone();
      assertThat(latch.countDown().get(20, TimeUnit.SECONDS)).isZero();

      open.get(20, TimeUnit.SECONDS);
      latch.await(WAIT);
    }
  }

  /** Who had just passed it still held it, and it was taken for closed. */
  @Test
  void latchThatSomebodyJustPassedCanBeClosed() throws Exception {
    try (LockClient other = world.client()) {
      for (int i = 0; i < 20; i++) {
        DistributedLatch latch = client.latch("passed-" + i);
        other.latch("passed-" + i).await(WAIT);
        assertThat(latch.close(1, "test").get(20, TimeUnit.SECONDS)).isTrue();
      }
    }
  }

  @Test
  void shedLockRunsAJobInOneProcessOnly() throws Exception {
    LockConfiguration job =
        new LockConfiguration(Instant.EPOCH, "shed", Duration.ofMinutes(1), Duration.ofSeconds(8));
    try (LockClient other = world.client()) {
      DefaultLockingTaskExecutor one = new DefaultLockingTaskExecutor(new ShedLockProvider(client));
      DefaultLockingTaskExecutor two = new DefaultLockingTaskExecutor(new ShedLockProvider(other));
      AtomicInteger runs = new AtomicInteger();

      one.executeWithLock((Runnable) runs::incrementAndGet, job);
      two.executeWithLock((Runnable) runs::incrementAndGet, job);

      assertThat(runs).as("kept for at least 8 s").hasValue(1);
      await()
          .atMost(WAIT)
          .until(
              () -> {
                two.executeWithLock((Runnable) runs::incrementAndGet, job);
                return runs.get() == 2;
              });
    }
  }

  @Test
  void shedLockIsExtendedAndGivenBackWhenItsTimeIsOver() throws Exception {
    ShedLockProvider provider = new ShedLockProvider(client);
    LockConfiguration job =
        new LockConfiguration(Instant.EPOCH, "extended", Duration.ofSeconds(5), Duration.ZERO);

    SimpleLock lock = provider.lock(job).orElseThrow();
    long begun = System.nanoTime();
    SimpleLock longer = lock.extend(Duration.ofSeconds(2), Duration.ZERO).orElseThrow();
    await().atMost(WAIT).until(() -> provider.lock(job).isPresent());

    assertThat(Duration.ofNanos(System.nanoTime() - begun)).isGreaterThan(Duration.ofMillis(1900));
    assertThat(longer.extend(Duration.ofSeconds(2), Duration.ZERO)).isEmpty();
  }

  /** Two threads that nest two locks the other way round; on keys of several partitions. */
  @Test
  void oneOfACircleIsToldAndTheOtherGoesOn() throws Exception {
    CyclicBarrier bothHoldOne = new CyclicBarrier(2);
    Queue<LockDeadlockException> told = new ConcurrentLinkedQueue<>();
    AtomicInteger done = new AtomicInteger();
    try (DeadlockDetector detector =
            DeadlockDetector.start(world.config(), Duration.ofMillis(200));
        LockClient other = world.client()) {
      List<Thread> threads =
          List.of(
              nesting(client, "circle-1", "circle-2", bothHoldOne, told, done),
              nesting(other, "circle-2", "circle-1", bothHoldOne, told, done));
      for (Thread thread : threads) {
        thread.join(30_000);
      }

      assertThat(done).hasValue(1);
      assertThat(told)
          .singleElement()
          .satisfies(
              error ->
                  assertThat(error)
                      .hasMessageContaining("'circle-1'")
                      .hasMessageContaining("'circle-2'")
                      .hasMessageContaining("holds under token"));
      assertThat(detector.broken()).isEqualTo(1);
    }
  }

  private static Thread nesting(
      LockClient client,
      String first,
      String second,
      CyclicBarrier bothHoldOne,
      Queue<LockDeadlockException> told,
      AtomicInteger done) {
    Thread thread =
        new Thread(
            () -> {
              try (Lease outer = client.lock(first).acquire(WAIT)) {
                bothHoldOne.await();
                try (Lease inner = client.lock(second).acquire(Duration.ofMinutes(1))) {
                  outer.ensureValid();
                  inner.ensureValid();
                  done.incrementAndGet();
                }
              } catch (LockDeadlockException e) {
                told.add(e);
              } catch (InterruptedException | BrokenBarrierException e) {
                throw new IllegalStateException(e);
              }
            });
    thread.start();
    return thread;
  }

  @Test
  void historyTellsWhoHeldItWhen() throws Exception {
    Lease first = client.lock("history").onBehalfOf("alice").acquire(WAIT);
    first.release().get(10, TimeUnit.SECONDS);
    Lease second = client.lock("history").onBehalfOf("bob").acquire(WAIT);
    // a reply may come before its event
    await().atMost(WAIT).until(() -> LockHistory.holdings(world.config(), "history").size() == 2);
    List<Holding> all = LockHistory.holdings(world.config(), "history");
    second.close();

    assertThat(all).extracting(Holding::onBehalfOf).containsExactly("alice", "bob");
    assertThat(all).extracting(Holding::token).containsExactly(first.token(), second.token());
    Instant aliceBegan = all.get(0).from();
    assertThat(LockHistory.holdersAt(world.config(), "history", aliceBegan))
        .extracting(Holding::onBehalfOf)
        .contains("alice");
    assertThat(LockHistory.holdersAt(world.config(), "history", aliceBegan.minusMillis(1)))
        .isEmpty();
    assertThat(LockHistory.holdersAt(world.config(), "history", all.get(1).from()))
        .extracting(Holding::onBehalfOf)
        .contains("bob");
  }

  @Test
  void consumerBeginsWhereItIsTold() throws Exception {
    client.lock("begin").onBehalfOf("early").acquire(WAIT).release().get(10, TimeUnit.SECONDS);
    await()
        .atMost(WAIT)
        .until(
            () ->
                LockHistory.holdings(world.config(), "begin").stream()
                    .anyMatch(holding -> holding.to() != null));
    Instant between = LockHistory.holdings(world.config(), "begin").get(0).to().plusMillis(1);
    Queue<String> all = new ConcurrentLinkedQueue<>();
    Queue<String> late = new ConcurrentLinkedQueue<>();
    Queue<String> fresh = new ConcurrentLinkedQueue<>();
    try (LockEvents fromNow = events("from-now", LockEvents.From.now(), fresh);
        LockEvents fromTime = events("from-time", LockEvents.From.at(between), late);
        LockEvents fromBeginning = events("from-beginning", LockEvents.From.beginning(), all)) {
      // whoever begins now has a position when its group has one
      await()
          .atMost(WAIT)
          .untilAsserted(
              () -> {
                Optional<Lease> lease = client.lock("begin").onBehalfOf("late").tryAcquire();
                lease.ifPresent(Lease::close);
                assertThat(fresh).isNotEmpty();
              });
      await().atMost(WAIT).until(() -> all.contains("late") && late.contains("late"));
      assertThat(all).contains("early");
      assertThat(late).doesNotContain("early");
      assertThat(fresh).doesNotContain("early");
      assertThat(List.of(fromNow, fromTime, fromBeginning))
          .allSatisfy(events -> assertThat(events.fault()).isEmpty());
    }
  }

  /** The topic grows between the moment that a consumer begins at and the look at its end. */
  @Test
  void consumersThatBeginNowUnderLoadAreNotTakenForBehindTheEnd() throws Exception {
    AtomicBoolean working = new AtomicBoolean(true);
    List<CompletableFuture<Void>> load = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      load.add(keepLocking("load-" + i, working));
    }
    List<LockEvents> consumers = new ArrayList<>();
    Queue<String> seen = new ConcurrentLinkedQueue<>();
    try {
      for (int i = 0; i < 8; i++) {
        String group = "under-load-" + i;
        consumers.add(
            LockEvents.subscribe(
                world.config(),
                group,
                Pattern.compile("load-.*"),
                EnumSet.of(LockEvent.Type.GRANTED),
                LockEvents.From.now(),
                event -> seen.add(group)));
      }
      await().atMost(WAIT).until(() -> Set.copyOf(seen).size() == consumers.size());
      assertThat(consumers).allSatisfy(events -> assertThat(events.fault()).isEmpty());
    } finally {
      working.set(false);
      consumers.forEach(LockEvents::close);
      for (CompletableFuture<Void> each : load) {
        each.get(20, TimeUnit.SECONDS);
      }
    }
  }

  /** The first event of a time comes between two questions about where that time begins. */
  @Test
  void consumersThatBeginAtATimeUnderLoadMissNothing() throws Exception {
    AtomicBoolean working = new AtomicBoolean(true);
    List<LockEvents> consumers = new ArrayList<>();
    Queue<LockEvent> all = new ConcurrentLinkedQueue<>();
    List<Queue<String>> seen = new ArrayList<>();
    List<Instant> begins = new ArrayList<>();
    consumers.add(timed("timed-all", LockEvents.From.beginning(), all::add));
    CompletableFuture<Void> load = keepLocking("timed-1", working);
    try {
      await().atMost(WAIT).until(() -> !all.isEmpty());
      Instant first = all.element().at();
      for (int i = 0; i < 12; i++) {
        Queue<String> own = new ConcurrentLinkedQueue<>();
        Instant begin = first.plusMillis(200L * i);
        seen.add(own);
        begins.add(begin);
        consumers.add(timed("timed-" + i, LockEvents.From.at(begin), event -> own.add(event.id())));
      }
      await().atMost(WAIT).until(() -> seen.stream().noneMatch(Queue::isEmpty));
      List<LockEvent> now = List.copyOf(all);
      Instant end = now.get(now.size() - 1).at();
      await().atMost(WAIT).until(() -> all.stream().anyMatch(e -> e.at().isAfter(end)));
      for (int i = 0; i < seen.size(); i++) {
        Queue<String> own = seen.get(i);
        Instant begin = begins.get(i);
        List<String> expected =
            all.stream()
                .filter(e -> !e.at().isBefore(begin) && e.at().isBefore(end))
                .map(LockEvent::id)
                .toList();
        await().atMost(WAIT).untilAsserted(() -> assertThat(own).containsAll(expected));
      }
    } finally {
      working.set(false);
      load.get(20, TimeUnit.SECONDS);
      consumers.forEach(LockEvents::close);
    }
  }

  private static LockEvents timed(String group, LockEvents.From from, Consumer<LockEvent> handler) {
    return LockEvents.subscribe(
        world.config(),
        group,
        Pattern.compile("timed-.*"),
        EnumSet.of(LockEvent.Type.GRANTED),
        from,
        handler);
  }

  private static CompletableFuture<Void> keepLocking(String key, AtomicBoolean working) {
    return client
        .lock(key)
        .acquireAsync(WAIT)
        .thenCompose(Lease::release)
        .thenCompose(
            released ->
                working.get()
                    ? keepLocking(key, working)
                    : CompletableFuture.completedFuture(null));
  }

  /** The handler fails in the middle; what it did for each event is there once. */
  @Test
  void eventsAreHandledOnceInTheHandlersTransaction() throws Exception {
    try (PostgresServer postgres = PostgresServer.start(directory.resolve("pg-events"))) {
      postgres.createDatabase("watch");
      DataSource dataSource = postgres.dataSource("watch");
      LockEvents.migrate(dataSource);
      LockEvents.migrate(dataSource);
      execute(dataSource, "CREATE TABLE seen (id text NOT NULL)");
      for (int i = 0; i < 6; i++) {
        client.lock("once").acquire(WAIT).release().get(10, TimeUnit.SECONDS);
      }
      AtomicInteger handled = new AtomicInteger();
      try (LockEvents events =
          once(
              dataSource,
              (connection, event) -> {
                note(connection, event.id());
                if (handled.incrementAndGet() == 4) {
                  throw new IllegalStateException("handler is broken");
                }
              })) {
        await().atMost(WAIT).until(() -> events.fault().isPresent());
        assertThat(events.fault().orElseThrow()).contains("handler is broken");
      }
      assertThat(count(dataSource)).isEqualTo("3 3");
      try (LockEvents events =
          once(dataSource, (connection, event) -> note(connection, event.id()))) {
        await().atMost(WAIT).untilAsserted(() -> assertThat(count(dataSource)).isEqualTo("6 6"));
        assertThat(events.fault()).isEmpty();
      }
    }
  }

  private static LockEvents once(DataSource dataSource, LockEvents.TransactionalHandler handler) {
    return LockEvents.subscribeInTransactions(
        world.config(),
        "once",
        Pattern.compile("once"),
        EnumSet.of(LockEvent.Type.GRANTED),
        LockEvents.From.beginning(),
        dataSource,
        handler);
  }

  private static void note(Connection connection, String id) throws SQLException {
    try (PreparedStatement insert = connection.prepareStatement("INSERT INTO seen VALUES (?)")) {
      insert.setString(1, id);
      insert.executeUpdate();
    }
  }

  private static void execute(DataSource dataSource, String sql) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static String count(DataSource dataSource) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery("SELECT count(*) || ' ' || count(DISTINCT id) FROM seen")) {
      row.next();
      return row.getString(1);
    }
  }

  private static LockEvents events(String group, LockEvents.From from, Queue<String> names) {
    return LockEvents.subscribe(
        world.config(),
        group,
        Pattern.compile("begin"),
        EnumSet.of(LockEvent.Type.GRANTED),
        from,
        event -> names.add(event.grant().onBehalfOf()));
  }
}

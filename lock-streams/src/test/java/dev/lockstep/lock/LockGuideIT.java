package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.lock.LeaderElection.Term;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The samples of the module's README, run against a real broker and a real PostgreSQL. */
class LockGuideIT {

  private static final Duration WAIT = Duration.ofSeconds(20);

  @TempDir static Path directory;
  private static LockWorld world;
  private static PostgresServer postgres;
  private static LockClient locks;

  private final Queue<String> done = new ConcurrentLinkedQueue<>();

  @BeforeAll
  static void start() {
    world = new LockWorld(directory.resolve("kafka"));
    postgres = PostgresServer.start(directory.resolve("pg"));
    locks = world.client();
  }

  @AfterAll
  static void stop() {
    locks.close();
    postgres.close();
    world.close();
  }

  private void work(String what) {
    done.add(what);
  }

  @Test
  void acquires() throws Exception {
    // tag::acquire[]
    try (Lease lease =
        locks.lock("order-42").onBehalfOf("checkout").acquire(Duration.ofSeconds(5))) {
      work("under token " + lease.token());
      lease.ensureValid(); // throws when the service was not heard from in time: roll back
    } catch (LockTimeoutException e) {
      work("later: held by " + e.holder().orElse("several") + ", " + e.ahead() + " before us");
    }
    // end::acquire[]
    assertThat(done).singleElement().asString().startsWith("under token");
  }

  @Test
  void guards() throws Exception {
    postgres.createDatabase("stock");
    DataSource dataSource = postgres.dataSource("stock");
    // tag::guard[]
    JdbcFence.migrate(dataSource);
    try (Lease lease = locks.lock("sku-7").acquire(Duration.ofSeconds(5));
        Connection connection = dataSource.getConnection()) {
      connection.setAutoCommit(false);
      JdbcFence.require(connection, lease.tokens()); // throws if somebody holds it since
      work("write");
      connection.commit();
    }
    // end::guard[]
    assertThat(done).containsExactly("write");
  }

  @Test
  void knowsOtherKinds() throws Exception {
    Duration wait = Duration.ofSeconds(5);
    // tag::kinds[]
    try (Lease readers = locks.lock("report").shared().acquire(wait);
        Lease permit = locks.semaphore("mail-server", 10).acquire(wait);
        Lease both = locks.locks(List.of("account-1", "account-2")).withPriority(5).acquire(wait)) {
      work(readers.isShared() + " " + permit.state() + " " + both.tokens().keySet());
    }
    // end::kinds[]
    assertThat(done).containsExactly("true SAFE [account-1, account-2]");
  }

  @Test
  void electsLeadersAndRunsJobs() throws Exception {
    // tag::recipes[]
    LeaderElection election =
        LeaderElection.join(
            locks,
            "importer",
            "node-1",
            new LeaderElection.Candidate() {
              @Override
              public void elected(Term term) {
                work("leads");
              }

              @Override
              public void lost(Term term) {
                work("stops");
              }
            });
    JobLock nightly = JobLock.of(locks, "nightly", Duration.ofHours(1), Duration.ofSeconds(30));
    Optional<String> report = nightly.run(() -> "report"); // empty: another process ran it
    // end::recipes[]
    await().atMost(WAIT).until(() -> done.contains("leads"));
    election.close();
    assertThat(done).containsExactly("leads", "stops");
    assertThat(report).hasValue("report");
  }

  @Test
  void readmeShowsWhatRunsHere() throws IOException {
    String readme = Files.readString(Path.of("README.md"));
    String source = Files.readString(Path.of("src/test/java/dev/lockstep/lock/LockGuideIT.java"));
    for (String tag : List.of("acquire", "guard", "kinds", "recipes")) {
      String begin = "// tag::" + tag + "[]\n";
      String body =
          source.substring(
              source.indexOf(begin) + begin.length(), source.indexOf("// end::" + tag + "[]"));
      String sample = body.stripTrailing().stripIndent();
      assertThat(readme).as(tag).contains("```java\n" + sample + "\n```");
    }
  }
}

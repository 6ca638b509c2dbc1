package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.lockstep.testkit.process.ChildJvm;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A client whose wall clock jumps by an hour, there and back. Needs Debian's libfaketime, which
 * takes the place of the system's clock; the monotonic one is left alone.
 */
class WallClockIT {

  private static final Duration SOON = Duration.ofSeconds(30);

  /** A JVM under libfaketime took 20 s to its first lease beside a busy machine. */
  private static final Duration STARTED = Duration.ofMinutes(2);

  private static final Duration HOUR = Duration.ofHours(1);

  @TempDir Path directory;

  @Test
  void jumpOfTheClientsWallClockExpiresNobody() throws Exception {
    Optional<Path> library = library();
    if (library.isEmpty()) {
      System.out.println("WallClockIT is left out: libfaketime is not installed");
    }
    assumeTrue(library.isPresent(), "libfaketime is not installed");
    Path offset = Files.writeString(directory.resolve("offset"), "+0");
    Path go = directory.resolve("go");
    try (LockWorld world = new LockWorld(directory.resolve("world"));
        LockClient other = world.client();
        ChildJvm holder =
            ChildJvm.start(
                "holder",
                directory.resolve("holder.log"),
                List.of("-Xmx128m"),
                LongHolderMain.class.getName(),
                List.of(world.config().bootstrapServers(), go.toString()),
                Map.of(
                    "LD_PRELOAD", library.get().toString(),
                    "FAKETIME_TIMESTAMP_FILE", offset.toString(),
                    "FAKETIME_CACHE_DURATION", "1",
                    "DONT_FAKE_MONOTONIC", "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC", "1"))) {
      // not only that it holds: the clock before the jump is what later ones are compared with
      await()
          .atMost(STARTED)
          .untilAsserted(() -> assertThat(holder.output()).content().contains("clock "));

      for (String jump : List.of("+1h", "-1h")) {
        Files.writeString(offset, jump);
        Duration ahead = jump.startsWith("+") ? HOUR : HOUR.negated();
        await().atMost(SOON).until(() -> isAhead(holder, ahead));
        // three times its time to live
        await().pollDelay(Duration.ofSeconds(6)).until(() -> true);
        assertThat(other.lock("long").tryAcquire()).isEmpty();
      }
      Files.createFile(go);

      await()
          .atMost(SOON)
          .untilAsserted(() -> assertThat(holder.output()).content().contains("released true"));
      // Kafka's producer counts by the wall clock: a beat that was under way is given up and sent
      // again, and the lease may be in jeopardy for a moment
      assertThat(holder.output()).content().doesNotContain("changed to LOST");
    }
  }

  /** Compares what it tells now with what it told at first. */
  private static boolean isAhead(ChildJvm holder, Duration expected) throws IOException {
    List<Long> clocks =
        Files.readAllLines(holder.output()).stream()
            .filter(line -> line.startsWith("clock "))
            .map(line -> Long.parseLong(line.substring("clock ".length())))
            .toList();
    if (clocks.isEmpty()) {
      return false;
    }
    long moved = clocks.get(clocks.size() - 1) - clocks.get(0);
    // the test itself takes less than five minutes
    return Math.abs(moved - expected.toMillis()) < Duration.ofMinutes(5).toMillis();
  }

  private static Optional<Path> library() throws IOException {
    Path root = Path.of("/usr/lib");
    if (!Files.isDirectory(root)) {
      return Optional.empty();
    }
    try (DirectoryStream<Path> places = Files.newDirectoryStream(root, "*-linux-*")) {
      for (Path place : places) {
        Path library = place.resolve("faketime/libfaketimeMT.so.1");
        if (Files.exists(library)) {
          return Optional.of(library);
        }
      }
    }
    return Optional.empty();
  }
}

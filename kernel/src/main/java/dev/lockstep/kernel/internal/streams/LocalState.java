package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.KernelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Wipes local state that is too old to be read on from: deletes that it never saw may be gone from
 * the changelog, and it would keep their rows for ever (decision 0003). The digest would find such
 * a state out; this spares the round.
 */
final class LocalState {

  static final Duration TOMBSTONES_KEPT = Duration.ofHours(2);

  private static final Logger LOG = LoggerFactory.getLogger(LocalState.class);

  private LocalState() {}

  static void wipeIfStale(Path stateDirectory, String applicationId) {
    Path own = stateDirectory.resolve(applicationId);
    if (!Files.isDirectory(own)) {
      return;
    }
    try (Stream<Path> tasks = Files.list(own)) {
      for (Path task : tasks.filter(Files::isDirectory).toList()) {
        Path checkpoint = task.resolve(".checkpoint");
        if (Files.exists(checkpoint) && isStale(checkpoint)) {
          LOG.warn("Local state {} is older than {}: wiped", task, TOMBSTONES_KEPT.dividedBy(2));
          delete(task);
        }
      }
    } catch (IOException e) {
      throw new KernelException("Local state in " + own + " cannot be read", e);
    }
  }

  private static boolean isStale(Path checkpoint) throws IOException {
    Instant written = Files.getLastModifiedTime(checkpoint).toInstant();
    Instant now = Instant.ofEpochMilli(org.apache.kafka.common.utils.Time.SYSTEM.milliseconds());
    return written.plus(TOMBSTONES_KEPT.dividedBy(2)).isBefore(now);
  }

  private static void delete(Path directory) throws IOException {
    List<Path> all;
    try (Stream<Path> walk = Files.walk(directory)) {
      all = walk.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : all) {
      Files.delete(path);
    }
  }
}

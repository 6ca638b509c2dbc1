package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.KernelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.kafka.common.utils.Time;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Wipes local state that is too old to be read on from: deletes that it never saw may be gone from
 * the changelog, and it would keep their rows for ever (decision 0003). The digest would find such
 * a state out; this spares the round.
 *
 * <p>A stamp beside the state says when a task had last read its changelog to the end. Times of the
 * store's own files say nothing: Streams opens every store it finds at start, also those of tasks
 * that it does not get.
 */
final class LocalState {

  static final Duration TOMBSTONES_KEPT = Duration.ofHours(2);

  private static final Duration LONGEST = TOMBSTONES_KEPT.dividedBy(2);
  private static final Logger LOG = LoggerFactory.getLogger(LocalState.class);

  private final Path home;
  private final String applicationId;
  private volatile Path directory;
  private int fresh;

  LocalState(Path home, String applicationId) {
    this.home = home;
    this.applicationId = applicationId;
    this.directory = home;
  }

  /** Returns the directory for Streams. */
  Path directory() {
    return directory;
  }

  /**
   * Goes on in an empty directory, because a store cannot be opened: a thread of this process that
   * died badly may hold its lock as long as the process lives. Nothing is lost, it is restored.
   */
  void startAfresh() {
    fresh++;
    directory = home.resolve(applicationId + ".fresh-" + fresh);
  }

  /** Called before Streams looks at the state: removes what must not be read on from. */
  void clean() {
    Path tasks = home.resolve(applicationId);
    removeOthers();
    if (!Files.isDirectory(tasks)) {
      return;
    }
    try (Stream<Path> all = Files.list(tasks)) {
      for (Path task : all.filter(Files::isDirectory).toList()) {
        if (isStale(stamps(home).resolve(task.getFileName()))) {
          LOG.warn("Local state {} was last read to its end over {} ago: wiped", task, LONGEST);
          delete(task);
        }
      }
    } catch (IOException e) {
      throw new KernelException("Local state in " + tasks + " cannot be read", e);
    }
  }

  /** Notes that a task's state is at the end of its changelog now. */
  void stamp(String taskId) {
    Path stamp = stamps(directory).resolve(taskId);
    try {
      Files.createDirectories(stamp.getParent());
      if (!Files.exists(stamp)) {
        Files.createFile(stamp);
      }
      Files.setLastModifiedTime(stamp, FileTime.fromMillis(Time.SYSTEM.milliseconds()));
    } catch (IOException e) {
      // without it the state is restored from the start next time: slower, not wrong
      LOG.warn("Stamp {} was not written: {}", stamp, e.toString());
    }
  }

  private Path stamps(Path within) {
    return within.resolve(applicationId + ".read");
  }

  /** Directories of earlier processes, and of other topic epochs: their logs are gone. */
  private void removeOthers() {
    if (!Files.isDirectory(home)) {
      return;
    }
    String fresh = applicationId + ".fresh-";
    String epochs =
        Pattern.quote(applicationId.replaceFirst(StreamsSettings.EPOCH + "\\d+$", ""))
            + "("
            + StreamsSettings.EPOCH
            + "\\d+)?(\\.read)?";
    try (Stream<Path> all = Files.list(home)) {
      for (Path other : all.toList()) {
        String name = other.getFileName().toString();
        boolean mine = name.equals(applicationId) || name.equals(applicationId + ".read");
        if (name.startsWith(fresh) || (!mine && name.matches(epochs))) {
          delete(other);
        }
      }
    } catch (IOException e) {
      LOG.warn("Old state in {} could not be removed: {}", home, e.toString());
    }
  }

  private static boolean isStale(Path stamp) throws IOException {
    if (!Files.exists(stamp)) {
      return true;
    }
    Instant read = Files.getLastModifiedTime(stamp).toInstant();
    return read.plus(LONGEST).isBefore(Instant.ofEpochMilli(Time.SYSTEM.milliseconds()));
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

package dev.lockstep.example.pipeline.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Where a demo keeps its data and logs, below the temporary directory. It holds a file lock on it
 * for as long as it lives, so that the next demo knows what is left of one that was killed.
 */
public final class RunDirectory {

  private static final String PREFIX = "lockstep-demo-";
  private static final String OWNER = "owner.lock";
  private static final long NEEDED_MB = 300;

  private final Path path;
  private final FileLock owner;

  private RunDirectory(Path path, FileLock owner) {
    this.path = path;
    this.owner = owner;
  }

  /**
   * Makes a directory, and removes what killed demos left: their children end by themselves, but
   * not PostgreSQL, and their files stay.
   *
   * @return a new directory
   * @throws IOException when it cannot be made, or too little space is free for a run
   */
  public static RunDirectory create() throws IOException {
    Path parent = Path.of(System.getProperty("java.io.tmpdir"));
    removeAbandoned(parent);
    long free = Files.getFileStore(parent).getUsableSpace() / 1_000_000;
    if (free < NEEDED_MB) {
      throw new IOException(
          "Temporary directory %s has %d MB free, a run needs %d; name another by JAVA_TOOL_OPTIONS=-Djava.io.tmpdir=DIR"
              .formatted(parent, free, NEEDED_MB));
    }
    Path path = Files.createTempDirectory(PREFIX);
    FileChannel channel =
        FileChannel.open(path.resolve(OWNER), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    return new RunDirectory(path, channel.lock());
  }

  /**
   * Returns where it is.
   *
   * @return an existing directory
   */
  public Path path() {
    return path;
  }

  /** Removes it with everything in it. */
  public void delete() {
    try {
      owner.acquiredBy().close();
      delete(path);
    } catch (IOException | UncheckedIOException e) {
      System.err.println("demo: " + path + " could not be removed: " + e.getMessage());
    }
  }

  private static void removeAbandoned(Path parent) throws IOException {
    List<Path> all;
    try (Stream<Path> files = Files.list(parent)) {
      all = files.filter(file -> file.getFileName().toString().startsWith(PREFIX)).toList();
    }
    for (Path directory : all) {
      try {
        if (isAbandoned(directory)) {
          postgres(directory).ifPresent(ProcessHandle::destroyForcibly);
          delete(directory);
        }
      } catch (IOException | UncheckedIOException e) {
        System.err.println("demo: " + directory + " of an earlier run stays: " + e.getMessage());
      }
    }
  }

  /** One without a lock file is being made, or being deleted. */
  private static boolean isAbandoned(Path directory) throws IOException {
    Path owner = directory.resolve(OWNER);
    if (!Files.isWritable(owner)) {
      return false;
    }
    try (FileChannel channel = FileChannel.open(owner, StandardOpenOption.WRITE)) {
      return channel.tryLock() != null;
    } catch (OverlappingFileLockException held) { // by another demo in this JVM
      return false;
    }
  }

  /** The server on this directory, if it runs: its number may be another process's by now. */
  private static Optional<ProcessHandle> postgres(Path directory) throws IOException {
    Path pid = directory.resolve("pg").resolve("postmaster.pid");
    if (!Files.exists(pid)) {
      return Optional.empty();
    }
    return Files.readAllLines(pid).stream()
        .limit(1)
        .filter(first -> first.strip().matches("\\d{1,9}"))
        .findFirst()
        .flatMap(first -> ProcessHandle.of(Long.parseLong(first.strip())))
        .filter(process -> process.info().commandLine().orElse("").contains(directory.toString()));
  }

  private static void delete(Path directory) throws IOException {
    try (Stream<Path> walk = Files.walk(directory)) {
      for (Path file : walk.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}

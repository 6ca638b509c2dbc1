package dev.lockstep.example.pipeline.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a demo leaves behind that was killed with SIGKILL: its children end by themselves, but not
 * PostgreSQL, and its files stay. The next demo removes them.
 */
public final class Leftovers {

  /** Directories of demos begin like this. */
  public static final String PREFIX = "lockstep-demo-";

  private static final String OWNER = "owner.pid";

  private Leftovers() {}

  /**
   * Marks a directory as this process's own.
   *
   * @param directory made for this run
   * @return the directory
   */
  public static Path mark(Path directory) throws IOException {
    Files.writeString(directory.resolve(OWNER), Long.toString(ProcessHandle.current().pid()));
    return directory;
  }

  /** Ends and removes what demos left whose process is gone. */
  public static void remove() throws IOException {
    try (Stream<Path> all = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
      for (Path directory :
          all.filter(path -> path.getFileName().toString().startsWith(PREFIX)).toList()) {
        if (isLeft(directory)) {
          postgres(directory).ifPresent(ProcessHandle::destroyForcibly);
          delete(directory);
        }
      }
    }
  }

  private static boolean isLeft(Path directory) {
    Optional<Long> owner = firstNumber(directory.resolve(OWNER));
    return owner.isPresent() && ProcessHandle.of(owner.get()).isEmpty();
  }

  /** The server on this directory, if it runs: its number may be another process's by now. */
  private static Optional<ProcessHandle> postgres(Path directory) {
    return firstNumber(directory.resolve("pg").resolve("postmaster.pid"))
        .flatMap(ProcessHandle::of)
        .filter(process -> process.info().commandLine().orElse("").contains(directory.toString()));
  }

  private static Optional<Long> firstNumber(Path file) {
    try {
      List<String> lines = Files.readAllLines(file);
      return lines.isEmpty() ? Optional.empty() : Optional.of(Long.valueOf(lines.get(0).trim()));
    } catch (IOException | NumberFormatException e) {
      return Optional.empty();
    }
  }

  private static void delete(Path directory) {
    try (Stream<Path> walk = Files.walk(directory)) {
      for (Path path : walk.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    } catch (IOException | UncheckedIOException e) {
      System.err.println("demo: " + directory + " of an earlier run stays: " + e.getMessage());
    }
  }
}

package dev.lockstep.benchmark.server;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/**
 * A directory for the files of servers, removed at the end.
 *
 * @param path where it is
 */
public record Scratch(Path path) implements AutoCloseable {

  /**
   * Makes one below the temporary directory.
   *
   * @return an empty directory
   * @throws IOException when it cannot be made
   */
  public static Scratch create() throws IOException {
    return new Scratch(Files.createTempDirectory("lockstep-benchmark-"));
  }

  /** Removes it; close the servers before. */
  @Override
  public void close() {
    try (Stream<Path> files = Files.walk(path)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException | UncheckedIOException e) {
      System.err.println("benchmarks/run: " + path + " could not be removed: " + e);
    }
  }
}

package dev.lockstep.testkit.process;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * A file system in memory that is full when it should be, mounted on a directory. Not thread-safe.
 *
 * <p>Needs Linux and the rights of root. Who writes to it when it is full gets the error that a
 * real disk gives, also through mapped memory.
 */
public final class SmallDisk implements AutoCloseable {

  private final Path directory;

  private SmallDisk(Path directory) {
    this.directory = directory;
  }

  /**
   * Mounts a disk.
   *
   * @param directory where; created if missing, and hidden behind the disk until it is closed
   * @param mebibytes how much it holds
   * @return disk, or empty when this process may not mount one
   */
  public static Optional<SmallDisk> mount(Path directory, int mebibytes) {
    try {
      Files.createDirectories(directory);
    } catch (IOException e) {
      throw new UncheckedIOException("Directory " + directory + " could not be made", e);
    }
    return Commands.succeeds(
            "mount", "-t", "tmpfs", "-o", size(mebibytes), "lockstep", directory.toString())
        ? Optional.of(new SmallDisk(directory))
        : Optional.empty();
  }

  /**
   * Gives it another size; what is there stays.
   *
   * @param mebibytes how much it holds from now on
   * @throws IllegalStateException when that is less than there is
   */
  public void resize(int mebibytes) {
    if (!Commands.succeeds("mount", "-o", "remount," + size(mebibytes), directory.toString())) {
      throw new IllegalStateException(
          "Disk at %s could not be resized to %d MiB".formatted(directory, mebibytes));
    }
  }

  /** Takes the disk away with what is on it, once nobody uses it any more. */
  @Override
  public void close() {
    // lazily: a process that was just killed may hold a file for a moment
    var unused = Commands.succeeds("umount", "-l", directory.toString());
  }

  private static String size(int mebibytes) {
    return "size=" + mebibytes + "m";
  }
}

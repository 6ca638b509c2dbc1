package dev.lockstep.kernel.internal.streams;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LocalStateTest {

  @TempDir Path directory;
  private LocalState local;
  private Path store;

  @BeforeEach
  void createState() throws IOException {
    local = new LocalState(directory, "app");
    store = Files.createDirectories(directory.resolve("app/0_3/rocksdb/state"));
    Files.writeString(store.resolve("CURRENT"), "x");
  }

  @Test
  void keepsWhatWasReadToItsEndLately() {
    local.stamp("0_3");

    local.clean();

    assertThat(store).exists();
  }

  @Test
  void wipesWhatMayHaveMissedDeletes() throws IOException {
    local.stamp("0_3");
    Path stamp = directory.resolve("app.read/0_3");
    FileTime written = Files.getLastModifiedTime(stamp);
    Files.setLastModifiedTime(
        stamp, FileTime.from(written.toInstant().minus(Duration.ofMinutes(61))));

    local.clean();

    assertThat(store).doesNotExist();
  }

  @Test
  void wipesWhatNobodyVouchesFor() {
    local.clean();

    assertThat(store).doesNotExist();
  }

  @Test
  void hasNothingToDoOnAFreshPlace() {
    new LocalState(directory.resolve("elsewhere"), "app").clean();

    assertThat(store).exists();
  }

  @Test
  void freshDirectoryHasStampsOfItsOwnAndIsRemovedByTheNextProcess() {
    local.startAfresh();
    local.stamp("0_3");

    assertThat(local.directory()).isNotEqualTo(directory).exists();
    new LocalState(directory, "app").clean();
    assertThat(local.directory()).doesNotExist();
    // nobody vouched for the store in the old place
    assertThat(store).doesNotExist();
  }
}

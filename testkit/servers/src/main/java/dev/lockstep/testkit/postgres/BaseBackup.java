package dev.lockstep.testkit.postgres;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Set;

/**
 * Copies the files of a running server, as {@code pg_basebackup} does, which is not among the
 * binaries that Maven brings.
 */
final class BaseBackup {

  /** Of the running server alone. */
  private static final Set<String> NOT_FILES =
      Set.of("postmaster.pid", "postmaster.opts", "epg-lock");

  /**
   * Only the directories: their contents come by replication, or are of no use to another server.
   */
  private static final Set<String> NOT_CONTENTS =
      Set.of("pg_wal", "pg_replslot", "pg_stat_tmp", "pg_notify", "pg_subtrans");

  private BaseBackup() {}

  /**
   * @param connection to the server, of a superuser
   * @param from its data directory
   * @param to must not exist
   */
  static void take(Connection connection, Path from, Path to) throws SQLException {
    boolean isRenamed = connection.getMetaData().getDatabaseMajorVersion() >= 15;
    String start =
        isRenamed ? "pg_backup_start('standby', true)" : "pg_start_backup('standby', true, false)";
    String stop = isRenamed ? "pg_backup_stop(false)" : "pg_stop_backup(false, false)";
    try (Statement statement = connection.createStatement()) {
      statement.execute("SELECT " + start);
      copy(from, to);
      try (ResultSet row = statement.executeQuery("SELECT labelfile FROM " + stop)) {
        row.next();
        Files.writeString(to.resolve("backup_label"), row.getString(1));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "PostgreSQL in %s could not be copied to %s".formatted(from, to), e);
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    Files.walkFileTree(
        from,
        new SimpleFileVisitor<>() {

          @Override
          public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes)
              throws IOException {
            // else the server refuses them
            Files.createDirectory(
                to.resolve(from.relativize(directory)),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Path relative = from.relativize(file);
            if (!NOT_FILES.contains(relative.toString())
                && !NOT_CONTENTS.contains(relative.getName(0).toString())) {
              try {
                Files.copy(file, to.resolve(relative));
              } catch (NoSuchFileException e) {
                // gone meanwhile: replication tells so
              }
            }
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFileFailed(Path file, IOException e) throws IOException {
            if (e instanceof NoSuchFileException) {
              return FileVisitResult.CONTINUE;
            }
            throw e;
          }
        });
  }
}

package dev.lockstep.saga.internal;

import dev.lockstep.saga.SagaException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Objects;
import javax.sql.DataSource;

/** Creates the barrier table, once; several starts at a time wait for each other. */
public final class BarrierMigration {

  private static final String FILE = "/dev/lockstep/saga/migration/V1__lockstep_barrier.sql";
  private static final long LOCK = 0x6261727269657200L; // "barrier"

  private BarrierMigration() {}

  public static void run(DataSource dataSource) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        InputStream in = BarrierMigration.class.getResourceAsStream(FILE)) {
      connection.setAutoCommit(false);
      statement.execute("SELECT pg_advisory_xact_lock(" + LOCK + ")");
      boolean exists;
      try (ResultSet row = statement.executeQuery("SELECT to_regclass('lockstep_barrier')")) {
        exists = row.next() && row.getString(1) != null;
      }
      if (!exists) {
        statement.execute(
            new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8));
      }
      connection.commit();
      connection.setAutoCommit(true);
    } catch (SQLException | IOException e) {
      throw new SagaException("Barrier table could not be created: " + e.getMessage(), e);
    }
  }
}

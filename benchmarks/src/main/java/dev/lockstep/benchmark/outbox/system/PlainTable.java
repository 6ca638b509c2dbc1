package dev.lockstep.benchmark.outbox.system;

import dev.lockstep.benchmark.outbox.Place;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;

/** A table of messages as teams make one: a number, a key, a payload. */
final class PlainTable {

  private final Place place;
  private final String name;

  /**
   * Creates the table.
   *
   * @param more further columns, each with a comma before it
   */
  PlainTable(Place place, String name, String more) throws SQLException {
    this.place = place;
    this.name = name;
    try (Connection connection = place.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(
          "CREATE TABLE %s (id bigserial PRIMARY KEY, msg_key bytea NOT NULL, payload bytea NOT NULL%s)"
              .formatted(name, more));
    }
  }

  void fill(long rows) throws SQLException {
    Fill.run(
        place,
        rows,
        "INSERT INTO %s (msg_key, payload) SELECT %s, %s".formatted(name, Fill.KEY, Fill.PAYLOAD));
  }

  void insert(String key, byte[] payload) throws SQLException {
    try (Connection connection = place.dataSource().getConnection();
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO %s (msg_key, payload) VALUES (?, ?)".formatted(name))) {
      insert.setBytes(1, key.getBytes(StandardCharsets.UTF_8));
      insert.setBytes(2, payload);
      insert.executeUpdate();
    }
  }
}

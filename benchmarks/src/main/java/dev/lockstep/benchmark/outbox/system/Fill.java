package dev.lockstep.benchmark.outbox.system;

import dev.lockstep.benchmark.outbox.Place;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;

/** Fills tables from within the database, ten rows a transaction. */
final class Fill {

  /** Key of row {@code n}. */
  static final String KEY_TEXT = "'key-' || (n %% %d)".formatted(Place.KEYS);

  /** A payload that is not the same in each row. */
  static final String PAYLOAD_TEXT =
      "rpad(n::text, %d, '%s')".formatted(Place.PAYLOAD, Place.FILLER);

  /** {@link #KEY_TEXT} as bytes. */
  static final String KEY = "convert_to(%s, 'UTF8')".formatted(KEY_TEXT);

  /** {@link #PAYLOAD_TEXT} as bytes. */
  static final String PAYLOAD = "convert_to(%s, 'UTF8')".formatted(PAYLOAD_TEXT);

  private static final int ROWS_IN_A_TRANSACTION = 10;

  private Fill() {}

  /**
   * Inserts rows.
   *
   * @param rows how many
   * @param insert ends with a select list; may use {@code n}, the number of the row
   */
  static void run(Place place, long rows, String insert) throws SQLException {
    try (Connection connection = place.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      // how it came there is not measured
      statement.execute("SET synchronous_commit = off");
      statement.execute(
          """
          DO $$
          BEGIN
            FOR i IN 0 .. %d - 1 LOOP
              %s FROM generate_series(i * %d, i * %d + %d) n;
              COMMIT;
            END LOOP;
          END $$"""
              .formatted(
                  rows / ROWS_IN_A_TRANSACTION,
                  insert,
                  ROWS_IN_A_TRANSACTION,
                  ROWS_IN_A_TRANSACTION,
                  ROWS_IN_A_TRANSACTION - 1));
    }
  }
}

package dev.lockstep.example.pipeline.service;

import dev.lockstep.example.pipeline.service.OrderSagas.Item;
import dev.lockstep.example.pipeline.service.OrderSagas.ReleaseStock;
import dev.lockstep.example.pipeline.service.OrderSagas.ReserveStock;
import dev.lockstep.example.pipeline.service.OrderSagas.Restock;
import dev.lockstep.example.pipeline.service.OrderSagas.Unrestock;
import dev.lockstep.lock.JdbcFence;
import dev.lockstep.lock.StaleTokenException;
import dev.lockstep.saga.Answer;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.StepContext;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;

/** The inventory service: every change stands under the lock of its stock code. */
public final class Inventory {

  /** Tables of the service. */
  public static final List<String> TABLES =
      List.of(
          "CREATE TABLE IF NOT EXISTS stock (sku text PRIMARY KEY,"
              + " opening integer NOT NULL, quantity integer NOT NULL CHECK (quantity >= 0))",
          "CREATE TABLE IF NOT EXISTS stock_move (id bigserial PRIMARY KEY, order_id text NOT NULL,"
              + " step text NOT NULL, sku text NOT NULL, delta integer NOT NULL, token bigint NOT NULL)");

  private Inventory() {}

  /** Puts the opening stock in, once. */
  public static void open(DataSource dataSource, Map<String, Integer> stock) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO stock (sku, opening, quantity) VALUES (?, ?, ?)"
                    + " ON CONFLICT DO NOTHING")) {
      connection.setAutoCommit(false);
      for (Map.Entry<String, Integer> entry : stock.entrySet()) {
        insert.setString(1, entry.getKey());
        insert.setInt(2, entry.getValue());
        insert.setInt(3, entry.getValue());
        insert.addBatch();
      }
      insert.executeBatch();
      connection.commit();
      connection.setAutoCommit(true);
    }
  }

  /** Returns the service's handlers. */
  public static Participant participant() {
    return Participant.named("inventory")
        .on(ReserveStock.class, (context, c) -> change(context, c.id(), c.items(), -1))
        .on(ReleaseStock.class, (context, c) -> change(context, c.id(), c.items(), 1))
        .on(Restock.class, (context, c) -> change(context, c.id(), c.items(), 1))
        .on(Unrestock.class, (context, c) -> change(context, c.id(), c.items(), -1));
  }

  private static Answer change(StepContext context, String id, List<Item> items, int sign)
      throws SQLException {
    if (items.isEmpty()) {
      return Answer.success();
    }
    Connection connection = context.tx().connection();
    try {
      JdbcFence.require(connection, context.tokens());
    } catch (StaleTokenException e) {
      return Answer.staleToken(String.valueOf(e.getMessage()));
    }
    Object[] skus = items.stream().map(Item::sku).toArray();
    Object[] deltas = items.stream().map(item -> sign * item.quantity()).toArray();
    Object[] tokens = items.stream().map(item -> context.token(item.sku())).toArray();
    int changed;
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE stock s SET quantity = s.quantity + d.delta"
                + " FROM unnest(?::text[], ?::integer[]) AS d(sku, delta)"
                + " WHERE s.sku = d.sku AND s.quantity + d.delta >= 0")) {
      update.setArray(1, connection.createArrayOf("text", skus));
      update.setArray(2, connection.createArrayOf("integer", deltas));
      changed = update.executeUpdate();
    }
    if (changed != items.size()) {
      return Answer.failure(
          "Out of stock: %d of %d codes, first %s"
              .formatted(items.size() - changed, items.size(), firstShort(connection, items)));
    }
    try (PreparedStatement insert =
        connection.prepareStatement(
            "INSERT INTO stock_move (order_id, step, sku, delta, token)"
                + " SELECT ?, ?, d.* FROM unnest(?::text[], ?::integer[], ?::bigint[]) d")) {
      insert.setString(1, id);
      insert.setString(2, context.step() + (sign > 0 ? "+" : "-"));
      insert.setArray(3, connection.createArrayOf("text", skus));
      insert.setArray(4, connection.createArrayOf("integer", deltas));
      insert.setArray(5, connection.createArrayOf("bigint", tokens));
      insert.executeUpdate();
    }
    return Answer.success();
  }

  private static String firstShort(Connection connection, List<Item> items) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement("SELECT quantity FROM stock WHERE sku = ?")) {
      for (Item item : items) {
        select.setString(1, item.sku());
        try (ResultSet row = select.executeQuery()) {
          int left = row.next() ? row.getInt(1) : 0;
          if (left < item.quantity()) {
            return "%s: %d wanted, %d left".formatted(item.sku(), item.quantity(), left);
          }
        }
      }
    }
    return "?";
  }
}

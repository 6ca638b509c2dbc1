package dev.lockstep.example.pipeline.service;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lockstep.example.pipeline.invoice.Invoice;
import dev.lockstep.example.pipeline.service.OrderSagas.AcceptOrder;
import dev.lockstep.example.pipeline.service.OrderSagas.CompleteOrder;
import dev.lockstep.example.pipeline.service.OrderSagas.OrderState;
import dev.lockstep.example.pipeline.service.OrderSagas.RejectOrder;
import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxTransaction;
import dev.lockstep.saga.Answer;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.SagaClient;
import dev.lockstep.saga.StepContext;
import dev.lockstep.schema.LockstepHeaders;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.TreeMap;

/** The order service: takes invoices, starts their sagas, publishes what became of them. */
public final class OrderDesk {

  /** Application topic without prefix: OrderPlaced and OrderEnded as JSON. */
  public static final String TOPIC = "shop.orders";

  /** Tables of the service. */
  public static final List<String> TABLES =
      List.of(
          "CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, customer text NOT NULL,"
              + " pence bigint NOT NULL, lines integer NOT NULL, status text NOT NULL,"
              + " changes integer NOT NULL DEFAULT 0)",
          "CREATE TABLE IF NOT EXISTS rejected_line (number integer PRIMARY KEY,"
              + " invoice text NOT NULL, reason text NOT NULL, line text NOT NULL)",
          "CREATE TABLE IF NOT EXISTS rejected_invoice (id text PRIMARY KEY, reason text NOT NULL)");

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Outbox outbox;
  private final String topic;

  /** Uses an outbox of the service's database. */
  public OrderDesk(Outbox outbox, String topic) {
    this.outbox = outbox;
    this.topic = topic;
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);
  }

  /** Takes an invoice in: order row, OrderPlaced and the start of its saga, all or nothing. */
  public boolean take(Invoice invoice, SagaClient sagas) throws SQLException {
    return outbox.<Boolean>callInTransaction(
        tx -> {
          keepRejectedLines(tx.connection(), invoice);
          if (!invoice.isUsable()) {
            keepRejectedInvoice(tx.connection(), invoice);
            return false;
          }
          if (!insert(tx.connection(), invoice)) {
            return false;
          }
          publish(tx, "OrderPlaced", invoice.id(), "PLACED");
          sagas.start(tx, OrderSagas.of(invoice), invoice.id(), OrderState.of(invoice));
          return true;
        });
  }

  /** Returns how many orders have not ended. */
  public int open() throws SQLException {
    try (Connection connection = outbox.dataSource().getConnection();
        PreparedStatement select =
            connection.prepareStatement(
                "SELECT count(*) FROM orders WHERE status IN ('PLACED', 'ACCEPTED')");
        ResultSet row = select.executeQuery()) {
      row.next();
      return row.getInt(1);
    }
  }

  /** Returns the service's handlers. */
  public Participant participant() {
    return Participant.named("order")
        .on(AcceptOrder.class, (context, c) -> move(context, c.id(), "ACCEPTED"))
        .on(RejectOrder.class, (context, c) -> end(context, c.id(), "REJECTED"))
        .on(CompleteOrder.class, (context, c) -> end(context, c.id(), "COMPLETED"));
  }

  private Answer end(StepContext context, String id, String status) throws SQLException {
    publish(context.tx(), "OrderEnded", id, status);
    return move(context, id, status);
  }

  private static Answer move(StepContext context, String id, String status) throws SQLException {
    try (PreparedStatement update =
        context
            .tx()
            .connection()
            .prepareStatement("UPDATE orders SET status = ?, changes = changes + 1 WHERE id = ?")) {
      update.setString(1, status);
      update.setString(2, id);
      return update.executeUpdate() == 1
          ? Answer.success()
          : Answer.failure("Order " + id + " is not known");
    }
  }

  private void publish(OutboxTransaction tx, String type, String id, String status) {
    TreeMap<String, String> event = new TreeMap<>();
    event.put("type", type);
    event.put("order", id);
    event.put("status", status);
    try {
      tx.publish(
          OutboxMessage.of(topic, id, JSON.writeValueAsBytes(event))
              .withHeader(LockstepHeaders.CE_TYPE, type));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("Event of order " + id + " is no JSON", e);
    }
  }

  private static boolean insert(Connection connection, Invoice invoice) throws SQLException {
    try (PreparedStatement insert =
        connection.prepareStatement(
            "INSERT INTO orders (id, customer, pence, lines, status)"
                + " VALUES (?, ?, ?, ?, 'PLACED') ON CONFLICT DO NOTHING")) {
      insert.setString(1, invoice.id());
      insert.setString(2, invoice.customer());
      insert.setLong(3, invoice.total());
      insert.setInt(4, invoice.lines().size());
      return insert.executeUpdate() == 1;
    }
  }

  private static void keepRejectedLines(Connection connection, Invoice invoice)
      throws SQLException {
    if (invoice.rejected().isEmpty()) {
      return;
    }
    try (PreparedStatement insert =
        connection.prepareStatement(
            "INSERT INTO rejected_line (number, invoice, reason, line) VALUES (?, ?, ?, ?)"
                + " ON CONFLICT DO NOTHING")) {
      for (Invoice.RejectedLine line : invoice.rejected()) {
        insert.setInt(1, line.number());
        insert.setString(2, line.invoice());
        insert.setString(3, line.reason());
        insert.setString(4, line.text());
        insert.addBatch();
      }
      insert.executeBatch();
    }
  }

  private static void keepRejectedInvoice(Connection connection, Invoice invoice)
      throws SQLException {
    try (PreparedStatement insert =
        connection.prepareStatement(
            "INSERT INTO rejected_invoice (id, reason) VALUES (?, ?) ON CONFLICT DO NOTHING")) {
      insert.setString(1, invoice.id());
      insert.setString(2, "no usable line");
      insert.executeUpdate();
    }
  }
}

package dev.lockstep.example.pipeline.service;

import dev.lockstep.example.pipeline.service.OrderSagas.Charge;
import dev.lockstep.example.pipeline.service.OrderSagas.RefundCharge;
import dev.lockstep.example.pipeline.service.OrderSagas.RefundReturn;
import dev.lockstep.saga.Answer;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.StepContext;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;

/** The payment service: customers with a credit limit, guests without. */
public final class Payment {

  /** Tables of the service. */
  public static final List<String> TABLES =
      List.of(
          "CREATE TABLE IF NOT EXISTS customer (id text PRIMARY KEY,"
              + " limit_pence bigint NOT NULL, balance_pence bigint NOT NULL DEFAULT 0)",
          "CREATE TABLE IF NOT EXISTS payment (id bigserial PRIMARY KEY, order_id text NOT NULL,"
              + " kind text NOT NULL, customer text NOT NULL, pence bigint NOT NULL)");

  private final Faults faults;

  /** Fails as told. */
  public Payment(Faults faults) {
    this.faults = faults;
  }

  /** Puts the customers in, once. */
  public static void open(DataSource dataSource, Map<String, Long> creditPence)
      throws SQLException {
    try (Connection connection = dataSource.getConnection();
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO customer (id, limit_pence) VALUES (?, ?) ON CONFLICT DO NOTHING")) {
      connection.setAutoCommit(false);
      for (Map.Entry<String, Long> entry : creditPence.entrySet()) {
        insert.setString(1, entry.getKey());
        insert.setLong(2, entry.getValue());
        insert.addBatch();
      }
      insert.executeBatch();
      connection.commit();
      connection.setAutoCommit(true);
    }
  }

  /** Returns the service's handlers. */
  public Participant participant() {
    return Participant.named("payment")
        .on(Charge.class, (context, c) -> charge(context, c))
        .on(RefundCharge.class, (context, c) -> refund(context, c))
        .on(
            RefundReturn.class,
            (context, c) -> {
              faults.maybeFail(context);
              return pay(context, "RETURN", c.id(), c.customer(), -c.pence());
            });
  }

  private Answer charge(StepContext context, Charge charge) throws SQLException {
    if (faults.isRefused(context)) {
      return Answer.failure("Payment refused: injected by --fail-rate");
    }
    faults.maybeFail(context);
    if (!charge.customer().isEmpty() && !withinLimit(context, charge)) {
      return Answer.failure(
          "Credit limit of customer %s is below %d pence"
              .formatted(charge.customer(), charge.pence()));
    }
    return pay(context, "CHARGE", charge.id(), charge.customer(), charge.pence());
  }

  private Answer refund(StepContext context, RefundCharge refund) throws SQLException {
    faults.maybeFail(context);
    return pay(context, "REFUND", refund.id(), refund.customer(), -refund.pence());
  }

  private static boolean withinLimit(StepContext context, Charge charge) throws SQLException {
    try (PreparedStatement select =
        context
            .tx()
            .connection()
            .prepareStatement(
                "SELECT 1 FROM customer WHERE id = ? AND balance_pence + ? <= limit_pence"
                    + " FOR UPDATE")) {
      select.setString(1, charge.customer());
      select.setLong(2, charge.pence());
      return select.executeQuery().next();
    }
  }

  private static Answer pay(
      StepContext context, String kind, String id, String customer, long pence)
      throws SQLException {
    Connection connection = context.tx().connection();
    try (PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO payment (order_id, kind, customer, pence) VALUES (?, ?, ?, ?)");
        PreparedStatement update =
            connection.prepareStatement(
                "UPDATE customer SET balance_pence = balance_pence + ? WHERE id = ?")) {
      insert.setString(1, id);
      insert.setString(2, kind);
      insert.setString(3, customer);
      insert.setLong(4, pence);
      insert.executeUpdate();
      update.setLong(1, pence);
      update.setString(2, customer);
      update.executeUpdate();
    }
    return Answer.success();
  }
}

package dev.lockstep.example.pipeline.service;

import dev.lockstep.example.pipeline.service.OrderSagas.Ship;
import dev.lockstep.saga.Answer;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.StepContext;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.List;

/** The shipping service: what is sent does not come back. */
public final class Shipping {

  /** Tables of the service. */
  public static final List<String> TABLES =
      List.of(
          "CREATE TABLE IF NOT EXISTS shipment (id bigserial PRIMARY KEY,"
              + " order_id text NOT NULL, pieces integer NOT NULL)");

  private final Faults faults;

  /** Fails as told. */
  public Shipping(Faults faults) {
    this.faults = faults;
  }

  /** Returns the service's handlers. */
  public Participant participant() {
    return Participant.named("shipping").on(Ship.class, this::ship);
  }

  private Answer ship(StepContext context, Ship ship) throws SQLException {
    if (faults.isRefused(context)) {
      return Answer.failure("Carrier refused: injected by --fail-rate");
    }
    faults.maybeFail(context);
    try (PreparedStatement insert =
        context
            .tx()
            .connection()
            .prepareStatement("INSERT INTO shipment (order_id, pieces) VALUES (?, ?)")) {
      insert.setString(1, ship.id());
      insert.setInt(2, ship.pieces());
      insert.executeUpdate();
    }
    return Answer.success();
  }
}

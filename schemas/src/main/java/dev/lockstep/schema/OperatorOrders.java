package dev.lockstep.schema;

import dev.lockstep.schema.kernel.OperatorOrder;
import java.time.Clock;
import org.jspecify.annotations.Nullable;

/** Who orders something, and why: what an order must be like, wherever it is given. */
public final class OperatorOrders {

  private static final int PRINCIPAL_LIMIT = 256;
  private static final int REASON_LIMIT = 2_000;

  private OperatorOrders() {}

  /**
   * Makes an order that is given now.
   *
   * @param principal who orders it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @param clock tells when
   * @return order
   * @throws IllegalArgumentException when one of them is blank or too long
   */
  public static OperatorOrder of(String principal, String reason, Clock clock) {
    OperatorOrder order = new OperatorOrder(principal, reason, clock.millis());
    String fault = fault(order);
    if (fault != null) {
      throw new IllegalArgumentException(fault);
    }
    return order;
  }

  /**
   * Checks an order that came by a log.
   *
   * @param order what came
   * @return what is wrong with it; null: nothing
   */
  public static @Nullable String fault(OperatorOrder order) {
    if (order.getPrincipal().isBlank() || order.getReason().isBlank()) {
      return "An order needs a principal and a reason";
    }
    if (order.getPrincipal().length() > PRINCIPAL_LIMIT
        || order.getReason().length() > REASON_LIMIT) {
      return "The principal of an order has up to %d characters and its reason up to %d, here %d and %d"
          .formatted(
              PRINCIPAL_LIMIT,
              REASON_LIMIT,
              order.getPrincipal().length(),
              order.getReason().length());
    }
    return null;
  }

  /**
   * Tells an order to people.
   *
   * @param order the order
   * @return principal and reason
   */
  public static String told(OperatorOrder order) {
    return order.getPrincipal() + ": " + order.getReason();
  }
}

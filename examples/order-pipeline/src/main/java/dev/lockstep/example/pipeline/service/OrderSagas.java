package dev.lockstep.example.pipeline.service;

import dev.lockstep.example.pipeline.invoice.Invoice;
import dev.lockstep.saga.ParticipantRef;
import dev.lockstep.saga.RetryPolicy;
import dev.lockstep.saga.Saga;
import java.time.Duration;
import java.util.Collection;
import java.util.List;

/** The two sagas of the shop, and what they send. */
public final class OrderSagas {

  /** Pieces of one stock code. */
  public record Item(String sku, int quantity) {}

  /** State of both sagas: the order, which no step changes. */
  public record OrderState(String id, String customer, List<Item> items, long pence) {

    /** Makes the state of an invoice. */
    public static OrderState of(Invoice invoice) {
      List<Item> items =
          invoice.goods().entrySet().stream().map(e -> new Item(e.getKey(), e.getValue())).toList();
      return new OrderState(invoice.id(), invoice.customer(), items, invoice.total());
    }

    Collection<String> skus() {
      return items.stream().map(Item::sku).toList();
    }
  }

  /** Order service: the saga has begun. */
  public record AcceptOrder(String id) {}

  /** Order service: the saga rolled back. */
  public record RejectOrder(String id) {}

  /** Order service: the saga is done. */
  public record CompleteOrder(String id) {}

  /** Inventory: takes pieces out. */
  public record ReserveStock(String id, List<Item> items) {}

  /** Inventory: puts them back. */
  public record ReleaseStock(String id, List<Item> items) {}

  /** Inventory: takes returned pieces in. */
  public record Restock(String id, List<Item> items) {}

  /** Inventory: takes them out again. */
  public record Unrestock(String id, List<Item> items) {}

  /** Payment: charges the customer, or a guest. */
  public record Charge(String id, String customer, long pence) {}

  /** Payment: gives a charge back. */
  public record RefundCharge(String id, String customer, long pence) {}

  /** Payment: pays for returned goods. */
  public record RefundReturn(String id, String customer, long pence) {}

  /** Shipping: sends the goods. */
  public record Ship(String id, int pieces) {}

  private static final ParticipantRef ORDER = ParticipantRef.of("order");
  private static final ParticipantRef INVENTORY = ParticipantRef.of("inventory");
  private static final ParticipantRef PAYMENT = ParticipantRef.of("payment");
  private static final ParticipantRef SHIPPING = ParticipantRef.of("shipping");
  private static final RetryPolicy RETRIES = RetryPolicy.exponential(Duration.ofMillis(200), 5);
  private static final Duration WITHIN = Duration.ofSeconds(20);

  /** A sale: accept, reserve, charge, ship (no way back), complete. */
  public static final Saga<OrderState> PLACE =
      Saga.named("place-order", OrderState.class)
          .step("accept")
          .send(ORDER, o -> new AcceptOrder(o.id()))
          .compensate(ORDER, o -> new RejectOrder(o.id()))
          .retrying(RETRIES)
          .within(WITHIN)
          .step("reserve")
          .locking(OrderState::skus)
          .send(INVENTORY, o -> new ReserveStock(o.id(), o.items()))
          .compensate(INVENTORY, o -> new ReleaseStock(o.id(), o.items()))
          .retrying(RETRIES)
          .within(WITHIN)
          .step("charge")
          .send(PAYMENT, o -> new Charge(o.id(), o.customer(), o.pence()))
          .compensate(PAYMENT, o -> new RefundCharge(o.id(), o.customer(), o.pence()))
          .retrying(RETRIES)
          .within(WITHIN)
          .pivot("ship")
          .send(SHIPPING, o -> new Ship(o.id(), o.items().stream().mapToInt(Item::quantity).sum()))
          .retrying(RETRIES)
          .within(WITHIN)
          .retriable("complete")
          .send(ORDER, o -> new CompleteOrder(o.id()))
          .retrying(RetryPolicy.exponential(Duration.ofMillis(200), 20))
          .within(WITHIN)
          .build();

  /** A return: accept, restock, refund (no way back), complete. */
  public static final Saga<OrderState> RETURN =
      Saga.named("return-order", OrderState.class)
          .step("accept")
          .send(ORDER, o -> new AcceptOrder(o.id()))
          .compensate(ORDER, o -> new RejectOrder(o.id()))
          .retrying(RETRIES)
          .within(WITHIN)
          .step("restock")
          .locking(OrderState::skus)
          .send(INVENTORY, o -> new Restock(o.id(), o.items()))
          .compensate(INVENTORY, o -> new Unrestock(o.id(), o.items()))
          .retrying(RETRIES)
          .within(WITHIN)
          .pivot("refund")
          .send(PAYMENT, o -> new RefundReturn(o.id(), o.customer(), o.pence()))
          .retrying(RETRIES)
          .within(WITHIN)
          .retriable("complete")
          .send(ORDER, o -> new CompleteOrder(o.id()))
          .retrying(RetryPolicy.exponential(Duration.ofMillis(200), 20))
          .within(WITHIN)
          .build();

  /** Both definitions. */
  public static final List<Saga<?>> ALL = List.of(PLACE, RETURN);

  private OrderSagas() {}

  /** Returns the saga of an invoice. */
  public static Saga<OrderState> of(Invoice invoice) {
    return invoice.isReturn() ? RETURN : PLACE;
  }
}

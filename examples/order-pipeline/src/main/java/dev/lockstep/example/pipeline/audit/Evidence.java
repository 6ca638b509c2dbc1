package dev.lockstep.example.pipeline.audit;

import dev.lockstep.example.pipeline.invoice.Invoice;
import dev.lockstep.schema.saga.EndStatus;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * Everything that the checks look at: the input, what stands in the four databases, what stands in
 * the topics. Nothing of it comes from the pipeline's own counters.
 *
 * @param invoices the input, read again
 * @param orders rows of the order service
 * @param rejectedLines rejected lines that the order service kept
 * @param rejectedInvoices rejected invoices that it kept
 * @param stock rows of the inventory
 * @param moves changes of stock, in order
 * @param customers rows of the payment service
 * @param payments payments, in order
 * @param shipments shipments
 * @param sagas saga by id, from the saga events
 * @param locks lock events, per key in order of the log
 * @param announcements OrderPlaced and OrderEnded, from the application topic
 * @param ledger rows of the four outboxes
 * @param published how often each row stands in its topic
 * @param topicRecords records by topic, for topics that must not be empty
 * @param replay differences between topics and replays
 */
public record Evidence(
    List<Invoice> invoices,
    List<OrderRow> orders,
    List<Integer> rejectedLines,
    List<String> rejectedInvoices,
    List<StockRow> stock,
    List<Move> moves,
    List<CustomerRow> customers,
    List<PaymentRow> payments,
    List<ShipmentRow> shipments,
    Map<String, SagaFacts> sagas,
    List<LockFact> locks,
    List<Announced> announcements,
    List<LedgerRow> ledger,
    Map<UUID, Integer> published,
    Map<String, Long> topicRecords,
    List<String> replay) {

  /** Row of {@code orders}. */
  public record OrderRow(String id, String customer, long pence, int lines, String status) {}

  /** Row of {@code stock}. */
  public record StockRow(String sku, int opening, int quantity) {}

  /** Row of {@code stock_move}. */
  public record Move(String order, String step, String sku, int delta, long token) {}

  /** Row of {@code customer}. */
  public record CustomerRow(String id, long limitPence, long balancePence) {}

  /** Row of {@code payment}. */
  public record PaymentRow(String order, String kind, String customer, long pence) {}

  /** Row of {@code shipment}. */
  public record ShipmentRow(String order, int pieces) {}

  /** Row of {@code lockstep_outbox}. */
  public record LedgerRow(String service, UUID id, String topic, boolean exactlyOnce) {}

  /** OrderPlaced or OrderEnded. */
  public record Announced(String type, String order, String status) {}

  /** One lock event. */
  public record LockFact(boolean granted, String key, String owner, long token, String cause) {}

  /** One ended step of a saga. */
  public record StepFact(
      String step, String direction, String outcome, int attempts, String reason, long at) {}

  /**
   * What the events tell of a saga.
   *
   * @param starts how often it started
   * @param ends how it ended; more than one only after an operator's order
   */
  public record SagaFacts(
      String id, int starts, long startedAt, List<StepFact> steps, List<SagaEnd> ends) {}

  /** How a saga ended. */
  public record SagaEnd(EndStatus status, String step, int attempts, String reason, long at) {}
}

package dev.lockstep.example.pipeline.audit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.example.pipeline.audit.Evidence.Announced;
import dev.lockstep.example.pipeline.audit.Evidence.CustomerRow;
import dev.lockstep.example.pipeline.audit.Evidence.LedgerRow;
import dev.lockstep.example.pipeline.audit.Evidence.LockFact;
import dev.lockstep.example.pipeline.audit.Evidence.Move;
import dev.lockstep.example.pipeline.audit.Evidence.OrderRow;
import dev.lockstep.example.pipeline.audit.Evidence.PaymentRow;
import dev.lockstep.example.pipeline.audit.Evidence.SagaEnd;
import dev.lockstep.example.pipeline.audit.Evidence.SagaFacts;
import dev.lockstep.example.pipeline.audit.Evidence.ShipmentRow;
import dev.lockstep.example.pipeline.audit.Evidence.StockRow;
import dev.lockstep.example.pipeline.invoice.Invoice;
import dev.lockstep.example.pipeline.invoice.Invoice.RejectedLine;
import dev.lockstep.example.pipeline.invoice.InvoiceLine;
import dev.lockstep.schema.saga.EndStatus;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** The audit finds every kind of violation: each test plants one in evidence that is clean. */
class ChecksTest {

  private static final UUID EVENT = new UUID(1, 1);
  private static final UUID START = new UUID(1, 2);

  private List<Invoice> invoices =
      new ArrayList<>(
          List.of(
              new Invoice(
                  "1",
                  "c",
                  List.of(new InvoiceLine(1, "10001", 2, 300)),
                  List.of(new RejectedLine(2, "1", "price is not positive", ""))),
              new Invoice("2", "c", List.of(new InvoiceLine(3, "10001", 9, 100)), List.of()),
              new Invoice("C3", "", List.of(new InvoiceLine(4, "10001", 1, 300)), List.of()),
              new Invoice(
                  "4", "", List.of(), List.of(new RejectedLine(5, "4", "quantity is zero", "")))));
  private final List<OrderRow> orders =
      new ArrayList<>(
          List.of(
              new OrderRow("1", "c", 600, 1, "COMPLETED"),
              new OrderRow("2", "c", 900, 1, "REJECTED"),
              new OrderRow("C3", "", 300, 1, "COMPLETED")));
  private final List<Integer> rejectedLines = new ArrayList<>(List.of(2, 5));
  private final List<String> rejectedInvoices = new ArrayList<>(List.of("4"));
  private final List<StockRow> stock = new ArrayList<>(List.of(new StockRow("10001", 5, 4)));
  private final List<Move> moves =
      new ArrayList<>(
          List.of(
              new Move("1", "reserve-", "10001", -2, 10),
              new Move("C3", "restock+", "10001", 1, 30)));
  private final List<CustomerRow> customers =
      new ArrayList<>(List.of(new CustomerRow("c", 5_000, 600)));
  private final List<PaymentRow> payments =
      new ArrayList<>(
          List.of(
              new PaymentRow("1", "CHARGE", "c", 600), new PaymentRow("C3", "RETURN", "", -300)));
  private final List<ShipmentRow> shipments = new ArrayList<>(List.of(new ShipmentRow("1", 2)));
  private final Map<String, SagaFacts> sagas = new TreeMap<>();
  private final List<LockFact> locks =
      new ArrayList<>(
          List.of(
              new LockFact(true, "10001", "1", 10, ""),
              new LockFact(false, "10001", "1", 10, "RELEASED"),
              new LockFact(true, "10001", "2", 20, ""),
              new LockFact(false, "10001", "2", 20, "RELEASED"),
              new LockFact(true, "10001", "C3", 30, ""),
              new LockFact(false, "10001", "C3", 30, "RELEASED")));
  private final List<Announced> announcements =
      new ArrayList<>(
          List.of(
              new Announced("OrderPlaced", "1", "PLACED"),
              new Announced("OrderPlaced", "2", "PLACED"),
              new Announced("OrderPlaced", "C3", "PLACED"),
              new Announced("OrderEnded", "1", "COMPLETED"),
              new Announced("OrderEnded", "2", "REJECTED"),
              new Announced("OrderEnded", "C3", "COMPLETED")));
  private final List<LedgerRow> ledger =
      new ArrayList<>(
          List.of(
              new LedgerRow("order", EVENT, "shop.orders", true),
              new LedgerRow("order", START, "lockstep.saga.log", false)));
  private final Map<UUID, Integer> published = new HashMap<>(Map.of(EVENT, 1, START, 2));
  private final Map<String, Long> topics = new TreeMap<>(Map.of("lock events", 6L));
  private final List<String> replay = new ArrayList<>();

  ChecksTest() {
    saga("1", EndStatus.COMPLETED, "");
    saga("2", EndStatus.COMPENSATED, "Out of stock");
    saga("C3", EndStatus.COMPLETED, "");
  }

  private void saga(String id, EndStatus status, String reason) {
    sagas.put(
        id,
        new SagaFacts(id, 1, 0, List.of(), List.of(new SagaEnd(status, "reserve", 1, reason, 5))));
  }

  private List<String> violations() {
    return Checks.violations(
        new Evidence(
            invoices,
            orders,
            rejectedLines,
            rejectedInvoices,
            stock,
            moves,
            customers,
            payments,
            shipments,
            sagas,
            locks,
            announcements,
            ledger,
            published,
            topics,
            replay));
  }

  private void assertFound(String... parts) {
    for (String part : parts) {
      assertThat(violations()).anySatisfy(v -> assertThat(v).contains(part));
    }
  }

  @Test
  void cleanEvidencePasses() {
    assertThat(violations()).isEmpty();
  }

  @Test
  void findsAnEmptyInputAndAnEmptyTopic() {
    topics.put("saga events", 0L);
    assertFound("topic: the saga events is empty");
    invoices = List.of();
    assertFound("input: it has no invoice");
  }

  @Test
  void findsALostInvoiceAndALostLine() {
    orders.remove(0);
    rejectedLines.remove(0);
    rejectedInvoices.clear();
    assertFound(
        "invoice 1 became no order", "rejected line 2 was not kept", "invoice 4 has no usable");
  }

  @Test
  void findsAnOrderWithOtherMoneyOrFromNowhere() {
    orders.set(0, new OrderRow("1", "c", 601, 1, "COMPLETED"));
    orders.add(new OrderRow("9", "", 1, 1, "PLACED"));
    assertFound("order 1 has 1 lines and 601 pence", "order 9 comes from no usable invoice");
  }

  @Test
  void findsSagasThatNeverStartedNeverEndedOrEndedTwice() {
    SagaFacts one = sagas.get("1");
    sagas.put("1", new SagaFacts("1", 1, 0, List.of(), List.of()));
    sagas.put("2", new SagaFacts("2", 2, 0, List.of(), one.ends()));
    sagas.remove("C3");
    assertFound("saga: 1 never ended", "saga: 2 started 2 times", "saga: C3 never started");
    sagas.put(
        "1", new SagaFacts("1", 1, 0, List.of(), List.of(one.ends().get(0), one.ends().get(0))));
    assertFound("saga: 1 ended 2 times");
  }

  @Test
  void findsAnEndWithoutReason() {
    saga("2", EndStatus.COMPENSATED, " ");
    assertFound("saga: 2 is COMPENSATED without a reason");
  }

  @Test
  void findsStockThatVanished() {
    stock.set(0, new StockRow("10001", 5, 3));
    assertFound("stock: 10001 holds 3, its moves give 4");
  }

  @Test
  void findsStockThatWasNotPutBack() {
    moves.add(1, new Move("2", "reserve-", "10001", -9, 20));
    stock.set(0, new StockRow("10001", 5, -5));
    assertFound("COMPENSATED order 2 moved -9 of 10001, should have moved 0");
  }

  @Test
  void findsAStepThatTookEffectTwice() {
    moves.add(1, new Move("1", "reserve-", "10001", -2, 10));
    payments.add(new PaymentRow("1", "CHARGE", "c", 600));
    shipments.add(new ShipmentRow("1", 2));
    assertFound(
        "twice: stock of 10001", "twice: CHARGE of order 1", "twice: order 1 was shipped twice");
  }

  @Test
  void findsMoneyThatDoesNotFit() {
    customers.set(0, new CustomerRow("c", 500, 599));
    payments.remove(1);
    assertFound("customer c has a balance of 599", "customer c owes 599", "order C3 paid 0 pence");
  }

  @Test
  void findsAShipmentTooManyOrTooFew() {
    shipments.set(0, new ShipmentRow("2", 9));
    assertFound("COMPLETED order 1 was not shipped", "COMPENSATED order 2 was shipped");
  }

  @Test
  void findsAnnouncementsThatAreMissingDoubleOrWrong() {
    announcements.remove(0);
    announcements.add(new Announced("OrderEnded", "C3", "COMPLETED"));
    announcements.set(3, new Announced("OrderEnded", "2", "COMPLETED"));
    assertFound(
        "OrderPlaced 1 is missing",
        "OrderEnded C3 was announced 2 times",
        "OrderEnded 2 says COMPLETED");
  }

  @Test
  void findsTwoHoldersAtATime() {
    locks.remove(1);
    assertFound("while held by");
  }

  @Test
  void findsATokenThatFell() {
    locks.set(2, new LockFact(true, "10001", "2", 9, ""));
    locks.set(3, new LockFact(false, "10001", "2", 9, "RELEASED"));
    assertFound("tokens of 10001 fell from 10 to 9");
  }

  @Test
  void findsALockThatIsStillHeld() {
    locks.remove(locks.size() - 1);
    assertFound("10001 is still held by ended saga C3");
  }

  @Test
  void findsAWriteUnderAForeignOrStaleToken() {
    moves.set(0, new Move("1", "reserve-", "10001", -2, 20));
    assertFound("order 1 wrote 10001 under token 20, which was granted to 2");
    moves.add(new Move("1", "release+", "10001", 0, 10));
    assertFound("was written under token 10 after token 30");
  }

  @Test
  void findsAnOutboxRowThatWasNeverOrTwicePublished() {
    published.put(EVENT, 2);
    published.remove(START);
    assertFound("is 2 times in 'shop.orders'", "is not in 'lockstep.saga.log'");
  }

  @Test
  void passesOnWhatTheReplayFound() {
    replay.add("lockstep.lock.events-0: hole");
    assertFound("lock.events-0: hole");
  }

  @Test
  void findsAStatusThatContradictsTheSaga() {
    orders.set(1, new OrderRow("2", "c", 900, 1, "COMPLETED"));
    assertFound("order: 2 has status COMPLETED, its saga is COMPENSATED");
  }
}

package dev.lockstep.example.pipeline.audit;

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
import dev.lockstep.schema.saga.EndStatus;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What must hold of a run; each violation is one line. Pure; linear in the evidence. */
public final class Checks {

  private final Evidence evidence;
  private final List<String> violations = new ArrayList<>();
  private final Map<String, Invoice> usable = new TreeMap<>();

  private Checks(Evidence evidence) {
    this.evidence = evidence;
    evidence.invoices().stream()
        .filter(Invoice::isUsable)
        .forEach(invoice -> usable.put(invoice.id(), invoice));
  }

  /** Returns all violations; empty when all is well. */
  public static List<String> violations(Evidence evidence) {
    Checks checks = new Checks(evidence);
    checks.nothingIsEmpty();
    checks.everyLineIsAccountedFor();
    checks.everySagaEndedOnce();
    checks.stockIsConserved();
    checks.moneyIsConserved();
    checks.shipmentsFit();
    checks.ordersAreAnnouncedOnce();
    checks.grantsNeverOverlap();
    checks.writesStandUnderTheirGrant();
    checks.outboxesAreDrained();
    checks.violations.addAll(evidence.replay());
    return checks.violations;
  }

  @SuppressWarnings("AnnotateFormatMethod") // no dependency for one private method
  private void fail(String message, @Nullable Object... arguments) {
    violations.add(message.formatted(arguments));
  }

  private void nothingIsEmpty() {
    if (evidence.invoices().isEmpty()) {
      fail("input: it has no invoice");
    }
    if (usable.isEmpty()) {
      return;
    }
    evidence
        .topicRecords()
        .forEach(
            (topic, records) -> {
              if (records == 0) {
                fail("topic: the %s is empty", topic);
              }
            });
  }

  private void everyLineIsAccountedFor() {
    Map<String, OrderRow> orders = new HashMap<>();
    for (OrderRow order : evidence.orders()) {
      if (orders.put(order.id(), order) != null) {
        fail("input: order %s stands twice", order.id());
      }
      if (!usable.containsKey(order.id())) {
        fail("input: order %s comes from no usable invoice", order.id());
      }
    }
    Set<Integer> rejected = new HashSet<>(evidence.rejectedLines());
    Set<String> rejectedInvoices = new HashSet<>(evidence.rejectedInvoices());
    for (Invoice invoice : evidence.invoices()) {
      invoice.rejected().stream()
          .filter(line -> !rejected.contains(line.number()))
          .forEach(line -> fail("input: rejected line %d was not kept", line.number()));
      if (!invoice.isUsable()) {
        if (!rejectedInvoices.contains(invoice.id())) {
          fail("input: invoice %s has no usable line and was not rejected", invoice.id());
        }
        continue;
      }
      OrderRow order = orders.get(invoice.id());
      if (order == null) {
        fail("input: invoice %s became no order", invoice.id());
      } else if (order.lines() != invoice.lines().size() || order.pence() != invoice.total()) {
        fail(
            "input: order %s has %d lines and %d pence, its invoice %d and %d",
            order.id(), order.lines(), order.pence(), invoice.lines().size(), invoice.total());
      }
    }
  }

  private void everySagaEndedOnce() {
    for (String id : usable.keySet()) {
      SagaFacts saga = evidence.sagas().get(id);
      if (saga == null || saga.starts() == 0) {
        fail("saga: %s never started", id);
      } else if (saga.starts() > 1) {
        fail("saga: %s started %d times", id, saga.starts());
      } else if (saga.ends().isEmpty()) {
        fail("saga: %s never ended", id);
      } else if (saga.ends().size() > 1) {
        fail("saga: %s ended %d times", id, saga.ends().size());
      } else {
        SagaEnd end = saga.ends().get(0);
        if (end.status() != EndStatus.COMPLETED && end.reason().isBlank()) {
          fail("saga: %s is %s without a reason", id, end.status());
        }
      }
    }
    for (String id : evidence.sagas().keySet()) {
      if (!usable.containsKey(id)) {
        fail("saga: %s belongs to no usable invoice", id);
      }
    }
  }

  private EndStatus end(String id) {
    SagaFacts saga = evidence.sagas().get(id);
    return saga == null || saga.ends().isEmpty() ? EndStatus.PARKED : saga.ends().get(0).status();
  }

  private void stockIsConserved() {
    Map<String, Integer> moved = new HashMap<>();
    Map<String, Map<String, Integer>> byOrder = new HashMap<>();
    Set<String> once = new HashSet<>();
    for (Move move : evidence.moves()) {
      moved.merge(move.sku(), move.delta(), Integer::sum);
      byOrder
          .computeIfAbsent(move.order(), o -> new TreeMap<>())
          .merge(move.sku(), move.delta(), Integer::sum);
      if (!once.add(move.order() + " " + move.step() + " " + move.sku())) {
        fail("twice: stock of %s moved twice by %s of %s", move.sku(), move.step(), move.order());
      }
    }
    for (StockRow row : evidence.stock()) {
      int should = row.opening() + moved.getOrDefault(row.sku(), 0);
      if (row.quantity() != should) {
        fail("stock: %s holds %d, its moves give %d", row.sku(), row.quantity(), should);
      }
    }
    for (Invoice invoice : usable.values()) {
      EndStatus end = end(invoice.id());
      if (end == EndStatus.PARKED) {
        continue;
      }
      Map<String, Integer> should = new TreeMap<>();
      int sign = end == EndStatus.COMPENSATED ? 0 : invoice.isReturn() ? 1 : -1;
      invoice.goods().forEach((sku, pieces) -> should.put(sku, sign * pieces));
      Map<String, Integer> are = byOrder.getOrDefault(invoice.id(), Map.of());
      should.forEach(
          (sku, pieces) -> {
            if (are.getOrDefault(sku, 0).intValue() != pieces) {
              fail(
                  "stock: %s order %s moved %d of %s, should have moved %d",
                  end, invoice.id(), are.getOrDefault(sku, 0), sku, pieces);
            }
          });
    }
  }

  private void moneyIsConserved() {
    Map<String, Long> byOrder = new HashMap<>();
    Map<String, Long> byCustomer = new HashMap<>();
    Set<String> once = new HashSet<>();
    for (PaymentRow payment : evidence.payments()) {
      byOrder.merge(payment.order(), payment.pence(), Long::sum);
      byCustomer.merge(payment.customer(), payment.pence(), Long::sum);
      if (!once.add(payment.order() + " " + payment.kind())) {
        fail("twice: %s of order %s was paid twice", payment.kind(), payment.order());
      }
    }
    for (CustomerRow customer : evidence.customers()) {
      long should = byCustomer.getOrDefault(customer.id(), 0L);
      if (customer.balancePence() != should) {
        fail(
            "money: customer %s has a balance of %d, the payments give %d",
            customer.id(), customer.balancePence(), should);
      }
      if (customer.balancePence() > customer.limitPence()) {
        fail(
            "money: customer %s owes %d above a limit of %d",
            customer.id(), customer.balancePence(), customer.limitPence());
      }
    }
    for (Invoice invoice : usable.values()) {
      EndStatus end = end(invoice.id());
      if (end == EndStatus.PARKED) {
        continue;
      }
      long sign = end == EndStatus.COMPENSATED ? 0 : invoice.isReturn() ? -1 : 1;
      long are = byOrder.getOrDefault(invoice.id(), 0L);
      if (are != sign * invoice.total()) {
        fail(
            "money: %s order %s paid %d pence, should have paid %d",
            end, invoice.id(), are, sign * invoice.total());
      }
    }
  }

  private void shipmentsFit() {
    Map<String, Integer> shipped = new HashMap<>();
    for (ShipmentRow shipment : evidence.shipments()) {
      if (shipped.merge(shipment.order(), 1, Integer::sum) > 1) {
        fail("twice: order %s was shipped twice", shipment.order());
      }
    }
    for (Invoice invoice : usable.values()) {
      EndStatus end = end(invoice.id());
      boolean should = end == EndStatus.COMPLETED && !invoice.isReturn();
      if (end != EndStatus.PARKED && shipped.containsKey(invoice.id()) != should) {
        fail(
            "shipment: %s order %s was %sshipped",
            end, invoice.id(), shipped.containsKey(invoice.id()) ? "" : "not ");
      }
    }
  }

  private void ordersAreAnnouncedOnce() {
    Map<String, Integer> count = new HashMap<>();
    Map<String, String> ended = new HashMap<>();
    for (Announced event : evidence.announcements()) {
      count.merge(event.type() + " " + event.order(), 1, Integer::sum);
      if (event.type().equals("OrderEnded")) {
        ended.put(event.order(), event.status());
      }
    }
    count.forEach(
        (event, times) -> {
          if (times > 1) {
            fail("twice: %s was announced %d times", event, times);
          }
        });
    for (String id : usable.keySet()) {
      if (!count.containsKey("OrderPlaced " + id)) {
        fail("announcement: OrderPlaced %s is missing", id);
      }
      EndStatus end = end(id);
      String should = end == EndStatus.COMPLETED ? "COMPLETED" : "REJECTED";
      if (end != EndStatus.PARKED && !should.equals(ended.get(id))) {
        fail("announcement: OrderEnded %s says %s, should say %s", id, ended.get(id), should);
      }
    }
    for (OrderRow order : evidence.orders()) {
      EndStatus end = end(order.id());
      String should = end == EndStatus.COMPLETED ? "COMPLETED" : "REJECTED";
      if (end != EndStatus.PARKED && !should.equals(order.status())) {
        fail("order: %s has status %s, its saga is %s", order.id(), order.status(), end);
      }
    }
  }

  private void grantsNeverOverlap() {
    Map<String, LockFact> holders = new HashMap<>();
    Map<String, Long> highest = new HashMap<>();
    for (LockFact fact : evidence.locks()) {
      if (!fact.granted()) {
        LockFact holder = holders.remove(fact.key());
        if (holder == null || holder.token() != fact.token()) {
          fail("lock: %s was released by %s, held by %s", fact.key(), fact, holder);
        }
        continue;
      }
      LockFact holder = holders.put(fact.key(), fact);
      if (holder != null) {
        fail("lock: %s was granted to %s while held by %s", fact.key(), fact, holder);
      }
      Long before = highest.put(fact.key(), fact.token());
      if (before != null && before >= fact.token()) {
        fail("lock: tokens of %s fell from %d to %d", fact.key(), before, fact.token());
      }
    }
    holders.forEach(
        (key, holder) -> {
          if (end(holder.owner()) != EndStatus.PARKED) {
            fail("lock: %s is still held by ended saga %s", key, holder.owner());
          }
        });
  }

  private void writesStandUnderTheirGrant() {
    Map<String, String> grants = new HashMap<>();
    for (LockFact fact : evidence.locks()) {
      if (fact.granted()) {
        grants.put(fact.key() + " " + fact.token(), fact.owner());
      }
    }
    Map<String, Long> highest = new HashMap<>();
    for (Move move : evidence.moves()) {
      String owner = grants.get(move.sku() + " " + move.token());
      if (!move.order().equals(owner)) {
        fail(
            "fence: order %s wrote %s under token %d, which was granted to %s",
            move.order(), move.sku(), move.token(), owner);
      }
      Long before = highest.get(move.sku());
      if (before != null && before > move.token()) {
        fail(
            "fence: %s was written under token %d after token %d",
            move.sku(), move.token(), before);
      }
      highest.put(move.sku(), move.token());
    }
  }

  private void outboxesAreDrained() {
    for (LedgerRow row : evidence.ledger()) {
      int times = evidence.published().getOrDefault(row.id(), 0);
      if (times == 0) {
        fail("outbox: row %s of %s is not in '%s'", row.id(), row.service(), row.topic());
      } else if (times > 1 && row.exactlyOnce()) {
        fail(
            "outbox: row %s of %s is %d times in '%s'",
            row.id(), row.service(), times, row.topic());
      }
    }
  }
}

package dev.lockstep.example.pipeline.invoice;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;

/**
 * What the shop opens with: stock per code and credit limit per customer.
 *
 * <p>A few codes start below the smallest quantity that anybody asks for, so that about 4 % of the
 * sales fail for lack of stock, and a few customers' limits lie below their smallest order. Which
 * sales fail does not depend on who comes first, so one seed gives one result; codes that anybody
 * returns are never short.
 *
 * @param stock pieces by stock code
 * @param creditPence limit by customer
 */
public record OpeningPlan(Map<String, Integer> stock, Map<String, Long> creditPence) {

  private static final double SHORT_SHARE = 0.04;
  private static final double SHORT_MOST = 0.07;
  private static final double CREDIT_SHARE = 0.005;

  /** Plans for these invoices. */
  public static OpeningPlan of(List<Invoice> invoices, long seed) {
    List<Invoice> sales = invoices.stream().filter(i -> i.isUsable() && !i.isReturn()).toList();
    Random random = new Random(seed);
    return new OpeningPlan(stock(invoices, sales, random), credit(invoices, sales, random));
  }

  private static Map<String, Integer> stock(
      List<Invoice> invoices, List<Invoice> sales, Random random) {
    Map<String, Integer> stock = new TreeMap<>();
    Map<String, Integer> smallest = new HashMap<>();
    Map<String, Set<String>> buyers = new TreeMap<>();
    for (Invoice sale : sales) {
      sale.goods()
          .forEach(
              (code, pieces) -> {
                stock.merge(code, pieces, Integer::sum);
                smallest.merge(code, pieces, Math::min);
                buyers.computeIfAbsent(code, c -> new HashSet<>()).add(sale.id());
              });
    }
    Set<String> returned = new HashSet<>();
    for (Invoice invoice : invoices) {
      if (invoice.isReturn()) {
        invoice.goods().keySet().forEach(returned::add);
        invoice.goods().keySet().forEach(code -> stock.putIfAbsent(code, 0));
      }
    }
    List<String> candidates = new ArrayList<>(buyers.keySet());
    candidates.removeAll(returned);
    Collections.shuffle(candidates, random);
    Set<String> failing = new HashSet<>();
    for (String code : candidates) {
      if (failing.size() >= sales.size() * SHORT_SHARE) {
        break;
      }
      Set<String> more = new HashSet<>(failing);
      more.addAll(buyers.getOrDefault(code, Set.of()));
      if (more.size() <= Math.max(1, sales.size() * SHORT_MOST)) {
        failing.addAll(more);
        stock.put(code, smallest.getOrDefault(code, 1) - 1);
      }
    }
    return stock;
  }

  private static Map<String, Long> credit(
      List<Invoice> invoices, List<Invoice> sales, Random random) {
    Map<String, Long> sum = new TreeMap<>();
    Map<String, Long> smallest = new HashMap<>();
    Map<String, Integer> orders = new HashMap<>();
    for (Invoice sale : sales) {
      if (!sale.customer().isEmpty()) {
        sum.merge(sale.customer(), sale.total(), Long::sum);
        smallest.merge(sale.customer(), sale.total(), Math::min);
        orders.merge(sale.customer(), 1, Integer::sum);
      }
    }
    List<String> customers = new ArrayList<>(sum.keySet());
    // money that comes back would make room under the limit
    invoices.stream().filter(Invoice::isReturn).map(Invoice::customer).forEach(customers::remove);
    Collections.shuffle(customers, random);
    int failing = 0;
    for (String customer : customers) {
      if (failing >= sales.size() * CREDIT_SHARE) {
        break;
      }
      failing += orders.getOrDefault(customer, 0);
      sum.put(customer, smallest.getOrDefault(customer, 1L) - 1);
    }
    return sum;
  }
}

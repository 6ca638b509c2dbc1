package dev.lockstep.example.pipeline.invoice;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * An invoice with its usable lines, and those that were rejected.
 *
 * @param id invoice number; of a return it begins with C
 * @param customer customer number; empty: a guest
 * @param lines usable lines
 * @param rejected lines that are not usable
 */
public record Invoice(
    String id, String customer, List<InvoiceLine> lines, List<RejectedLine> rejected) {

  /**
   * A line that is not usable.
   *
   * @param number line number over all input files
   * @param invoice invoice number
   * @param reason why
   * @param text the line as it was read
   */
  public record RejectedLine(int number, String invoice, String reason, String text) {}

  /** Tells a return from a sale. */
  public boolean isReturn() {
    return id.startsWith("C");
  }

  /** Tells whether any line is usable. */
  public boolean isUsable() {
    return !lines.isEmpty();
  }

  /** Returns what all usable lines cost. */
  public long total() {
    return lines.stream().mapToLong(InvoiceLine::total).sum();
  }

  /** Returns pieces of goods by stock code. */
  public Map<String, Integer> goods() {
    Map<String, Integer> pieces = new TreeMap<>();
    for (InvoiceLine line : lines) {
      if (line.isGoods()) {
        pieces.merge(line.code(), line.quantity(), Integer::sum);
      }
    }
    return pieces;
  }
}

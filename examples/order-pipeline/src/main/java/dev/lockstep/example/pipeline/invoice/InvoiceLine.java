package dev.lockstep.example.pipeline.invoice;

import java.util.regex.Pattern;

/**
 * A usable line of an invoice.
 *
 * @param number line number over all input files, 1 for the first data line
 * @param code stock code
 * @param quantity pieces, positive; of a return: pieces that come back
 * @param pence price of one piece
 */
public record InvoiceLine(int number, String code, int quantity, long pence) {

  private static final Pattern GOODS = Pattern.compile("\\d{5}[A-Za-z]{0,2}");

  /** Tells goods from postage, manual corrections and the like, which are charged, not stocked. */
  public boolean isGoods() {
    return GOODS.matcher(code).matches();
  }

  /** Returns what the line costs. */
  public long total() {
    return quantity * pence;
  }
}

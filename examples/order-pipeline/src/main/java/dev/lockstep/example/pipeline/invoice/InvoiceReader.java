package dev.lockstep.example.pipeline.invoice;

import dev.lockstep.example.pipeline.invoice.Invoice.RejectedLine;
import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;
import org.jspecify.annotations.Nullable;

/** Reads invoices from CSV with the columns of the Online Retail data set. */
public final class InvoiceReader {

  private static final List<String> COLUMNS =
      List.of(
          "InvoiceNo",
          "StockCode",
          "Description",
          "Quantity",
          "InvoiceDate",
          "UnitPrice",
          "CustomerID",
          "Country");

  /** Bounds that keep every sum of an invoice far from overflow. */
  private static final long MOST_PIECES = 10_000_000;

  private static final BigDecimal MOST_PRICE = BigDecimal.valueOf(1_000_000);

  private static final CSVFormat FORMAT =
      CSVFormat.DEFAULT.builder().setHeader().setSkipHeaderRecord(true).get();

  private InvoiceReader() {}

  /**
   * Reads a file, or all {@code .csv} files of a directory in order of their names.
   *
   * @param input file or directory
   * @param limit most invoices to return, in order of their first line
   * @return invoices in order of their first line
   * @throws IOException when nothing can be read, a column is missing, or there is no line at all
   */
  public static List<Invoice> read(Path input, int limit) throws IOException {
    Map<String, Draft> drafts = new LinkedHashMap<>();
    int number = 0;
    for (Path file : files(input)) {
      try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8);
          CSVParser parser = CSVParser.parse(reader, FORMAT)) {
        requireColumns(file, parser.getHeaderNames());
        for (CSVRecord record : parser) {
          number++;
          take(drafts, record, number, limit);
        }
      } catch (CharacterCodingException e) {
        throw new IOException("File " + file + " is not UTF-8 text", e);
      } catch (UncheckedIOException | IllegalStateException | IllegalArgumentException e) {
        throw new IOException(
            "File %s is no CSV behind invoice line %d: %s".formatted(file, number, e.getMessage()),
            e);
      }
    }
    if (drafts.isEmpty()) {
      throw new IOException("Input " + input + " has no invoice line");
    }
    return drafts.values().stream().map(Draft::invoice).toList();
  }

  private static List<Path> files(Path input) throws IOException {
    if (Files.isRegularFile(input)) {
      return List.of(input);
    }
    if (!Files.isDirectory(input)) {
      throw new IOException("Input " + input + " is neither a file nor a directory");
    }
    try (Stream<Path> list = Files.list(input)) {
      List<Path> files = list.filter(p -> p.toString().endsWith(".csv")).sorted().toList();
      if (files.isEmpty()) {
        throw new IOException("Directory " + input + " has no .csv file");
      }
      return files;
    }
  }

  private static void requireColumns(Path file, List<String> found) throws IOException {
    if (!found.containsAll(COLUMNS)) {
      throw new IOException("File %s has columns %s, needs %s".formatted(file, found, COLUMNS));
    }
  }

  private static void take(Map<String, Draft> drafts, CSVRecord record, int number, int limit) {
    String id = record.isConsistent() ? record.get("InvoiceNo").trim() : "";
    Draft draft = drafts.get(id);
    if (draft == null) {
      if (drafts.size() >= limit) {
        return;
      }
      draft = new Draft(id, customer(record));
      drafts.put(id, draft);
    }
    String fault = fault(record, id);
    if (fault != null) {
      draft.rejected.add(new RejectedLine(number, id, fault, String.join(",", record.values())));
      return;
    }
    int quantity = Math.abs(Integer.parseInt(record.get("Quantity").trim()));
    long pence =
        new BigDecimal(record.get("UnitPrice").trim())
            .movePointRight(2)
            .setScale(0, RoundingMode.HALF_UP)
            .longValueExact();
    draft.lines.add(new InvoiceLine(number, record.get("StockCode").trim(), quantity, pence));
  }

  private static String customer(CSVRecord record) {
    String text = record.isConsistent() ? record.get("CustomerID").trim() : "";
    return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
  }

  private static @Nullable String fault(CSVRecord record, String id) {
    if (!record.isConsistent()) {
      return "has %d fields, needs %d".formatted(record.size(), COLUMNS.size());
    }
    if (id.isEmpty()) {
      return "no invoice number";
    }
    if (record.get("StockCode").isBlank()) {
      return "no stock code";
    }
    try {
      int quantity = Integer.parseInt(record.get("Quantity").trim());
      if (quantity == 0) {
        return "quantity is zero";
      }
      if (Math.abs((long) quantity) > MOST_PIECES) {
        return "quantity is beyond " + MOST_PIECES;
      }
      if (id.startsWith("C") != quantity < 0) {
        return id.startsWith("C") ? "positive quantity in a return" : "negative quantity in a sale";
      }
    } catch (NumberFormatException e) {
      return "quantity is no whole number";
    }
    try {
      BigDecimal price = new BigDecimal(record.get("UnitPrice").trim());
      if (price.compareTo(MOST_PRICE) > 0) {
        return "price is beyond " + MOST_PRICE;
      }
      if (price.movePointRight(2).setScale(0, RoundingMode.HALF_UP).signum() <= 0) {
        return "price is not positive";
      }
    } catch (NumberFormatException e) {
      return "price is no number";
    }
    return null;
  }

  /** An invoice in the making. */
  private static final class Draft {

    private final String id;
    private final String customer;
    private final List<InvoiceLine> lines = new ArrayList<>();
    private final List<RejectedLine> rejected = new ArrayList<>();

    Draft(String id, String customer) {
      this.id = id;
      this.customer = customer;
    }

    Invoice invoice() {
      return new Invoice(id, customer, List.copyOf(lines), List.copyOf(rejected));
    }
  }
}

package dev.lockstep.example.pipeline.run;

import dev.lockstep.example.pipeline.invoice.Invoice;
import dev.lockstep.example.pipeline.invoice.InvoiceReader;
import dev.lockstep.example.pipeline.service.OrderDesk;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.saga.SagaClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands the invoices to the order desk, in order of the input, with a bounded number of open
 * orders. A new start goes over the input again: what is there already is passed.
 */
final class Submitter implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Submitter.class);
  private static final int OPEN_MOST = 300;

  private final OrderDesk desk;
  private final SagaClient sagas;
  private final List<Invoice> invoices;
  private final Thread thread;
  private volatile boolean stopping;

  private Submitter(OrderDesk desk, SagaClient sagas, List<Invoice> invoices) {
    this.desk = desk;
    this.sagas = sagas;
    this.invoices = invoices;
    this.thread = new Thread(this::run, "submitter");
    thread.setDaemon(true);
  }

  static Submitter start(OrderDesk desk, Outbox outbox, Environment environment) {
    try {
      SagaClient sagas = new SagaClient(environment.config());
      sagas.register(outbox);
      Submitter submitter =
          new Submitter(desk, sagas, InvoiceReader.read(environment.input(), environment.limit()));
      submitter.thread.start();
      return submitter;
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    stopping = true;
    thread.interrupt();
    try {
      thread.join(5_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    sagas.close();
  }

  private void run() {
    int taken = 0;
    for (Invoice invoice : invoices) {
      if (!submit(invoice)) {
        return;
      }
      if (taken++ % 20 == 0 && !awaitRoom()) {
        return;
      }
    }
    LOG.info("All {} invoices are handed in", invoices.size());
  }

  private boolean submit(Invoice invoice) {
    while (!stopping) {
      try {
        boolean taken = desk.take(invoice, sagas);
        LOG.debug("Invoice {}: {}", invoice.id(), taken ? "taken" : "passed");
        return true;
      } catch (SQLException | RuntimeException e) {
        LOG.warn("Invoice {} could not be handed in; trying again", invoice.id(), e);
        pause(500);
      }
    }
    return false;
  }

  private boolean awaitRoom() {
    while (!stopping) {
      try {
        if (desk.open() < OPEN_MOST) {
          return true;
        }
      } catch (SQLException e) {
        LOG.warn("Open orders could not be counted", e);
      }
      pause(50);
    }
    return false;
  }

  private void pause(long millis) {
    try {
      TimeUnit.MILLISECONDS.sleep(millis);
    } catch (InterruptedException e) {
      stopping = true;
      Thread.currentThread().interrupt();
    }
  }
}

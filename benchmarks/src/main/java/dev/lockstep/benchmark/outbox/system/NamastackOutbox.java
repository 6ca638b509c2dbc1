package dev.lockstep.benchmark.outbox.system;

import dev.lockstep.benchmark.outbox.OutboxSystem;
import dev.lockstep.benchmark.outbox.Place;
import io.namastack.outbox.Outbox;
import io.namastack.outbox.OutboxProcessingScheduler;
import io.namastack.outbox.handler.OutboxRecordMetadata;
import io.namastack.outbox.handler.OutboxTypedHandler;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.logging.LoggingSystem;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.support.GenericApplicationContext;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * namastack-outbox in a Spring context without a web server: keys are found in batches, the rows of
 * a key are handled one after the other, each removed in a transaction of its own. At least once,
 * in the order of each key.
 */
public final class NamastackOutbox implements OutboxSystem {

  private static final int THREADS = 32;
  private static final int BATCH = 10_000;
  private static final int POLL_MILLIS = 2;
  private static final int ROWS_IN_A_TRANSACTION = 10;

  /** Made by the command. */
  public NamastackOutbox() {}

  @Override
  public String name() {
    return "namastack";
  }

  @Override
  public String version() {
    return "%s on Spring Boot %s, %d threads, batches of %,d keys, %d ms between polls, completed rows deleted, a send waits for acks=all"
        .formatted(
            Jars.nameOf(OutboxProcessingScheduler.class),
            SpringApplication.class.getPackage().getImplementationVersion(),
            THREADS,
            BATCH,
            POLL_MILLIS);
  }

  @Override
  public List<String> variants() {
    return List.of("polling");
  }

  @Override
  public long mostRows() {
    return 20_000;
  }

  @Override
  public int connections() {
    return THREADS + 4;
  }

  @Override
  public Outlet open(Place place, String variant) {
    return new Context(place);
  }

  /** What Spring starts from. */
  @EnableAutoConfiguration
  static class Application {}

  /** Sends what is due; public, as its method is looked up. */
  public static final class Handler implements OutboxTypedHandler<String> {

    private final WaitingSender sender;

    Handler(WaitingSender sender) {
      this.sender = sender;
    }

    @Override
    public void handle(String payload, OutboxRecordMetadata metadata) {
      sender.send(metadata.getKey(), payload);
    }
  }

  private static final class Context implements Outlet {

    private final WaitingSender sender;
    private final ConfigurableApplicationContext context;
    private final OutboxProcessingScheduler relay;
    private final Outbox outbox;
    private final TransactionTemplate transactions;

    Context(Place place) {
      this.sender = new WaitingSender(place);
      // the log of the benchmark stays as it is
      System.setProperty(LoggingSystem.SYSTEM_PROPERTY, LoggingSystem.NONE);
      this.context =
          new SpringApplicationBuilder(Application.class)
              .web(WebApplicationType.NONE)
              .logStartupInfo(false)
              .registerShutdownHook(false)
              .properties(settings())
              .initializers(
                  starting -> {
                    // not a definition: the context would close the pool, which is not its own
                    starting.getBeanFactory().registerSingleton("dataSource", place.dataSource());
                    ((GenericApplicationContext) starting)
                        .registerBean(Handler.class, () -> new Handler(sender));
                  })
              .run();
      this.relay = context.getBean(OutboxProcessingScheduler.class);
      relay.stop();
      this.outbox = context.getBean(Outbox.class);
      this.transactions =
          new TransactionTemplate(context.getBean(PlatformTransactionManager.class));
    }

    /** Through its API: the row holds a hash of the key that only the library makes. */
    @Override
    public void fill(long rows) {
      for (long first = 0; first < rows; first += ROWS_IN_A_TRANSACTION) {
        long from = first;
        transactions.executeWithoutResult(
            status -> {
              for (long n = from; n < from + ROWS_IN_A_TRANSACTION; n++) {
                outbox.schedule(payload(n), "key-" + n % Place.KEYS);
              }
            });
      }
    }

    @Override
    public void publish(String key, byte[] payload) {
      transactions.executeWithoutResult(
          status -> outbox.schedule(WaitingSender.text(payload), key));
    }

    @Override
    public void startRelay() {
      relay.start();
    }

    @Override
    public String tables() {
      return "outbox_";
    }

    @Override
    public void close() {
      context.close();
      sender.close();
    }

    private static String payload(long n) {
      String number = Long.toString(n);
      return (number + Place.FILLER.repeat(Place.PAYLOAD / Place.FILLER.length()))
          .substring(0, Place.PAYLOAD);
    }

    private static Map<String, Object> settings() {
      Map<String, Object> settings = new LinkedHashMap<>();
      settings.put("spring.main.banner-mode", "off");
      settings.put("namastack.outbox.polling.trigger", "fixed");
      settings.put("namastack.outbox.polling.fixed.interval", POLL_MILLIS + "ms");
      settings.put("namastack.outbox.polling.batch-size", BATCH);
      settings.put("namastack.outbox.processing.delete-completed-records", true);
      settings.put("namastack.outbox.processing.executor-core-pool-size", THREADS);
      settings.put("namastack.outbox.processing.executor-max-pool-size", THREADS);
      settings.put("namastack.outbox.multicaster.enabled", false);
      return settings;
    }
  }
}

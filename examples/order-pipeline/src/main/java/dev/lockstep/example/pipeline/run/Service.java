package dev.lockstep.example.pipeline.run;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.example.pipeline.service.Faults;
import dev.lockstep.example.pipeline.service.Inventory;
import dev.lockstep.example.pipeline.service.OrderDesk;
import dev.lockstep.example.pipeline.service.OrderSagas;
import dev.lockstep.example.pipeline.service.Payment;
import dev.lockstep.example.pipeline.service.Shipping;
import dev.lockstep.kernel.HostOptions;
import dev.lockstep.lock.LockService;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxRelay;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.ParticipantService;
import dev.lockstep.saga.SagaService;
import java.util.ArrayDeque;
import java.util.Deque;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One running part of the pipeline, in this process. */
public final class Service implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Service.class);

  private final Deque<AutoCloseable> parts = new ArrayDeque<>();

  private Service() {}

  /** Starts a part. */
  public static Service start(Role role, Environment environment) {
    Service service = new Service();
    try {
      switch (role) {
        case LOCKS -> service.add(LockService.start(host(role, environment)));
        case ORCHESTRATOR ->
            service.add(SagaService.start(OrderSagas.ALL, host(role, environment)));
        default -> service.startWithDatabase(role, environment);
      }
      return service;
    } catch (RuntimeException e) {
      service.close();
      throw e;
    }
  }

  /** Opens a pool to a service's database. */
  public static HikariDataSource pool(Role role, Environment environment) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(environment.database(role.label()));
    config.setPoolName(role.label());
    config.setMaximumPoolSize(10);
    config.setMinimumIdle(2);
    return new HikariDataSource(config);
  }

  private static HostOptions host(Role role, Environment environment) {
    return HostOptions.stock(
        environment.config(), environment.directory().resolve("state-" + role.label()));
  }

  private void startWithDatabase(Role role, Environment environment) {
    HikariDataSource dataSource = add(pool(role, environment));
    Outbox outbox = outbox(dataSource);
    Faults faults = new Faults(environment.seed(), environment.failRate());
    Participant participant;
    if (role == Role.ORDER) {
      OrderDesk desk = new OrderDesk(outbox, environment.config().named(OrderDesk.TOPIC));
      participant = desk.participant();
      add(ParticipantService.start(participant, outbox, environment.config()));
      add(OutboxRelay.start(outbox, RelayOptions.of(environment.config(), role.label())));
      add(Submitter.start(desk, outbox, environment));
      return;
    }
    participant =
        switch (role) {
          case INVENTORY -> Inventory.participant();
          case PAYMENT -> new Payment(faults).participant();
          default -> new Shipping(faults).participant();
        };
    add(ParticipantService.start(participant, outbox, environment.config()));
    add(OutboxRelay.start(outbox, RelayOptions.of(environment.config(), role.label())));
  }

  private static Outbox outbox(DataSource dataSource) {
    Outbox outbox = new Outbox(dataSource);
    outbox.migrate();
    return outbox;
  }

  private <T extends AutoCloseable> T add(T part) {
    parts.push(part);
    return part;
  }

  @Override
  public void close() {
    while (!parts.isEmpty()) {
      AutoCloseable part = parts.pop();
      try {
        part.close();
      } catch (Exception e) {
        LOG.warn("{} did not close", part.getClass().getSimpleName(), e);
      }
    }
  }
}

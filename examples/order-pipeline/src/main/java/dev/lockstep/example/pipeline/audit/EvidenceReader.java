package dev.lockstep.example.pipeline.audit;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
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
import dev.lockstep.example.pipeline.audit.Evidence.StepFact;
import dev.lockstep.example.pipeline.audit.Evidence.StockRow;
import dev.lockstep.example.pipeline.invoice.InvoiceReader;
import dev.lockstep.example.pipeline.run.Environment;
import dev.lockstep.example.pipeline.run.Role;
import dev.lockstep.example.pipeline.service.OrderDesk;
import dev.lockstep.example.pipeline.service.OrderSagas;
import dev.lockstep.kernel.ReplayAudit;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.saga.SagaTopics;
import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.PositionMark;
import dev.lockstep.schema.PositionReceiver;
import dev.lockstep.schema.RowSource;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.schema.saga.SagaEnded;
import dev.lockstep.schema.saga.SagaStarted;
import dev.lockstep.schema.saga.StepEnded;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Collects {@link Evidence}. The pipeline must have come to rest. */
public final class EvidenceReader {

  /** Reads a row. */
  private interface RowMapper<T> {
    T map(ResultSet row) throws SQLException;
  }

  private final Environment environment;
  private final LockstepConfig config;
  private final SingleObjectCodec codec =
      new SingleObjectCodec(SagaSchemas.CATALOG.and(LockSchemas.CATALOG));

  /** Looks at a run. */
  public EvidenceReader(Environment environment) {
    this.environment = environment;
    this.config = environment.config();
  }

  /** Reads everything. */
  public Evidence read() throws IOException, SQLException {
    Map<String, SagaFacts> sagas = new TreeMap<>();
    List<LockFact> locks = new ArrayList<>();
    List<Announced> announcements = new ArrayList<>();
    Map<String, Long> counts = new TreeMap<>();
    Map<UUID, Integer> published = new HashMap<>();
    try (TopicReader topics = new TopicReader(config)) {
      counts.put("saga events", readSagas(topics, sagas));
      counts.put("lock events", readLocks(topics, locks));
      counts.put("application topic", readAnnouncements(topics, announcements, published));
      counts.put(
          "saga log",
          topics.read(config.named(SagaSchemas.LOG), record -> count(record, published)));
    }
    return new Evidence(
        InvoiceReader.read(environment.input(), environment.limit()),
        query(
            Role.ORDER,
            "SELECT id, customer, pence, lines, status FROM orders",
            r ->
                new OrderRow(
                    r.getString(1), r.getString(2), r.getLong(3), r.getInt(4), r.getString(5))),
        query(Role.ORDER, "SELECT number FROM rejected_line", r -> r.getInt(1)),
        query(Role.ORDER, "SELECT id FROM rejected_invoice", r -> r.getString(1)),
        query(
            Role.INVENTORY,
            "SELECT sku, opening, quantity FROM stock",
            r -> new StockRow(r.getString(1), r.getInt(2), r.getInt(3))),
        query(
            Role.INVENTORY,
            "SELECT order_id, step, sku, delta, token FROM stock_move ORDER BY id",
            r ->
                new Move(
                    r.getString(1), r.getString(2), r.getString(3), r.getInt(4), r.getLong(5))),
        query(
            Role.PAYMENT,
            "SELECT id, limit_pence, balance_pence FROM customer",
            r -> new CustomerRow(r.getString(1), r.getLong(2), r.getLong(3))),
        query(
            Role.PAYMENT,
            "SELECT order_id, kind, customer, pence FROM payment ORDER BY id",
            r -> new PaymentRow(r.getString(1), r.getString(2), r.getString(3), r.getLong(4))),
        query(
            Role.SHIPPING,
            "SELECT order_id, pieces FROM shipment",
            r -> new ShipmentRow(r.getString(1), r.getInt(2))),
        sagas,
        locks,
        announcements,
        ledger(),
        published,
        counts,
        replay());
  }

  /** Tells whether every row of the four outboxes stands in its topic. */
  public boolean isDrained() throws SQLException {
    Map<UUID, Integer> published = new HashMap<>();
    try (TopicReader topics = new TopicReader(config)) {
      topics.read(config.named(OrderDesk.TOPIC), record -> count(record, published));
      topics.read(config.named(SagaSchemas.LOG), record -> count(record, published));
    }
    return ledger().stream().allMatch(row -> published.containsKey(row.id()));
  }

  private List<LedgerRow> ledger() throws SQLException {
    List<LedgerRow> ledger = new ArrayList<>();
    for (Role role : Role.values()) {
      if (role.isService()) {
        ledger.addAll(
            query(
                role,
                "SELECT id, topic, lane FROM lockstep_outbox",
                r ->
                    new LedgerRow(
                        role.label(),
                        r.getObject(1, UUID.class),
                        r.getString(2),
                        r.getInt(3) == 0)));
      }
    }
    return ledger;
  }

  private List<String> replay() {
    List<String> differences = new ArrayList<>();
    differences.addAll(new ReplayAudit(LockTopics.machine(config), config).run().differences());
    differences.addAll(
        new ReplayAudit(SagaTopics.machine(config, OrderSagas.ALL), config).run().differences());
    return differences;
  }

  private long readSagas(TopicReader topics, Map<String, SagaFacts> sagas) {
    PositionReceiver receiver = new PositionReceiver();
    return topics.read(
        config.named(SagaSchemas.EVENTS),
        record -> {
          if (receiver.receive(record) != PositionMark.Verdict.TAKE) {
            return;
          }
          long at = Objects.requireNonNull(EffectPosition.of(record.headers())).logTime();
          Object event = codec.decode(record.value());
          if (event instanceof SagaStarted started) {
            SagaFacts known = facts(sagas, started.getSagaId());
            sagas.put(
                known.id(),
                new SagaFacts(known.id(), known.starts() + 1, at, known.steps(), known.ends()));
          } else if (event instanceof StepEnded step) {
            facts(sagas, step.getSagaId())
                .steps()
                .add(
                    new StepFact(
                        step.getStep(),
                        step.getDirection().name(),
                        step.getOutcome().name(),
                        step.getAttempts(),
                        step.getReason(),
                        at));
          } else if (event instanceof SagaEnded end) {
            facts(sagas, end.getSagaId())
                .ends()
                .add(
                    new SagaEnd(
                        end.getStatus(), end.getStep(), end.getAttempts(), end.getReason(), at));
          }
        });
  }

  private static SagaFacts facts(Map<String, SagaFacts> sagas, String id) {
    return sagas.computeIfAbsent(
        id, key -> new SagaFacts(key, 0, 0, new ArrayList<>(), new ArrayList<>()));
  }

  private long readLocks(TopicReader topics, List<LockFact> locks) {
    PositionReceiver receiver = new PositionReceiver();
    return topics.read(
        config.named(LockSchemas.EVENTS),
        record -> {
          if (receiver.receive(record) != PositionMark.Verdict.TAKE) {
            return;
          }
          Object event = codec.decode(record.value());
          if (event instanceof Granted g) {
            locks.add(new LockFact(true, g.getKey(), g.getOwner(), g.getToken(), ""));
          } else if (event instanceof Released r) {
            locks.add(
                new LockFact(false, r.getKey(), r.getOwner(), r.getToken(), r.getCause().name()));
          }
        });
  }

  private long readAnnouncements(
      TopicReader topics, List<Announced> announcements, Map<UUID, Integer> published) {
    ObjectMapper json = new ObjectMapper();
    return topics.read(
        config.named(OrderDesk.TOPIC),
        record -> {
          count(record, published);
          try {
            JsonNode event = json.readTree(record.value());
            announcements.add(
                new Announced(
                    event.path("type").asText(),
                    event.path("order").asText(),
                    event.path("status").asText()));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  private static void count(ConsumerRecord<byte[], byte[]> record, Map<UUID, Integer> published) {
    RowSource source = RowSource.of(record.headers());
    if (source != null) {
      published.merge(source.row(), 1, Integer::sum);
    }
  }

  private <T> List<T> query(Role role, String sql, RowMapper<T> mapper) throws SQLException {
    List<T> rows = new ArrayList<>();
    try (Connection connection = DriverManager.getConnection(environment.database(role.label()));
        Statement statement = connection.createStatement();
        ResultSet result = statement.executeQuery(sql)) {
      while (result.next()) {
        rows.add(mapper.map(result));
      }
    }
    return rows;
  }
}

package dev.lockstep.example.pipeline.audit;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lockstep.lock.LockEvent;
import dev.lockstep.lock.LockEvents;
import dev.lockstep.schema.LockstepConfig;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A process of its own that listens as an outsider would: lock-granted events through {@link
 * LockEvents}, the application topic through a plain read_committed consumer. Writes both to the
 * report.
 */
public final class AuditorMain {

  private static final ObjectMapper JSON = new ObjectMapper();

  private AuditorMain() {}

  /** Runs until it is told to stop: bootstrap servers, application topic, directory. */
  public static void main(String[] args) throws IOException {
    LockstepConfig config = LockstepConfig.of(args[0]);
    Path directory = Path.of(args[2]);
    Files.createDirectories(directory);
    Thread main = Thread.currentThread();
    BufferedWriter grants = writer(directory.resolve("lock-granted.jsonl"));
    BufferedWriter orders = writer(directory.resolve("orders.jsonl"));
    KafkaConsumer<String, String> consumer = consumer(config);
    LockEvents events =
        LockEvents.subscribe(
            config,
            "auditor",
            Pattern.compile(".*"),
            EnumSet.of(LockEvent.Type.GRANTED),
            event -> line(grants, event(event)));
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  consumer.wakeup();
                  events.close();
                  try {
                    main.join(5_000);
                    grants.close();
                    orders.close();
                  } catch (IOException | InterruptedException e) {
                    Runtime.getRuntime().halt(1);
                  }
                }));
    try (consumer) {
      consumer.subscribe(List.of(args[1]));
      while (true) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
          orders.write(record.value());
          orders.newLine();
        }
        orders.flush();
        flush(grants);
      }
    } catch (WakeupException e) {
      // told to stop
      return;
    }
  }

  private static KafkaConsumer<String, String> consumer(LockstepConfig config) {
    Map<String, Object> settings = config.client();
    settings.put("group.id", "auditor-orders");
    settings.put("isolation.level", "read_committed");
    settings.put("auto.offset.reset", "earliest");
    return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
  }

  private static Map<String, Object> event(LockEvent event) {
    Map<String, Object> fields = new TreeMap<>();
    fields.put("id", event.id());
    fields.put("key", event.key());
    fields.put("owner", event.owner());
    fields.put("token", event.token());
    fields.put("at", event.at().toString());
    return fields;
  }

  private static BufferedWriter writer(Path file) throws IOException {
    return Files.newBufferedWriter(file, StandardCharsets.UTF_8);
  }

  private static void line(BufferedWriter writer, Map<String, Object> fields) {
    try {
      synchronized (writer) {
        writer.write(JSON.writeValueAsString(fields));
        writer.newLine();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void flush(BufferedWriter writer) throws IOException {
    synchronized (writer) {
      writer.flush();
    }
  }
}

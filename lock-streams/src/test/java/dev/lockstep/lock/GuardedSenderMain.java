package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A process of its own that holds a lock, waits, and then sends under its token, whatever became of
 * it: a request to a URL and a record to a topic. {@code bootstrap url topic fileToWaitFor}.
 */
public final class GuardedSenderMain {

  private GuardedSenderMain() {}

  public static void main(String[] args) throws Exception {
    LockstepConfig config = LockstepConfig.of(args[0]);
    LockClientOptions options = LockClientOptions.of(config).withTtl(Duration.ofSeconds(2));
    Map<String, Object> settings = config.client();
    settings.put("acks", "all");
    try (LockClient client = LockClient.connect(options);
        KafkaProducer<String, String> producer =
            new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
      Lease lease = client.lock("guarded").acquire(Duration.ofSeconds(20));
      System.out.println("holds " + lease.token());
      while (!Files.exists(Path.of(args[3]))) {
        TimeUnit.MILLISECONDS.sleep(20);
      }
      String tokens = FencingHeader.format(lease.tokens());
      HttpRequest request =
          HttpRequest.newBuilder(URI.create(args[1]))
              .header(FencingHeader.NAME, tokens)
              .POST(HttpRequest.BodyPublishers.ofString("paused"))
              .build();
      HttpResponse<String> response =
          HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
      ProducerRecord<String, String> record = new ProducerRecord<>(args[2], "item", "paused");
      record.headers().add(FencingHeader.NAME, tokens.getBytes(StandardCharsets.UTF_8));
      producer.send(record).get();
      System.out.println("answered " + response.statusCode() + " " + response.body());
    }
  }
}

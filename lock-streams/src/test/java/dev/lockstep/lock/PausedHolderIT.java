package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import dev.lockstep.testkit.process.ChildJvm;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.streams.KafkaStreams;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A holder that is stopped for three times its time to live goes on and sends what it meant to, by
 * HTTP and by Kafka: both guards refuse it, and know why. For JDBC see {@link JdbcFenceIT}.
 */
class PausedHolderIT {

  private static final Duration SOON = Duration.ofSeconds(30);
  private static final String TOPIC = "guarded.writes";

  @TempDir Path directory;

  private final Queue<String> written = new ConcurrentLinkedQueue<>();
  private final FencedStream stream = new FencedStream();

  @Test
  void isRefusedByHttpServerAndConsumer() throws Exception {
    Path go = directory.resolve("go");
    try (PostgresServer postgres = PostgresServer.start(directory.resolve("postgres"));
        LockWorld world = new LockWorld(directory.resolve("world"));
        LockClient successor = world.client()) {
      postgres.createDatabase("guard");
      JdbcFence.migrate(postgres.dataSource("guard"));
      createTopic(world.config());
      HttpServer server = server(postgres);
      String url = "http://127.0.0.1:" + server.getAddress().getPort() + "/stock";
      try (KafkaStreams consumer = stream.start(world.config(), TOPIC, directory.resolve("state"));
          ChildJvm holder = holder(world, url, go)) {
        await()
            .atMost(SOON)
            .untilAsserted(() -> assertThat(holder.output()).content().contains("holds"));
        holder.pause();
        Lease lease = successor.lock("guarded").acquire(Duration.ofSeconds(20));
        String tokens = FencingHeader.format(lease.tokens());
        assertThat(post(url, tokens)).isEqualTo(204);
        FencedStream.send(world.config(), TOPIC, "current", tokens);
        await().atMost(SOON).until(() -> stream.passed.contains("current"));
        await().pollDelay(Duration.ofSeconds(6)).until(() -> true);
        Files.createFile(go);
        holder.resume();

        await()
            .atMost(SOON)
            .untilAsserted(
                () ->
                    assertThat(holder.output())
                        .content()
                        .contains("answered 409 1 of 1 keys were written under a higher token"));
        await().atMost(SOON).until(() -> !stream.refused.isEmpty());
        assertThat(stream.refused).containsExactly("paused: StaleTokenException");
        assertThat(stream.passed).containsExactly("current");
        assertThat(written).containsExactly("current");
        assertThat(post(url, "guarded")).as("not key=token").isEqualTo(400);
      } finally {
        server.stop(0);
      }
    }
  }

  private ChildJvm holder(LockWorld world, String url, Path go) {
    return ChildJvm.start(
        "holder",
        directory.resolve("holder.log"),
        List.of("-Xmx128m"),
        GuardedSenderMain.class.getName(),
        List.of(world.config().bootstrapServers(), url, TOPIC, go.toString()));
  }

  /** Checks the tokens in the transaction that writes, as every server should. */
  private HttpServer server(PostgresServer postgres) throws IOException {
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/stock",
        exchange -> {
          String body =
              new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
          String header = exchange.getRequestHeaders().getFirst(FencingHeader.NAME);
          try (Connection connection = postgres.dataSource("guard").getConnection()) {
            connection.setAutoCommit(false);
            JdbcFence.require(connection, FencingHeader.parse(header));
            connection.commit();
            written.add(body);
            answer(exchange, 204, "");
          } catch (StaleTokenException e) {
            answer(exchange, 409, e.getMessage());
          } catch (IllegalArgumentException e) {
            answer(exchange, 400, e.getMessage());
          } catch (SQLException e) {
            answer(exchange, 500, e.getMessage());
          }
        });
    server.start();
    return server;
  }

  private static void answer(HttpExchange exchange, int status, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  private static int post(String url, String tokens) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(url))
            .header(FencingHeader.NAME, tokens)
            .POST(HttpRequest.BodyPublishers.ofString("current"))
            .build();
    return HttpClient.newHttpClient()
        .send(request, HttpResponse.BodyHandlers.discarding())
        .statusCode();
  }

  private static void createTopic(LockstepConfig config) throws Exception {
    try (Admin admin = Admin.create(config.client())) {
      KafkaCluster.createTopics(admin, new NewTopic(TOPIC, Optional.of(1), Optional.empty()));
    }
  }
}

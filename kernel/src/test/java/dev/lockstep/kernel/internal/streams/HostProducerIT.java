package dev.lockstep.kernel.internal.streams;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TransactionAbortedException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostProducerIT {

  @TempDir static Path directory;
  private static KafkaCluster cluster;

  @BeforeAll
  static void startBroker() {
    cluster = KafkaCluster.start(directory.resolve("kafka"), 1, BrokerProfile.TUNED);
    try (Admin admin = Admin.create(config().client())) {
      KafkaCluster.createTopics(admin, new NewTopic("somewhere", 1, (short) 1));
    }
    // the first transaction of a broker makes a topic: not under short time-outs
    Map<String, Object> patient = config().client();
    patient.put("transactional.id", "first");
    try (HostProducer first = new HostProducer(patient, lane(), new HostMeter())) {
      first.initTransactions();
    }
  }

  @AfterAll
  static void stopBroker() {
    cluster.close();
  }

  private static ExpressLane lane() {
    HostOptions options = HostOptions.tuned(config(), directory.resolve("state"));
    return ExpressLane.open(options, "express", failure -> {}, new HostMeter());
  }

  private static LockstepConfig config() {
    return LockstepConfig.of(cluster.bootstrapServers());
  }

  private static HostProducer producer(ExpressLane lane, String id) {
    Map<String, Object> settings = config().client();
    settings.put("transactional.id", id);
    settings.put("max.block.ms", "5000");
    settings.put("request.timeout.ms", "1000");
    settings.put("delivery.timeout.ms", "4000");
    settings.put("linger.ms", "0");
    HostProducer producer = new HostProducer(settings, lane, new HostMeter());
    producer.initTransactions();
    producer.beginTransaction();
    producer.send(write());
    producer.flush();
    return producer;
  }

  private static ProducerRecord<byte[], byte[]> write() {
    return new ProducerRecord<>("somewhere", new byte[] {1});
  }

  /** Streams would take the producer's refusal for a fault of the machine, and stop a partition. */
  @Test
  void producerWhoseAbortTimedOutCountsAsFenced() {
    ExpressLane lane = lane();
    try (HostProducer producer = producer(lane, "aborts")) {
      cluster.node(1).pause();
      try {
        assertThatThrownBy(producer::abortTransaction).isInstanceOf(TimeoutException.class);
        assertThatThrownBy(producer::beginTransaction)
            .isInstanceOf(ProducerFencedException.class)
            .hasMessageContaining("abortTransaction");
      } finally {
        cluster.node(1).resume();
      }
      assertThat(lane.failed()).isTrue();
    }
  }

  /** Streams would call one task corrupted, and commit what that task wrote without its offsets. */
  @Test
  void writeThatTimesOutCountsAsFenced() throws Exception {
    ExpressLane lane = lane();
    try (HostProducer producer = producer(lane, "writes")) {
      CompletableFuture<@Nullable Exception> told = new CompletableFuture<>();
      cluster.node(1).pause();
      try {
        producer.send(write(), (metadata, error) -> told.complete(error));
        assertThat(told.get(20, TimeUnit.SECONDS))
            .isInstanceOf(ProducerFencedException.class)
            .hasMessageContaining("A write of the state failed");
      } finally {
        cluster.node(1).resume();
      }
      assertThat(lane.failed()).isTrue();
    }
  }

  /** Streams would keep it past the end of this producer, and throw it at a write of the next. */
  @Test
  void writeThatTimesOutWhileTheProducerClosesIsPassedOver() throws Exception {
    HostProducer producer = producer(lane(), "closes");
    CompletableFuture<@Nullable Exception> told = new CompletableFuture<>();
    CompletableFuture<Void> closed;
    cluster.node(1).pause();
    try {
      producer.send(write(), (metadata, error) -> told.complete(error));
      // it waits for the broker to end the transaction
      closed = CompletableFuture.runAsync(producer::close);
      assertThat(told.get(20, TimeUnit.SECONDS)).isInstanceOf(TransactionAbortedException.class);
    } finally {
      cluster.node(1).resume();
    }
    closed.get(20, TimeUnit.SECONDS);
  }
}

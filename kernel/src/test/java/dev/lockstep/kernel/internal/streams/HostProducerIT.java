package dev.lockstep.kernel.internal.streams;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostProducerIT {

  @TempDir Path directory;

  /** Streams would take the producer's refusal for a fault of the machine, and stop a partition. */
  @Test
  void producerWhoseAbortTimedOutCountsAsFenced() throws Exception {
    try (KafkaCluster cluster =
        KafkaCluster.start(directory.resolve("kafka"), 1, BrokerProfile.TUNED)) {
      LockstepConfig config = LockstepConfig.of(cluster.bootstrapServers());
      try (Admin admin = Admin.create(config.client())) {
        admin.createTopics(List.of(new NewTopic("somewhere", 1, (short) 1))).all().get();
      }
      HostOptions options = HostOptions.tuned(config, directory.resolve("state"));
      HostMeter meter = new HostMeter();
      ExpressLane lane = ExpressLane.open(options, "express", failure -> {}, meter);
      Map<String, Object> settings = config.client();
      settings.put("transactional.id", "host");
      settings.put("max.block.ms", "2000");
      try (HostProducer producer = new HostProducer(settings, lane, meter)) {
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>("somewhere", new byte[] {1}));
        producer.flush();
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
  }
}

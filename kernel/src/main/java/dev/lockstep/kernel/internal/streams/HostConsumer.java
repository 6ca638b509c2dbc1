package dev.lockstep.kernel.internal.streams;

import dev.lockstep.schema.LockstepHeaders;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * The main consumer of a StreamThread: keeps stopped partitions still while the others go on, and
 * tells the fold the leader epoch of each record.
 *
 * <p>Streams has no way to stop one task. It pauses partitions while it restores them and resumes
 * them afterwards, so a stopped partition is taken out of {@link #resume}; decision 0003 lists this
 * among the behaviours of Streams that tests pin.
 */
final class HostConsumer extends KafkaConsumer<byte[], byte[]> {

  private final StoppedPartitions stopped;

  HostConsumer(Map<String, Object> config, StoppedPartitions stopped) {
    super(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    this.stopped = stopped;
  }

  @Override
  public void resume(Collection<TopicPartition> partitions) {
    super.resume(partitions.stream().filter(p -> !stopped.contains(p)).toList());
  }

  @Override
  public ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
    // Streams polls when it has processed what it polled before
    Duration atMost = ExpressLane.sendDueOfThread(timeout);
    pauseStopped();
    ConsumerRecords<byte[], byte[]> polled = super.poll(atMost);
    Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> kept = new HashMap<>();
    for (TopicPartition partition : polled.partitions()) {
      List<ConsumerRecord<byte[], byte[]>> records = polled.records(partition);
      if (stopped.contains(partition)) {
        // assigned within this poll: give the records back
        super.pause(List.of(partition));
        super.seek(partition, records.get(0).offset());
        continue;
      }
      records.forEach(HostConsumer::tellLeaderEpoch);
      kept.put(partition, records);
    }
    ConsumerRecords<byte[], byte[]> all = new ConsumerRecords<>(kept, polled.nextOffsets());
    ExpressLane.polledByThread(all.count());
    return all;
  }

  private void pauseStopped() {
    List<TopicPartition> standing = assignment().stream().filter(stopped::contains).toList();
    if (!standing.isEmpty()) {
      super.pause(standing);
    }
  }

  private static void tellLeaderEpoch(ConsumerRecord<byte[], byte[]> record) {
    record
        .headers()
        .add(
            LockstepHeaders.LEADER_EPOCH,
            LockstepHeaders.bytes(Integer.toString(record.leaderEpoch().orElse(-1))));
  }
}

package dev.lockstep.lock.internal.events;

import dev.lockstep.lock.LockEvent;
import dev.lockstep.schema.PositionMark;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the place in the group's offsets, and the mark in their metadata, so that a repeat right
 * behind a restart is known as one. At least once: a crash between handling and {@link #flush}
 * hands over again.
 */
public final class GroupProgress implements Progress {

  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Consumer<LockEvent> handler;
  private final Map<TopicPartition, Place> places = new HashMap<>();

  /** Uses the consumer's group. */
  public GroupProgress(KafkaConsumer<byte[], byte[]> consumer, Consumer<LockEvent> handler) {
    this.consumer = consumer;
    this.handler = handler;
  }

  @Override
  public @Nullable Place load(TopicPartition partition) {
    places.remove(partition);
    OffsetAndMetadata at = consumer.committed(Set.of(partition)).get(partition);
    if (at == null) {
      return null;
    }
    return new Place(
        at.offset(), at.metadata().isEmpty() ? null : PositionMark.parse(at.metadata()));
  }

  @Override
  public void begin(TopicPartition partition, Place place) {
    places.put(partition, place);
    flush(Set.of(partition));
  }

  @Override
  public void handle(TopicPartition partition, LockEvent event, Place behind) {
    handler.accept(event);
    places.put(partition, behind);
  }

  @Override
  public void pass(TopicPartition partition, Place behind) {
    places.put(partition, behind);
  }

  @Override
  public void flush(Collection<TopicPartition> owned) {
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    for (TopicPartition partition : owned) {
      Place place = places.get(partition);
      if (place != null) {
        PositionMark mark = place.mark();
        offsets.put(
            partition, new OffsetAndMetadata(place.next(), mark == null ? "" : mark.format()));
      }
    }
    if (!offsets.isEmpty()) {
      consumer.commitSync(offsets);
    }
  }
}

package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.EffectRefusedException;
import dev.lockstep.kernel.Effects;
import dev.lockstep.kernel.internal.engine.LastSent.Target;
import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.spi.RecordCodec;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The effects of one record, each checked against the Layout before it exists. */
final class EffectBuffer implements Effects {

  private final Layout layout;
  private final LogRecord cause;
  private final LastSent lastSent;
  private final EventAttributes attributes;
  private final RecordCodec codec;
  private final List<Announcement> announcements = new ArrayList<>();
  private final Map<Target, EffectPosition> last = new LinkedHashMap<>();
  private final Effects leisurely = new Leisurely();

  EffectBuffer(
      Layout layout,
      LogRecord cause,
      LastSent lastSent,
      EventAttributes attributes,
      RecordCodec codec) {
    this.layout = layout;
    this.attributes = attributes;
    this.cause = cause;
    this.lastSent = lastSent;
    this.codec = codec;
  }

  @Override
  public void send(String topic, String key, Object record) throws EffectRefusedException {
    send(topic, key, record, false);
  }

  @Override
  public void send(String topic, int partition, String key, Object record)
      throws EffectRefusedException {
    send(topic, partition, key, record, false);
  }

  @Override
  public Effects atLeisure() {
    return leisurely;
  }

  private void send(String topic, String key, Object record, boolean atLeisure)
      throws EffectRefusedException {
    Destination destination = destination(topic);
    byte[] keyBytes = key.getBytes(StandardCharsets.UTF_8);
    int partition = Partitions.of(keyBytes, destination.getPartitions());
    add(destination, partition, keyBytes, record, true, atLeisure);
  }

  private void send(String topic, int partition, String key, Object record, boolean atLeisure)
      throws EffectRefusedException {
    Destination destination = destination(topic);
    if (partition < 0 || partition >= destination.getPartitions()) {
      throw new EffectRefusedException(
          "Partition %d of '%s' does not exist: the Layout gives it %d"
              .formatted(partition, topic, destination.getPartitions()));
    }
    add(destination, partition, key.getBytes(StandardCharsets.UTF_8), record, false, atLeisure);
  }

  List<Announcement> announcements() {
    return announcements;
  }

  /** Makes these the last effects that were sent. */
  void accept() {
    last.forEach(lastSent::put);
  }

  private Destination destination(String topic) throws EffectRefusedException {
    for (Destination destination : layout.getDestinations()) {
      if (destination.getTopic().equals(topic)) {
        return destination;
      }
    }
    throw new EffectRefusedException(
        "Topic '%s' is not a destination of '%s': the Layout lists %s"
            .formatted(
                topic,
                layout.getTopic(),
                layout.getDestinations().stream().map(Destination::getTopic).toList()));
  }

  private void add(
      Destination destination,
      int partition,
      byte[] key,
      Object record,
      boolean isPublic,
      boolean atLeisure)
      throws EffectRefusedException {
    byte[] value = codec.encode(record);
    Target target = new Target(destination.getTopic(), partition);
    EffectPosition position = position(target);
    List<Announcement.HeaderText> headers = headers(position, record, isPublic);
    int bytes = key.length + value.length;
    for (Announcement.HeaderText header : headers) {
      bytes += header.name().length() + header.value().length();
    }
    if (bytes > destination.getMaxBytes()) {
      throw new EffectRefusedException(
          "A %s of %d bytes is too large for '%s': the Layout allows %d"
              .formatted(
                  record.getClass().getSimpleName(),
                  bytes,
                  destination.getTopic(),
                  destination.getMaxBytes()));
    }
    announcements.add(
        new Announcement(destination.getTopic(), partition, key, value, headers, atLeisure));
    last.put(target, position);
  }

  private EffectPosition position(Target target) {
    EffectPosition before = last.get(target);
    return new EffectPosition(
        layout.getTopic(),
        cause.partition(),
        layout.getTopicEpoch(),
        cause.offset(),
        announcements.size(),
        before != null ? before.point() : lastSent.before(target, layout.getTopicEpoch()),
        cause.timestamp(),
        cause.leaderEpoch());
  }

  private List<Announcement.HeaderText> headers(
      EffectPosition position, Object record, boolean isPublic) {
    Announcement.HeaderText text =
        new Announcement.HeaderText(LockstepHeaders.POSITION, position.format());
    return isPublic ? attributes.with(text, position, record.getClass()) : List.of(text);
  }

  /** Marks what comes through it. */
  private final class Leisurely implements Effects {

    @Override
    public void send(String topic, String key, Object record) throws EffectRefusedException {
      EffectBuffer.this.send(topic, key, record, true);
    }

    @Override
    public void send(String topic, int partition, String key, Object record)
        throws EffectRefusedException {
      EffectBuffer.this.send(topic, partition, key, record, true);
    }

    @Override
    public Effects atLeisure() {
      return this;
    }
  }
}

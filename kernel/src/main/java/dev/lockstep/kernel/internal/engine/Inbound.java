package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.PartitionStoppedException;
import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.MalformedRecordException;
import dev.lockstep.schema.PositionMark;
import dev.lockstep.schema.RecordType;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.UnknownSchemaException;
import dev.lockstep.schema.kernel.CarriedMark;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.spi.RecordCodec;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Decides what a record is, by rules in the log alone (rule 9). */
final class Inbound {

  private static final long LAYOUT = RecordType.of(Layout.class).fingerprint();

  /** What a record turned out to be. */
  sealed interface Content {

    /** To be applied; {@code position} is set when it is an effect of another machine. */
    record Accepted(Object value, @Nullable EffectPosition position) implements Content {}

    /** Taken before: only time passes. */
    record Repeat() implements Content {}

    /** Bad for every instance. */
    record Rejected(String reason) implements Content {}
  }

  private final String name;
  private final RecordCodec codec;
  private final Rows rows;
  private final Consumer<String> alarm;

  Inbound(FoldSpec spec, Rows rows, RecordCodec codec) {
    this.name = spec.name();
    this.codec = codec;
    this.rows = rows;
    this.alarm = spec.alarm();
  }

  static RecordCodec codec(MachineSpec machine) {
    return new SingleObjectCodec(machine.catalog().and(KernelSchemas.CATALOG));
  }

  /**
   * Reads a record.
   *
   * @throws PartitionStoppedException when the log knows the record's schema and this program does
   *     not
   */
  Content read(LogRecord record, @Nullable Layout layout) {
    byte[] bytes = record.value();
    if (bytes == null) {
      return new Content.Rejected("Record has no value");
    }
    EffectPosition position = null;
    try {
      position = record.position() == null ? null : EffectPosition.parse(record.position());
      if (position != null) {
        Content known = judge(position);
        if (known != null) {
          return known;
        }
      }
      long schema = codec.fingerprint(bytes);
      if (schema != LAYOUT
          && layout != null
          && Collections.binarySearch(layout.getSchemas(), schema) < 0) {
        return new Content.Rejected(
            "Schema %016x is not among those of the Layout".formatted(schema));
      }
      return new Content.Accepted(codec.decode(bytes), position);
    } catch (MalformedRecordException e) {
      return new Content.Rejected(String.valueOf(e.getMessage()));
    } catch (UnknownSchemaException e) {
      throw new PartitionStoppedException(
          "%s: the Layout knows schema %016x of the record at offset %d, this program does not; run the release that has it"
              .formatted(name, e.fingerprint(), record.offset()),
          e);
    }
  }

  /** Writes the mark of an effect; also of one whose payload is bad, or it would come for ever. */
  void writeMark(EffectPosition position) {
    rows.put(
        Keys.mark(position.topic(), position.partition()),
        PositionMark.at(position).format().getBytes(StandardCharsets.UTF_8));
  }

  /** Takes up what was taken under an earlier topic epoch. */
  void carry(CarriedMark mark) {
    rows.put(
        Keys.mark(mark.getTopic(), mark.getPartition()),
        mark.getMark().getBytes(StandardCharsets.UTF_8));
  }

  /** Returns what was taken from each source. */
  List<CarriedMark> marks() {
    List<CarriedMark> marks = new ArrayList<>();
    byte[] all = Keys.marks();
    rows.visit(
        all,
        Keys.after(all),
        row -> {
          String source = Keys.name(row.key());
          int slash = source.lastIndexOf('/');
          return marks.add(
              new CarriedMark(
                  source.substring(0, slash),
                  Integer.parseInt(source.substring(slash + 1)),
                  new String(row.value(), StandardCharsets.UTF_8)));
        });
    return marks;
  }

  private @Nullable Content judge(EffectPosition position) {
    byte[] row = rows.get(Keys.mark(position.topic(), position.partition()));
    PositionMark mark =
        row == null ? null : PositionMark.parse(new String(row, StandardCharsets.UTF_8));
    return switch (PositionMark.judge(mark, position)) {
      case TAKE -> null;
      case TAKE_AFTER_HOLE -> {
        alarm.accept(
            "%s: effects of %s/%d between %s and %s never came; was '%s' rewritten or cut?"
                .formatted(
                    name, position.topic(), position.partition(), mark, position.point(), name));
        yield null;
      }
      case REPEAT -> new Content.Repeat();
      case REWRITTEN ->
          new Content.Rejected(
              "Source %s/%d was rewritten below what was taken from it: mark %s, now %s of leader epoch %d"
                  .formatted(
                      position.topic(),
                      position.partition(),
                      mark,
                      position.point(),
                      position.leaderEpoch()));
    };
  }
}

package dev.lockstep.kernel.internal.engine;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.Deadlines;
import dev.lockstep.kernel.EffectRefusedException;
import dev.lockstep.kernel.ImpureMachineException;
import dev.lockstep.kernel.LogTime;
import dev.lockstep.kernel.Machine;
import dev.lockstep.kernel.PartitionStoppedException;
import dev.lockstep.kernel.RejectedInputException;
import dev.lockstep.kernel.Store;
import dev.lockstep.schema.kernel.CarriedMark;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.kernel.Tick;
import dev.lockstep.schema.spi.RecordCodec;
import dev.lockstep.schema.state.FoldState;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Folds one input partition: records in, state changes and announcements out. Pure.
 *
 * <p>Every host (Kafka Streams, replay, follower) runs this one class, so their results can be
 * compared byte for byte.
 */
public final class Fold {

  private static final int REJECTED_BYTES = 64 * 1024;

  /* Ordering: writes of a turn reach the rows only after all of its effects were accepted, and the
   * fold's own row comes last, when settled. Crash points: none in here; the host makes rows and
   * offsets one commit, and sends announcements before it. */

  private final FoldSpec spec;
  private final WorkingRows rows;
  private final LastSent lastSent;
  private final EventAttributes attributes;
  private final RecordCodec codec;
  private final Inbound inbound;

  private long nextOffset;
  private @Nullable LogClock clock;
  private @Nullable Layout layout;
  private @Nullable Machine machine;
  private @Nullable String tickedBy;

  private Fold(FoldSpec spec, WorkingRows rows, RecordCodec codec) {
    this.spec = spec;
    this.rows = rows;
    this.lastSent = new LastSent(rows);
    this.attributes = new EventAttributes(spec.machine().inputTopic(), spec.partition());
    this.codec = codec;
    this.inbound = new Inbound(spec, rows, codec);
  }

  /**
   * Takes up a fold where its rows stand.
   *
   * @param rows where it writes when it settles; {@link MapRows} are its own from now on
   * @throws TornStateException when the rows do not match their digest
   * @throws PartitionStoppedException when this program lacks the logic version of the Layout
   */
  public static Fold over(FoldSpec spec, Rows rows) {
    RecordCodec codec = Inbound.codec(spec.machine());
    byte[] row = rows.get(Keys.FOLD);
    FoldState state = row == null ? null : (FoldState) codec.decode(row);
    Digest written =
        state == null
            ? Digest.EMPTY
            : new Digest(state.getRows(), state.getXorHigh(), state.getXorLow());
    Digest found = Digest.of(rows);
    if (!found.equals(written)) {
      throw new TornStateException(
          "%s: state at offset %d has %s, its rows give %s; the store must be restored from the changelog"
              .formatted(spec.name(), state == null ? 0 : state.getNextOffset(), written, found));
    }
    Fold fold = new Fold(spec, WorkingRows.over(rows, spec.machine().inMemory(), written), codec);
    if (state != null) {
      fold.nextOffset = state.getNextOffset();
      fold.clock =
          new LogClock(
              state.getReference(),
              state.getElapsed(),
              state.getWall(),
              state.getJumpTicks(),
              state.getJumpTo());
    }
    byte[] stored = rows.get(Keys.LAYOUT);
    if (stored != null) {
      fold.adopt((Layout) fold.codec.decode(stored));
    }
    return fold;
  }

  /** Returns the offset of the record that must come next. */
  public long nextOffset() {
    return nextOffset;
  }

  /** Returns the Layout in force; null before offset 0 was folded. */
  public @Nullable Layout layout() {
    return layout;
  }

  /**
   * Writes to the rows that it was given: before each commit, and before anyone else reads them.
   * What is not settled is lost with this object, and folded again.
   *
   * @throws TornStateException when a write failed before, whatever it threw: fold again from the
   *     committed state
   */
  public void settle() {
    LogClock at = clock;
    if (at == null) {
      return;
    }
    lastSent.settle();
    rows.settle();
    Digest digest = rows.digest();
    rows.putBeside(
        Keys.FOLD,
        codec.encode(
            new FoldState(
                nextOffset,
                at.reference(),
                at.elapsed(),
                at.wall(),
                at.jumpTicks(),
                at.jumpTo(),
                digest.rows(),
                digest.xorHigh(),
                digest.xorLow())));
  }

  /** Shows every row, settled; only until the next record. */
  public void visit(Predicate<Store.Row> visitor) {
    settle();
    rows.visit(new byte[0], null, visitor);
  }

  /** Returns what was taken from each source. */
  public List<CarriedMark> marks() {
    return inbound.marks();
  }

  /** Returns the time of the last record. */
  public LogTime now() {
    return clock == null ? new LogTime(0, 0) : clock.now();
  }

  /** Returns who sent the tick that was folded last; null when the last record was none. */
  public @Nullable String tickedBy() {
    return tickedBy;
  }

  /** Shows the machine's rows; only until the next record. */
  public Store view() {
    return Overlay.view(rows);
  }

  /** Returns what the machine waits for. */
  public Deadlines deadlines() {
    return machine == null ? Deadlines.NONE : machine.deadlines(Overlay.view(rows));
  }

  /**
   * Passes offsets that hold no record: markers of a foreign transaction. The host has made sure
   * that the log really begins with {@code offset} when read from {@link #nextOffset()}.
   */
  public void skipTo(long offset) {
    nextOffset = offset;
  }

  /**
   * Folds the next record.
   *
   * @return what to announce, in order
   * @throws PartitionStoppedException when this program cannot fold what another could; nothing was
   *     written
   */
  public List<Announcement> apply(LogRecord record) {
    if (record.offset() != nextOffset) {
      throw new IllegalArgumentException(
          "%s: expected offset %d, got %d".formatted(spec.name(), nextOffset, record.offset()));
    }
    if (rows.unsettled() >= spec.unwrittenRows()) {
      // between two records, so that what is written agrees with its digest
      settle();
    }
    Inbound.Content content = inbound.read(record, layout);
    Object value = content instanceof Inbound.Content.Accepted accepted ? accepted.value() : null;
    Layout before = layout;
    if (before == null && !(value instanceof Layout)) {
      throw new PartitionStoppedException(
          "%s: offset %d holds %s, not a Layout; create the topic with TopicAdmin.create before anyone writes to it"
              .formatted(spec.name(), record.offset(), content));
    }
    if (value instanceof Layout next) {
      String fault = LayoutRules.fault(before, next, spec.machine().inputTopic());
      if (fault == null) {
        adopt(next);
        tick(record, next, false);
        rows.put(Keys.LAYOUT, codec.encode(next));
        nextOffset = record.offset() + 1;
        return List.of();
      }
      content = new Inbound.Content.Rejected(fault);
    }
    Layout current = requireNonNull(before);
    if (value instanceof CarriedMark mark) {
      if (current.getTopicEpoch() > 1) {
        inbound.carry(mark);
        tick(record, current, false);
        nextOffset = record.offset() + 1;
        return List.of();
      }
      content = new Inbound.Content.Rejected("Nothing was carried over into the first topic epoch");
    }
    tickedBy = value instanceof Tick tick ? tick.getSender() : null;
    LogTime now = tick(record, current, tickedBy != null);
    List<Announcement> announced = decide(record, content, current, now);
    nextOffset = record.offset() + 1;
    return announced;
  }

  private List<Announcement> decide(
      LogRecord record, Inbound.Content content, Layout current, LogTime now) {
    if (content instanceof Inbound.Content.Accepted accepted) {
      List<Announcement> announced;
      try {
        TurnResult result = turn(record, accepted.value(), current, now);
        if (spec.twice()) {
          result.requireSame(turn(record, accepted.value(), current, now), spec.name(), record);
        }
        result.overlay().writeTo(rows);
        result.effects().accept();
        announced = result.effects().announcements();
      } catch (RejectedInputException | EffectRefusedException e) {
        announced = reject(record, String.valueOf(e.getMessage()), current);
      }
      if (accepted.position() != null) {
        inbound.writeMark(accepted.position());
      }
      return announced;
    }
    return content instanceof Inbound.Content.Rejected rejected
        ? reject(record, rejected.reason(), current)
        : List.of();
  }

  private TurnResult turn(LogRecord record, Object input, Layout current, LogTime now)
      throws RejectedInputException, EffectRefusedException {
    Overlay overlay = Overlay.of(rows);
    EffectBuffer effects = new EffectBuffer(current, record, lastSent, attributes, codec);
    RecordTurn turn = new RecordTurn(input, record, now, current, overlay, effects);
    requireNonNull(machine).apply(turn);
    return new TurnResult(overlay, effects);
  }

  private List<Announcement> reject(LogRecord record, String reason, Layout current) {
    byte[] value = record.value() == null ? new byte[0] : record.value();
    int length = Math.min(value.length, REJECTED_BYTES);
    EffectBuffer effects = new EffectBuffer(current, record, lastSent, attributes, codec);
    String key = record.key() == null ? "" : new String(record.key(), StandardCharsets.UTF_8);
    Rejected rejected =
        new Rejected(
            spec.machine().inputTopic(),
            spec.partition(),
            record.offset(),
            reason,
            ByteBuffer.wrap(value, 0, length));
    try {
      effects.send(spec.machine().rejectedTopic(), key, rejected);
    } catch (EffectRefusedException e) {
      spec.alarm().accept("%s: rejected record was not kept: %s".formatted(spec.name(), e));
      return List.of();
    }
    effects.accept();
    return effects.announcements();
  }

  private LogTime tick(LogRecord record, Layout current, boolean isTick) {
    clock =
        clock == null
            ? LogClock.startingAt(record.timestamp())
            : clock.advance(record.timestamp(), current.getTickMillis(), isTick);
    return clock.now();
  }

  private void adopt(Layout next) {
    if (!spec.machine().logicVersions().contains(next.getLogicVersion())) {
      throw new PartitionStoppedException(
          "%s: the Layout asks for logic version %d, this program has %s; run the release that has it"
              .formatted(spec.name(), next.getLogicVersion(), spec.machine().logicVersions()));
    }
    layout = next;
    machine = spec.machine().factory().create(next.getLogicVersion());
  }

  /** What one turn wrote and announced, not yet accepted. */
  private record TurnResult(Overlay overlay, EffectBuffer effects) {

    void requireSame(TurnResult other, String name, LogRecord record) {
      String first = describe();
      String second = other.describe();
      if (!first.equals(second)) {
        throw new ImpureMachineException(
            "%s: the record at offset %d was decided differently when asked twice; first %s, then %s"
                .formatted(name, record.offset(), first, second));
      }
    }

    private String describe() {
      StringBuilder text = new StringBuilder();
      overlay
          .writes()
          .forEach(
              (key, row) ->
                  text.append(HexFormat.of().formatHex(key))
                      .append('=')
                      .append(row.map(HexFormat.of()::formatHex).orElse("deleted"))
                      .append('\n'));
      effects.announcements().forEach(a -> text.append(a.describe()).append('\n'));
      return text.toString();
    }
  }
}

package dev.lockstep.schema;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a receiver remembers of one source partition in one destination partition: the highest
 * position that it took. Immutable.
 *
 * <p>One mark for several destination partitions loses effects: only within one of them are first
 * occurrences in order (decision 0002).
 *
 * @param epoch topic epoch of the highest position
 * @param offset its offset
 * @param index its index
 * @param leaderEpoch leader epoch of the record that caused it
 */
public record PositionMark(int epoch, long offset, int index, int leaderEpoch) {

  /** What to do with an effect. */
  public enum Verdict {
    /** New: take it and move the mark. */
    TAKE,
    /** New, but the one before it never came: take it, move the mark, raise an alarm. */
    TAKE_AFTER_HOLE,
    /** A repeat: drop it. */
    REPEAT,
    /** The source log was rewritten below the mark: raise an alarm, take nothing more from it. */
    REWRITTEN
  }

  /**
   * Decides what to do with an effect.
   *
   * @param mark what is remembered of this source in this destination partition; null at first
   * @param position position of the effect
   * @return the verdict
   */
  public static Verdict judge(@Nullable PositionMark mark, EffectPosition position) {
    if (mark == null) {
      return Verdict.TAKE;
    }
    if (position.epoch() != mark.epoch) {
      return position.epoch() > mark.epoch ? Verdict.TAKE : Verdict.REPEAT;
    }
    if (compare(position.offset(), position.index(), mark.offset, mark.index) <= 0) {
      return position.leaderEpoch() > mark.leaderEpoch ? Verdict.REWRITTEN : Verdict.REPEAT;
    }
    EffectPosition.Point before = position.previous();
    boolean hole =
        before != null && compare(before.offset(), before.index(), mark.offset, mark.index) > 0;
    return hole ? Verdict.TAKE_AFTER_HOLE : Verdict.TAKE;
  }

  /**
   * Makes the mark that stands at an effect.
   *
   * @param position an effect that was taken
   * @return mark at it
   */
  public static PositionMark at(EffectPosition position) {
    return new PositionMark(
        position.epoch(), position.offset(), position.index(), position.leaderEpoch());
  }

  /**
   * Returns the stored form.
   *
   * @return {@code epoch.offset.index.leaderEpoch}
   */
  public String format() {
    return epoch + "." + offset + "." + index + "." + leaderEpoch;
  }

  /**
   * Reads the stored form.
   *
   * @param text what {@link #format} wrote
   * @return the mark
   */
  public static PositionMark parse(String text) {
    List<String> fields = List.of(text.split("\\.", -1));
    return new PositionMark(
        Integer.parseInt(fields.get(0)),
        Long.parseLong(fields.get(1)),
        Integer.parseInt(fields.get(2)),
        Integer.parseInt(fields.get(3)));
  }

  private static int compare(long offset, int index, long otherOffset, int otherIndex) {
    int byOffset = Long.compare(offset, otherOffset);
    return byOffset != 0 ? byOffset : Integer.compare(index, otherIndex);
  }
}

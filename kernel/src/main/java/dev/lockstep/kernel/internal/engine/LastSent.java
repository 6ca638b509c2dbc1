package dev.lockstep.kernel.internal.engine;

import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockstepHeaders;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The last position sent to each destination partition; a row each, written when settled. */
final class LastSent {

  /** A destination partition. */
  record Target(String topic, int partition) {}

  /** A position in the log of one topic epoch. */
  private record Sent(int epoch, EffectPosition.Point point) {}

  private static final Sent NOTHING = new Sent(-1, new EffectPosition.Point(-1, -1));

  private final Rows rows;
  private final Map<Target, Sent> known = new HashMap<>();
  private final Map<Target, Sent> changed = new HashMap<>();

  LastSent(Rows rows) {
    this.rows = rows;
  }

  /** Returns the position before; null when there is none, or none of this epoch. */
  EffectPosition.@Nullable Point before(Target target, int epoch) {
    Sent sent = known.computeIfAbsent(target, this::read);
    // positions of another epoch do not compare with ours
    return sent.epoch() == epoch ? sent.point() : null;
  }

  void put(Target target, EffectPosition position) {
    Sent sent = new Sent(position.epoch(), position.point());
    known.put(target, sent);
    changed.put(target, sent);
  }

  void settle() {
    changed.forEach(
        (target, sent) ->
            rows.put(
                Keys.previous(target.topic(), target.partition()),
                LockstepHeaders.bytes(sent.epoch() + "." + sent.point())));
    changed.clear();
  }

  private Sent read(Target target) {
    byte[] row = rows.get(Keys.previous(target.topic(), target.partition()));
    if (row == null) {
      return NOTHING;
    }
    List<String> fields = List.of(new String(row, StandardCharsets.UTF_8).split("\\.", -1));
    return new Sent(
        Integer.parseInt(fields.get(0)),
        new EffectPosition.Point(Long.parseLong(fields.get(1)), Integer.parseInt(fields.get(2))));
  }
}

package dev.lockstep.kernel.internal.streams;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.kernel.Announcement;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class HeldEffectsTest {

  private long now = 17;
  private final HeldEffects held = new HeldEffects(() -> now);

  @Test
  void whatIsWaitedForIsDueAtOnceAndTakesAllAlongInOrder() {
    held.add(List.of(effect("event", true)));
    assertThat(held.nanosLeft()).isEqualTo(HeldEffects.LEISURE.toNanos());

    held.add(List.of(effect("reply", false), effect("event 2", true)));

    assertThat(held.nanosLeft()).isZero();
    assertThat(held.take())
        .extracting(Announcement::topic)
        .containsExactly("event", "reply", "event 2");
    assertThat(held.take()).isEmpty();
  }

  @Test
  void whatNobodyWaitsForIsDueAfterAWhileWhateverComesBehindIt() {
    held.add(List.of(effect("event", true)));
    pass(HeldEffects.LEISURE.minusNanos(1));
    held.add(List.of(effect("event 2", true)));
    assertThat(held.nanosLeft()).isEqualTo(1);

    pass(Duration.ofNanos(1));

    assertThat(held.nanosLeft()).isZero();
    held.take();
    held.add(List.of(effect("event 3", true)));
    assertThat(held.nanosLeft()).isEqualTo(HeldEffects.LEISURE.toNanos());
  }

  @Test
  void nothingIsNeverDue() {
    held.add(List.of());

    assertThat(held.nanosLeft()).isGreaterThan(Duration.ofMinutes(1).toNanos());
    assertThat(held.mayRest()).isFalse();
  }

  @Test
  void restsOnlyWhereNobodyHasWaitedForAWhile() {
    held.add(List.of(effect("event", true)));
    assertThat(held.mayRest()).as("nothing is known of who waits").isFalse();
    pass(HeldEffects.PROMPT);
    assertThat(held.mayRest()).isTrue();

    held.add(List.of(effect("reply", false)));
    assertThat(held.mayRest()).isFalse();
    held.take();
    held.add(List.of(effect("event", true)));
    assertThat(held.mayRest()).as("who was answered will ask again").isFalse();
    pass(HeldEffects.PROMPT.minusNanos(1));
    assertThat(held.mayRest()).isFalse();
    pass(Duration.ofNanos(1));
    assertThat(held.mayRest()).isTrue();
  }

  @Test
  void doesNotRestWhereRequestsAreFullWithoutIt() {
    pass(HeldEffects.PROMPT);
    held.add(Collections.nCopies(HeldEffects.FULL, effect("event", true)));
    assertThat(held.mayRest()).isFalse();
    held.take();
    held.add(List.of(effect("event", true)));
    assertThat(held.mayRest()).isFalse();
  }

  @Test
  void doesNotKeepMoreThanAFewHundred() {
    List<Announcement> some = Collections.nCopies(HeldEffects.MOST - 1, effect("event", true));
    assertThat(held.add(some)).isFalse();
    assertThat(held.add(List.of(effect("event", true)))).isTrue();
  }

  private void pass(Duration time) {
    now += time.toNanos();
  }

  private static Announcement effect(String topic, boolean atLeisure) {
    byte[] bytes = "x".getBytes(StandardCharsets.UTF_8);
    return new Announcement(topic, 0, bytes, bytes, List.of(), atLeisure);
  }
}

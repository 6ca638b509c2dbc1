package dev.lockstep.outbox.internal.relay;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class SeenTest {

  private static final long MOST = 60;

  @Test
  void isWrittenAsPostgresqlReadsIt() {
    Seen seen = Seen.of("10:10:");
    seen.add(12);
    assertThat(seen).hasToString("10:13:10,11");
    seen.add(10);
    assertThat(seen).hasToString("11:13:11");
    seen.add(11);
    assertThat(seen).hasToString("13:13:");
    assertThat(seen.listedWith(13)).isZero();
    assertThat(seen.listedWith(20)).isEqualTo(7);
    assertThat(seen.listedWith(5)).isZero();
    assertThat(Seen.of("10:20:10,11").listedWith(25)).isEqualTo(7);
  }

  @Property
  void addedTransactionIsSeenAndNoOther(
      @ForAll("snapshots") String snapshot, @ForAll("xids") Set<Long> added) {
    Seen seen = Seen.of(snapshot);
    added.forEach(seen::add);

    for (long xid = 1; xid < MOST; xid++) {
      assertThat(Seen.of(seen.toString()).sees(xid))
          .as("%d in %s of %s and %s", xid, seen, snapshot, added)
          .isEqualTo(Seen.of(snapshot).sees(xid) || added.contains(xid));
    }
  }

  @Property
  void addedSnapshotIsSeen(@ForAll("snapshots") String one, @ForAll("snapshots") String other) {
    Seen seen = Seen.of(one);
    seen.add(Seen.of(other));

    for (long xid = 1; xid < MOST; xid++) {
      boolean sees = Seen.of(one).sees(xid) || Seen.of(other).sees(xid);
      assertThat(seen.sees(xid)).as("%d in %s of %s and %s", xid, seen, one, other).isEqualTo(sees);
    }
  }

  @Property
  void retainedIsWhatBothSee(@ForAll("snapshots") String one, @ForAll("snapshots") String other) {
    Seen seen = Seen.of(one);
    seen.retain(Seen.of(other));

    for (long xid = 1; xid < MOST; xid++) {
      assertThat(Seen.of(seen.toString()).sees(xid))
          .as("%d in %s of %s and %s", xid, seen, one, other)
          .isEqualTo(Seen.of(one).sees(xid) && Seen.of(other).sees(xid));
    }
  }

  @Test
  void snapshotThatTheServerIsAheadOfStaysAsItIs() {
    assertThat(retained("10:20:10,15", "18:30:18,25")).isEqualTo("10:20:10,15,18");
    assertThat(retained("20:20:", "30:30:")).isEqualTo("20:20:");
    assertThat(retained("1:1:", "30:30:")).isEqualTo("1:1:");
  }

  private static String retained(String one, String other) {
    Seen seen = Seen.of(one);
    seen.retain(Seen.of(other));
    return seen.toString();
  }

  @Property
  void isPastATransactionWhenAllBeforeItAreSeen(
      @ForAll("snapshots") String snapshot, @ForAll("xids") Set<Long> added) {
    Seen seen = Seen.of(snapshot);
    added.forEach(seen::add);

    boolean isPast = true;
    for (long xid = 1; xid < MOST; xid++) {
      assertThat(seen.isPast(xid)).as("%d in %s", xid, seen).isEqualTo(isPast);
      isPast &= seen.sees(xid);
    }
  }

  @Provide
  Arbitrary<Set<Long>> xids() {
    return Arbitraries.longs().between(1, MOST - 10).set().ofMaxSize(8);
  }

  @Provide
  Arbitrary<String> snapshots() {
    return Combinators.combine(
            Arbitraries.longs().between(1, 40),
            Arbitraries.longs().between(1, 39).set().ofMaxSize(6))
        .as(SeenTest::snapshot);
  }

  private static String snapshot(long xmax, Set<Long> candidates) {
    TreeSet<Long> open = new TreeSet<>(candidates);
    open.tailSet(xmax).clear();
    return (open.isEmpty() ? xmax : open.first())
        + ":"
        + xmax
        + ":"
        + open.stream().map(String::valueOf).collect(Collectors.joining(","));
  }
}

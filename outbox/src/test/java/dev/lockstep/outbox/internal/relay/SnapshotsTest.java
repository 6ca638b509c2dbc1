package dev.lockstep.outbox.internal.relay;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
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

class SnapshotsTest {

  @Test
  void snapshotThatTheServerIsAheadOfStaysAsItIs() {
    assertThat(Snapshots.intersection("10:20:10,15", "18:30:18,25")).isEqualTo("10:20:10,15,18");
    assertThat(Snapshots.intersection("20:20:", "30:30:")).isEqualTo("20:20:");
    assertThat(Snapshots.intersection("1:1:", "30:30:")).isEqualTo("1:1:");
  }

  @Property
  void seesWhatBothSee(@ForAll("snapshots") String one, @ForAll("snapshots") String other) {
    String both = Snapshots.intersection(one, other);

    for (long xid = 1; xid < 45; xid++) {
      assertThat(sees(both, xid))
          .as("%d in %s of %s and %s", xid, both, one, other)
          .isEqualTo(sees(one, xid) && sees(other, xid));
    }
  }

  @Provide
  Arbitrary<String> snapshots() {
    return Combinators.combine(
            Arbitraries.longs().between(1, 40),
            Arbitraries.longs().between(1, 39).set().ofMaxSize(6))
        .as(SnapshotsTest::snapshot);
  }

  private static String snapshot(long xmax, Set<Long> candidates) {
    TreeSet<Long> open = new TreeSet<>(candidates);
    open.tailSet(xmax).clear();
    long xmin = open.isEmpty() ? xmax : open.first();
    return xmin
        + ":"
        + xmax
        + ":"
        + open.stream().map(String::valueOf).collect(Collectors.joining(","));
  }

  private static boolean sees(String snapshot, long xid) {
    String[] parts = snapshot.split(":", -1);
    return xid < Long.parseLong(parts[1])
        && Arrays.stream(parts[2].split(",")).noneMatch(open -> open.equals("" + xid));
  }
}

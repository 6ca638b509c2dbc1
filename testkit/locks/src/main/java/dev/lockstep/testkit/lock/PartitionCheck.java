package dev.lockstep.testkit.lock;

import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Adopt;
import dev.lockstep.schema.lock.AdoptedLease;
import dev.lockstep.schema.lock.ChangeMode;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.CountDown;
import dev.lockstep.schema.lock.Downgraded;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.schema.lock.SetLatch;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Goes through one partition of a lock log, record by record. */
final class PartitionCheck {

  private static final int EPOCH_SHIFT = 47;
  private static final int LOCK = Integer.MAX_VALUE;

  /** More than this may be left to the next record. */
  private static final int GRANTS_PER_RECORD = 1_000;

  /** Longest time for which a key is kept free, if the Layout says nothing. */
  private static final long KEPT_MOST = 60_000;

  /** One Acquire by its identity. */
  private record Id(String owner, long number) {}

  /** A place in a queue. */
  private record Place(int rank, long order) implements Comparable<Place> {
    @Override
    public int compareTo(Place other) {
      return rank != other.rank
          ? Integer.compare(rank, other.rank)
          : Long.compare(order, other.order);
    }
  }

  /** One Acquire. */
  private static final class Asked {
    private final Acquire acquire;
    private final Place place;
    private final Set<String> granted = new HashSet<>();
    private @Nullable AcquireOutcome outcome;
    private long token;

    Asked(Acquire acquire, Place place) {
      this.acquire = acquire;
      this.place = place;
    }

    int capacity() {
      return acquire.getMode() == LockMode.PERMITS ? acquire.getCapacity() : LOCK;
    }

    int permits() {
      return switch (acquire.getMode()) {
        case EXCLUSIVE -> LOCK;
        case SHARED -> 1;
        case PERMITS -> acquire.getPermits();
      };
    }
  }

  /** A holder of a key. */
  private record Hold(int permits, int capacity, long token) {}

  /** A key as its events tell. */
  private static final class Key {
    private final Map<Id, Hold> holders = new HashMap<>();
    private final TreeMap<Place, Id> queue = new TreeMap<>();
    private long highestToken;
    private boolean mayBeClosed;
    private boolean closedBeside;
    private long keptUntil;

    long taken() {
      return holders.values().stream().mapToLong(Hold::permits).sum();
    }
  }

  /** A closed latch. */
  private static final class Latch {
    private final long count;
    private final Set<String> before;
    private final Set<String> counted = new HashSet<>();

    /** One that passes repeats of commands that were heard before it was closed. */
    Latch(long count, Collection<String> before) {
      this.count = count;
      this.before = Set.copyOf(before);
    }
  }

  private final int partition;
  private final List<String> violations;
  private final Map<String, Key> keys = new HashMap<>();
  private final Map<String, Latch> latches = new HashMap<>();
  private final Map<String, Set<String>> counted = new HashMap<>();
  private final Map<Id, Asked> asked = new HashMap<>();
  private final Map<String, Long> heardAt = new HashMap<>();
  private final Map<String, Long> ttl = new HashMap<>();
  private final Map<String, Long> lowest = new HashMap<>();
  private final Set<String> releasedNow = new HashSet<>();
  private final Set<Id> upgrading = new HashSet<>();
  private long offset;
  private long time;
  private @Nullable Object command;
  private int grantsNow;
  private long grants;

  PartitionCheck(int partition, List<String> violations) {
    this.partition = partition;
    this.violations = violations;
  }

  long grants() {
    return grants;
  }

  /** Takes up a record; null: one that the service rejected. */
  void begin(long at, long logTime, @Nullable Object input) {
    offset = at;
    time = logTime;
    command = input;
    grantsNow = 0;
    releasedNow.clear();
    upgrading.clear();
    if (input instanceof Acquire acquire) {
      acquire(acquire);
    } else if (input instanceof Adopt adopt) {
      adopt(adopt);
    } else if (input instanceof Release release) {
      lowest.merge(release.getOwner(), release.getLowestUnanswered(), Math::max);
    } else if (input instanceof CountDown down) {
      countDown(down);
    } else if (input instanceof ChangeMode change) {
      lowest.merge(change.getOwner(), change.getLowestUnanswered(), Math::max);
    }
  }

  private void acquire(Acquire acquire) {
    Id id = new Id(acquire.getOwner(), acquire.getNumber());
    long least = lowest.merge(id.owner(), acquire.getLowestUnanswered(), Math::max);
    if (asked.containsKey(id) || acquire.getNumber() < least) {
      return;
    }
    Asked request = new Asked(acquire, new Place(9 - acquire.getPriority(), offset));
    asked.put(id, request);
    for (String name : acquire.getKeys()) {
      key(name).queue.put(request.place, id);
    }
  }

  /** A lease of an earlier topic epoch, granted under the token that it had there. */
  private void adopt(Adopt adopt) {
    AdoptedLease lease = adopt.getLease();
    if (lease == null) {
      ttl.putIfAbsent(adopt.getOwner(), adopt.getTtlMillis());
      heardAt.put(adopt.getOwner(), time);
      return;
    }
    Acquire acquire = lease.getAcquire();
    Id id = new Id(acquire.getOwner(), acquire.getNumber());
    Asked request = new Asked(acquire, new Place(0, offset));
    request.outcome = AcquireOutcome.GRANTED;
    request.token = lease.getToken();
    asked.put(id, request);
    for (String name : acquire.getKeys()) {
      request.granted.add(name);
      Key key = key(name);
      if (key.taken() + request.permits() > request.capacity()) {
        fail("I1: '%s' goes on for %s while %s hold it", name, id, key.holders.keySet());
      }
      key.holders.put(id, new Hold(request.permits(), request.capacity(), lease.getToken()));
      key.highestToken = Math.max(key.highestToken, lease.getToken());
      if (lease.getLatchCount() > 0) {
        latches.put(name, new Latch(lease.getLatchCount(), lease.getLatchIds()));
      }
    }
  }

  private void countDown(CountDown down) {
    Latch latch = latches.get(down.getKey());
    if (latch != null && !down.getAsk() && !latch.before.contains(down.getId())) {
      latch.counted.add(down.getId());
    }
  }

  /** The owner of a latch has asked for nothing: the SetLatch that closes it stands for that. */
  private @Nullable Asked latch(Id id, String name) {
    if (!(command instanceof SetLatch set) || !set.getKey().equals(name)) {
      return null;
    }
    latches.put(name, new Latch(set.getCount(), counted.getOrDefault(name, Set.of())));
    Acquire acquire =
        new Acquire(
            id.owner(),
            id.number(),
            1L,
            0L,
            List.of(name),
            LockMode.EXCLUSIVE,
            0,
            0,
            0,
            -1L,
            0L,
            "",
            "",
            List.of(),
            List.of(),
            set.getReplyTo());
    Asked request = new Asked(acquire, new Place(0, offset));
    asked.put(id, request);
    return request;
  }

  void effect(Object effect) {
    if (effect instanceof Granted granted) {
      granted(granted);
    } else if (effect instanceof Released released) {
      released(released);
    } else if (effect instanceof Downgraded downgraded) {
      downgraded(downgraded);
    } else if (effect instanceof AcquireReply reply) {
      answered(reply);
    }
  }

  private void granted(Granted event) {
    grants++;
    grantsNow++;
    Id id = new Id(event.getOwner(), event.getNumber());
    String name = event.getKey();
    Key key = key(name);
    Asked latch = latch(id, name);
    Asked request = latch == null ? asked.get(id) : latch;
    if (request == null || (request.outcome != null && request.outcome != AcquireOutcome.GRANTED)) {
      fail(
          "I5: '%s' was granted to %s, which %s",
          name, id, request == null ? "never asked" : "had ended");
      return;
    }
    if (time < key.keptUntil) {
      // elapsed time never runs ahead of the log's
      fail("I9: '%s' was granted %d ms before it may be", name, key.keptUntil - time);
    }
    boolean upgrade = upgrading.contains(id);
    if (!upgrade && !request.granted.add(name)) {
      fail("I5: '%s' was granted to %s twice", name, id);
    }
    if ((event.getToken() & ((1L << EPOCH_SHIFT) - 1)) != offset) {
      fail("I2: token %d of '%s' does not come from offset %d", event.getToken(), name, offset);
    }
    boolean sameRecord = event.getToken() == key.highestToken && request.permits() != LOCK;
    if (event.getToken() <= key.highestToken && !sameRecord) {
      fail("I2: '%s' was granted under %d behind %d", name, event.getToken(), key.highestToken);
    }
    key.highestToken = Math.max(key.highestToken, event.getToken());
    int permits = upgrade ? LOCK : request.permits();
    if (key.taken() + permits > request.capacity()) {
      fail("I1: '%s' was granted to %s while %s held it", name, id, key.holders.keySet());
    }
    for (Hold hold : key.holders.values()) {
      if (hold.capacity() != request.capacity()) {
        fail(
            "I1: '%s' has %d permits for %s and %d for others",
            name, request.capacity(), id, hold.capacity());
      }
    }
    if (!upgrade && !key.queue.isEmpty() && !key.queue.firstEntry().getValue().equals(id)) {
      fail("I4: '%s' was granted to %s before %s", name, id, key.queue.firstEntry().getValue());
    }
    key.queue.remove(request.place);
    key.holders.put(id, new Hold(permits, request.capacity(), event.getToken()));
    key.mayBeClosed = false;
    if (!upgrade && request.token != 0 && request.token != event.getToken()) {
      fail(
          "I13: %s was granted '%s' under %d and others under %d",
          id, name, event.getToken(), request.token);
    }
    request.token = event.getToken();
    request.outcome = AcquireOutcome.GRANTED;
  }

  private void released(Released event) {
    Id id = new Id(event.getOwner(), event.getNumber());
    String name = event.getKey();
    Key key = key(name);
    Hold hold = key.holders.get(id);
    if (hold == null || hold.token() != event.getToken()) {
      fail(
          "I8: '%s' was released for %s under %d, which did not hold it",
          name, id, event.getToken());
      return;
    }
    key.holders.remove(id);
    Latch latch = latches.remove(name);
    if (latch != null) {
      counted.computeIfAbsent(name, n -> new HashSet<>()).addAll(latch.counted);
    }
    if (event.getCause() == ReleaseCause.UPGRADED) {
      upgrading.add(id);
    }
    if (latch != null
        && event.getCause() != ReleaseCause.RELEASED
        && event.getCause() != ReleaseCause.FORCED) {
      fail("I15: latch '%s' opened by %s", name, event.getCause());
    }
    switch (event.getCause()) {
      case RELEASED -> {
        if (latch != null) {
          opened(name, latch);
        } else {
          releasedByItsHolder(id, name, hold);
        }
      }
      case EXPIRED -> expired(id.owner(), name);
      case SESSION_CLOSED -> {
        if (!(command instanceof CloseSession close) || !close.getSession().equals(id.owner())) {
          fail("I8: '%s' was released for %s as if its session were closed", name, id);
        }
      }
      default -> {}
    }
    if (event.getCause() == ReleaseCause.EXPIRED || event.getCause() == ReleaseCause.FORCED) {
      // a lock-delay may keep it free
      key.mayBeClosed = true;
      if (hold.permits() < hold.capacity() && delays(id)) {
        // as when it is kept free beside others: who was offered it before is still granted it
        key.closedBeside = true;
      }
    }
  }

  private boolean delays(Id id) {
    Asked request = asked.get(id);
    return request != null && request.acquire.getDelayMillis() > 0;
  }

  private void opened(String name, Latch latch) {
    if (latch.counted.size() < latch.count || !(command instanceof CountDown)) {
      fail(
          "I15: latch '%s' of %d opened after %d by %s",
          name, latch.count, latch.counted.size(), command);
    }
    releasedNow.add(name);
  }

  private void releasedByItsHolder(Id id, String name, Hold hold) {
    boolean ordered =
        command instanceof Release release
            && release.getOwner().equals(id.owner())
            && release.getAcquire() == id.number()
            && release.getToken() == hold.token();
    if (!ordered) {
      fail("I8: '%s' was released for %s under %d by %s", name, id, hold.token(), command);
    }
    if (command instanceof Release release && release.getKeepFreeMillis() > 0) {
      Key key = key(name);
      key.mayBeClosed = true;
      if (hold.permits() == hold.capacity()) {
        key.keptUntil = time + Math.min(KEPT_MOST, release.getKeepFreeMillis());
      } else {
        // who was offered it beside this holder is granted it, and it stays closed for others
        key.closedBeside = true;
      }
    } else {
      releasedNow.add(name);
    }
  }

  private void expired(String owner, String name) {
    Long heard = heardAt.get(owner);
    Long lives = ttl.get(owner);
    if (heard != null && lives != null && time - heard < lives) {
      fail(
          "I7: '%s' of %s expired %d ms after a beat, which gives %d",
          name, owner, time - heard, lives);
    }
  }

  private void downgraded(Downgraded event) {
    Id id = new Id(event.getOwner(), event.getNumber());
    Key key = key(event.getKey());
    Hold hold = key.holders.get(id);
    if (hold == null || hold.token() != event.getToken()) {
      fail("I8: '%s' was downgraded for %s, which did not hold it", event.getKey(), id);
    } else {
      key.holders.put(id, new Hold(1, hold.capacity(), hold.token()));
    }
  }

  private void answered(AcquireReply reply) {
    Id id = new Id(reply.getOwner(), reply.getNumber());
    Asked request = asked.get(id);
    if (request == null) {
      return;
    }
    if (request.outcome != null && request.outcome != reply.getOutcome()) {
      fail("I5: %s ended as %s and as %s", id, request.outcome, reply.getOutcome());
    }
    if (reply.getOutcome() == AcquireOutcome.GRANTED) {
      if (request.token != reply.getToken()) {
        fail(
            "I6: %s was granted under %d and answered with %d",
            id, request.token, reply.getToken());
      }
      if (!request.granted.containsAll(request.acquire.getKeys())) {
        fail(
            "I13: %s was answered as granted, with %s of %s",
            id, request.granted, request.acquire.getKeys());
      }
    } else {
      for (String name : request.acquire.getKeys()) {
        key(name).queue.remove(request.place);
      }
    }
    request.outcome = reply.getOutcome();
  }

  /** Looks at what should have happened in this record. */
  void end() {
    if (command instanceof CountDown down) {
      Latch latch = latches.get(down.getKey());
      if (latch != null && latch.counted.size() >= latch.count) {
        fail("I15: latch '%s' of %d is closed after its last count", down.getKey(), latch.count);
      }
    }
    hear();
    if (grantsNow < GRANTS_PER_RECORD) {
      releasedNow.forEach(this::handedOver);
    }
  }

  /** A release hands over in the very record, unless the next one waits for other keys too. */
  private void handedOver(String name) {
    Key key = key(name);
    if (key.queue.isEmpty() || key.mayBeClosed || key.closedBeside) {
      return;
    }
    Id first = key.queue.firstEntry().getValue();
    Asked request = asked.get(first);
    if (request != null
        && request.acquire.getKeys().size() == 1
        && key.taken() + request.permits() <= request.capacity()) {
      fail("I9: '%s' was released and stayed free though %s waits", name, first);
    }
  }

  /** Notes whose session the record prolonged: from its own time on it lives on. */
  private void hear() {
    if (command instanceof Acquire acquire) {
      Asked request = asked.get(new Id(acquire.getOwner(), acquire.getNumber()));
      boolean taken =
          request != null
              && request.outcome != AcquireOutcome.DENIED
              && request.outcome != AcquireOutcome.SESSION_EXPIRED;
      if (taken && acquire.getTtlMillis() > 0) {
        ttl.putIfAbsent(acquire.getOwner(), acquire.getTtlMillis());
        heardAt.put(acquire.getOwner(), time);
      }
    } else if (command instanceof KeepAlive beat) {
      ttl.putIfAbsent(beat.getSession(), beat.getTtlMillis());
      heardAt.put(beat.getSession(), time);
    }
  }

  /** Returns the requests that have not ended. */
  List<String> open() {
    List<String> open = new ArrayList<>();
    asked.forEach(
        (id, request) -> {
          if (request.outcome == null) {
            open.add(
                "partition %d offset %d: %s waits for %s"
                    .formatted(partition, request.place.order(), id, request.acquire.getKeys()));
          }
        });
    return open;
  }

  private Key key(String name) {
    return keys.computeIfAbsent(name, n -> new Key());
  }

  @SuppressWarnings("AnnotateFormatMethod") // no dependency for one private method
  private void fail(String message, @Nullable Object... arguments) {
    violations.add(
        message.formatted(arguments) + " (partition %d offset %d)".formatted(partition, offset));
  }
}

package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.PoisonPolicy;
import dev.lockstep.outbox.internal.relay.Parked.Blocked;
import dev.lockstep.outbox.internal.write.TopicTable.Topic;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Decides for each row of a page whether it is sent, put aside, or waited for. Pure, but for what
 * is blocked and condemned, which it remembers. Not thread-safe.
 */
final class RowSorter {

  /** Above that many keys the whole topic is blocked. */
  static final int MOST_KEYS = 1_000;

  /**
   * What becomes of a page.
   *
   * @param passed rows that the position passes: those sent and those put aside
   * @param sent to Kafka
   * @param asides to be stored before the position passes them
   * @param blocks that begin with them
   * @param isWhole false: the page is cut before a row whose topic is waited for
   */
  record Sorted(
      List<LedgerRow> passed,
      List<LedgerRow> sent,
      List<Aside> asides,
      Map<BlockKey, Blocked> blocks,
      boolean isWhole) {

    /** All of them are sent. */
    static Sorted clean(List<LedgerRow> rows) {
      return new Sorted(rows, rows, List.of(), Map.of(), true);
    }
  }

  /** What is known of the topics that rows go to. */
  interface Topics {

    /** Returns the registered topic; null: it is not registered. */
    @Nullable Topic registered(String topic);

    /** Returns how many partitions it has; 0: not known. */
    int partitions(String topic);

    /** Returns why it cannot be written to; null when it can. */
    @Nullable String fault(String topic);

    /** Tells whether it is away for too long to be waited for. */
    boolean isGivenUp(String topic);
  }

  private final Topics topics;
  private final Map<BlockKey, Blocked> blocked;
  private final Map<Long, String> condemned;
  private final Map<String, Optional<Topic>> registered = new HashMap<>();

  /**
   * @param blocked what is blocked already
   * @param condemned seq of rows that Kafka will never take, and why; added to by the caller
   */
  RowSorter(Topics topics, Map<BlockKey, Blocked> blocked, Map<Long, String> condemned) {
    this.topics = topics;
    this.blocked = new HashMap<>(blocked);
    this.condemned = condemned;
  }

  /** What is blocked now. */
  Map<BlockKey, Blocked> blocked() {
    return blocked;
  }

  /** Registrations are looked up anew. */
  void forgetTopics() {
    registered.clear();
  }

  Sorted sort(List<LedgerRow> page) {
    forgetTopics();
    List<LedgerRow> sent = new ArrayList<>(page.size());
    List<Aside> asides = new ArrayList<>();
    Map<BlockKey, Blocked> blocks = new HashMap<>();
    for (int i = 0; i < page.size(); i++) {
      LedgerRow row = page.get(i);
      String waiting = waitsFor(row);
      if (waiting != null) {
        asides.add(new Aside(row, waiting, true));
        continue;
      }
      String poison = poison(row);
      if (poison != null) {
        if (policy(row) == PoisonPolicy.FAIL) {
          if (i == 0) {
            // it is tried again, in case its topic takes it by now
            condemned.remove(row.seq());
            throw new OutboxException(
                "Row %d (id %s) to '%s' is refused and its topic's policy is FAIL: %s"
                    .formatted(row.seq(), row.id(), row.topic(), poison));
          }
          return new Sorted(page.subList(0, i), sent, asides, blocks, false);
        }
        asides.add(putAside(row, poison, blocks));
        continue;
      }
      String fault = topics.fault(row.topic());
      if (fault == null) {
        sent.add(row);
      } else if (topics.isGivenUp(row.topic())) {
        String reason = "topic '%s' cannot be written to: %s".formatted(row.topic(), fault);
        block(new BlockKey(row.topic(), null), reason, true, blocks);
        asides.add(new Aside(row, reason, true));
      } else {
        return new Sorted(page.subList(0, i), sent, asides, blocks, false);
      }
    }
    return new Sorted(page, sent, asides, blocks, true);
  }

  /** Tells whether every row of a page can be sent. Decides nothing. */
  boolean isClean(List<LedgerRow> page) {
    forgetTopics();
    for (LedgerRow row : page) {
      if (waitsFor(row) != null || poison(row) != null || topics.fault(row.topic()) != null) {
        return false;
      }
    }
    return true;
  }

  /** Remembers that the key of a row is blocked now. */
  void blockKeyOf(LedgerRow row, String reason) {
    byte[] key = row.key();
    if (key != null) {
      blocked.put(BlockKey.of(row.topic(), key), new Blocked(reason, false, false));
    }
  }

  /** Forgets what was condemned: the page is done. */
  void done(List<Aside> asides) {
    asides.forEach(aside -> condemned.remove(aside.row().seq()));
  }

  private @Nullable String waitsFor(LedgerRow row) {
    if (blocked.isEmpty()) {
      // nearly always; a backlog passes here row by row
      return null;
    }
    Blocked topic = blocked.get(new BlockKey(row.topic(), null));
    if (topic != null) {
      return topic.reason();
    }
    byte[] key = row.key();
    Blocked own = key == null ? null : blocked.get(BlockKey.of(row.topic(), key));
    return own == null ? null : "waits behind its key: " + own.reason();
  }

  /** Returns why a row can never be sent; null when it may. */
  @Nullable String poison(LedgerRow row) {
    String refused = condemned.isEmpty() ? null : condemned.get(row.seq());
    if (refused != null) {
      return refused;
    }
    if (row.fault() != null) {
      return row.fault();
    }
    Topic topic = registered(row.topic());
    if (topic == null) {
      return "topic '%s' is not registered with this outbox: register it, then unblock"
          .formatted(row.topic());
    }
    if (topic.lane().code() != row.lane()) {
      return "topic '%s' has lane %s, the row was written with lane %d"
          .formatted(row.topic(), topic.lane(), row.lane());
    }
    int most = topics.partitions(row.topic());
    Integer asked = row.partition();
    if (asked != null && most > 0 && asked >= most) {
      return "partition %d was asked for, topic '%s' has %d".formatted(asked, row.topic(), most);
    }
    if (asked == null && row.key() != null && most > 0 && topic.partitions() > most) {
      return "topic '%s' is registered with %d partitions and has %d"
          .formatted(row.topic(), topic.partitions(), most);
    }
    return null;
  }

  private Aside putAside(LedgerRow row, String reason, Map<BlockKey, Blocked> blocks) {
    byte[] key = row.key();
    if (policy(row) == PoisonPolicy.PARK || key == null) {
      return new Aside(row, reason, false);
    }
    long keys =
        blocked.keySet().stream()
            .filter(b -> !b.isWholeTopic() && b.topic().equals(row.topic()))
            .count();
    BlockKey block =
        keys >= MOST_KEYS ? new BlockKey(row.topic(), null) : BlockKey.of(row.topic(), key);
    block(block, reason, false, blocks);
    return new Aside(row, reason, true);
  }

  private PoisonPolicy policy(LedgerRow row) {
    Topic topic = registered(row.topic());
    return topic == null ? PoisonPolicy.BLOCK_KEY : topic.onPoison();
  }

  /** Asks once a page for a topic that is not registered. */
  private @Nullable Topic registered(String topic) {
    Optional<Topic> known =
        registered.computeIfAbsent(topic, t -> Optional.ofNullable(topics.registered(t)));
    return known.orElse(null);
  }

  private void block(BlockKey key, String reason, boolean probed, Map<BlockKey, Blocked> blocks) {
    Blocked made = new Blocked(reason, probed, false);
    blocked.put(key, made);
    blocks.put(key, made);
  }
}

package dev.lockstep.lock.internal.engine;

import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.kernel.OperatorOrder;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquirePart;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.ReplyTo;
import java.util.ArrayList;
import java.util.List;

/** Writes an Acquire: exclusive, waiting without end, in a session of 5 s, unless it says else. */
final class Ask {

  static final long TTL = 5_000;
  static final ReplyTo REPLY = new ReplyTo(LockSchemas.REPLIES, 2, "client", false);

  private final String owner;
  private final long number;
  private final List<String> keys;
  private long lowestUnanswered = 1;
  private long ttl = TTL;
  private long wait = -1;
  private LockMode mode = LockMode.EXCLUSIVE;
  private int permits;
  private int capacity;
  private int priority;
  private long delay;
  private String onBehalfOf = "";
  private String task = "";
  private ReplyTo replyTo = REPLY;
  private final List<AcquirePart> rest = new ArrayList<>();

  /** Who orders something, and why. */
  static OperatorOrder order(String principal, String reason) {
    return new OperatorOrder(principal, reason, 1_700_000_000_000L);
  }

  private Ask(String owner, long number, List<String> keys) {
    this.owner = owner;
    this.number = number;
    this.keys = keys;
  }

  static Ask of(String owner, long number, String... keys) {
    return new Ask(owner, number, List.of(keys));
  }

  Ask lowestUnanswered(long value) {
    lowestUnanswered = value;
    return this;
  }

  Ask ttl(long millis) {
    ttl = millis;
    return this;
  }

  Ask waiting(long millis) {
    wait = millis;
    return this;
  }

  Ask shared() {
    mode = LockMode.SHARED;
    return this;
  }

  Ask permits(int some, int all) {
    mode = LockMode.PERMITS;
    permits = some;
    capacity = all;
    return this;
  }

  Ask priority(int value) {
    priority = value;
    return this;
  }

  Ask delay(long millis) {
    delay = millis;
    return this;
  }

  Ask onBehalfOf(String name) {
    onBehalfOf = name;
    return this;
  }

  Ask task(String name) {
    task = name;
    return this;
  }

  Ask replyTo(ReplyTo to) {
    replyTo = to;
    return this;
  }

  Ask then(int partition, long number, String... more) {
    rest.add(new AcquirePart(partition, owner + "." + partition, number, 1L, List.of(more)));
    return this;
  }

  Acquire now() {
    return new Acquire(
        owner,
        number,
        lowestUnanswered,
        ttl,
        keys,
        mode,
        permits,
        capacity,
        priority,
        wait,
        delay,
        onBehalfOf,
        task,
        rest,
        List.of(),
        replyTo);
  }
}

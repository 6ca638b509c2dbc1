package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.EffectRefusedException;
import dev.lockstep.kernel.Effects;
import dev.lockstep.kernel.Turn;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquirePart;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.GrantedPart;
import dev.lockstep.schema.lock.ReplyTo;
import java.util.ArrayList;
import java.util.List;

/** What a turn tells: clients, the public, and other lock partitions. */
final class Answers {

  /** Why a request was not granted, and what stood in its way. */
  record Reason(String text, String holder, long holderToken, int ahead, long retryAfterMillis) {

    static final Reason NONE = new Reason("", "", 0, -1, 0);

    static Reason of(String text) {
      return new Reason(text, "", 0, -1, 0);
    }
  }

  private static final int SOME = 16;

  private final Turn turn;
  private final String commands;
  private final String events;

  Answers(Turn turn) {
    this.turn = turn;
    this.commands = turn.layout().getTopic();
    this.events =
        commands.substring(0, commands.length() - LockSchemas.COMMANDS.length())
            + LockSchemas.EVENTS;
  }

  /**
   * Answers a request that has ended; repeats are answered with the same. A refusal names some keys
   * only: it must not be larger than what is refused.
   */
  void answer(ReplyTo to, Request request, Reason reason) {
    boolean all = request.isHolding() || request.keys.size() <= SOME;
    reply(
        to,
        new AcquireReply(
            request.id.owner(),
            request.id.number(),
            request.outcome,
            request.token,
            turn.partition(),
            all ? request.keys : request.keys.subList(0, SOME),
            request.earlier,
            reason.text(),
            reason.holder(),
            reason.holderToken(),
            reason.ahead(),
            reason.retryAfterMillis()));
  }

  /** Answers; where to was checked when the request came, so a refusal means a changed Layout. */
  void reply(ReplyTo to, Object answer) {
    if (to.getTopic().isEmpty()) {
      return;
    }
    Effects effects = to.getFollows() ? turn.effects().atLeisure() : turn.effects();
    try {
      if (to.getPartition() < 0) {
        effects.send(to.getTopic(), to.getKey(), answer);
      } else {
        effects.send(to.getTopic(), to.getPartition(), to.getKey(), answer);
      }
    } catch (EffectRefusedException e) {
      // nobody can be told any more; the client asks again and is denied
      return;
    }
  }

  /** Announces a public fact about a key. */
  void announce(String key, Object event) {
    try {
      turn.effects().atLeisure().send(events, key, event);
    } catch (EffectRefusedException e) {
      throw new IllegalStateException("Lock event for '" + key + "' is refused", e);
    }
  }

  /** Sends a request that has all its keys here on to its next partition. */
  void forward(Request request) throws EffectRefusedException {
    AcquirePart next = request.rest.get(0);
    List<GrantedPart> earlier = new ArrayList<>(request.earlier);
    earlier.add(
        new GrantedPart(turn.partition(), request.id.owner(), request.id.number(), request.token));
    long left = Math.max(0, request.deadline - turn.now().elapsed());
    long wait = request.deadline == Request.NEVER ? -1 : left;
    turn.effects()
        .send(
            commands,
            next.getPartition(),
            next.getKeys().get(0),
            new Acquire(
                next.getOwner(),
                next.getNumber(),
                next.getLowestUnanswered(),
                request.ttlMillis,
                next.getKeys(),
                request.mode(),
                request.capacity == Key.LOCK ? 0 : request.permits,
                request.capacity == Key.LOCK ? 0 : request.capacity,
                request.priority,
                wait,
                request.delayMillis,
                request.onBehalfOf,
                request.task,
                request.rest.subList(1, request.rest.size()),
                earlier,
                request.replyTo));
  }

  /** Gives back what was granted in earlier partitions to a request that ends here. */
  void giveBack(List<GrantedPart> earlier) {
    for (GrantedPart part : earlier) {
      try {
        turn.effects()
            .send(
                commands,
                part.getPartition(),
                part.getOwner(),
                new Cancel(part.getOwner(), part.getNumber(), 1L, part.getNumber()));
      } catch (EffectRefusedException e) {
        // the Layout lists this topic no more: the session there frees it when it ends
        return;
      }
    }
  }
}

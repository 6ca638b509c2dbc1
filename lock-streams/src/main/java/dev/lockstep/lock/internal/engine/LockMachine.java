package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.Deadlines;
import dev.lockstep.kernel.Machine;
import dev.lockstep.kernel.RejectedInputException;
import dev.lockstep.kernel.Store;
import dev.lockstep.kernel.Turn;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.lock.AbortWait;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.Adopt;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.ChangeMode;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.CountDown;
import dev.lockstep.schema.lock.ForceRelease;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.Revoke;
import dev.lockstep.schema.lock.SetLatch;
import org.jspecify.annotations.Nullable;

/**
 * Decides the locks of one partition. Pure.
 *
 * <p>Order within a record: first everything that is due, then the command, then grants.
 */
public final class LockMachine implements Machine {

  /** Protocol and state types. */
  public static final SchemaCatalog CATALOG = LockSchemas.CATALOG.and(LockRows.CATALOG);

  /** Kinds of rows that are scanned, or read at every turn. */
  public static final String ROWS = LockRows.KINDS;

  @Override
  public void apply(Turn turn) throws RejectedInputException {
    LockTurn locks = new LockTurn(turn);
    locks.expire();
    Object input = turn.input();
    if (input instanceof Acquire acquire) {
      locks.acquire(acquire);
    } else if (input instanceof Release release) {
      locks.release(release);
    } else if (input instanceof Cancel cancel) {
      locks.cancel(cancel);
    } else if (input instanceof KeepAlive beat) {
      locks.keepAlive(beat);
    } else if (input instanceof CloseSession close) {
      locks.close(close);
    } else if (input instanceof ChangeMode change) {
      locks.changeMode(change);
    } else if (input instanceof Revoke revoke) {
      locks.revoke(revoke);
    } else if (input instanceof ForceRelease force) {
      locks.force(force);
    } else if (input instanceof AbortWait abort) {
      locks.abort(abort);
    } else if (input instanceof SetLatch set) {
      locks.latches().set(set);
    } else if (input instanceof CountDown down) {
      locks.latches().countDown(down);
    } else if (input instanceof Adopt adopt) {
      locks.adopt(adopt);
    }
    locks.handOver();
    locks.write();
  }

  @Override
  public Deadlines deadlines(Store store) {
    @Nullable Due first = new LockRows(store).firstDue();
    return first == null ? Deadlines.NONE : Deadlines.elapsed(first.at());
  }
}

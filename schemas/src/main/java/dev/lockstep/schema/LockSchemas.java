package dev.lockstep.schema;

import dev.lockstep.schema.lock.AbortWait;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Adopt;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.ChangeMode;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.CountDown;
import dev.lockstep.schema.lock.Downgraded;
import dev.lockstep.schema.lock.ForceRelease;
import dev.lockstep.schema.lock.ForceReleased;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.LatchReply;
import dev.lockstep.schema.lock.ModeReply;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseReply;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.schema.lock.Revoke;
import dev.lockstep.schema.lock.RevokeAsked;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.schema.lock.SessionOk;
import dev.lockstep.schema.lock.SetLatch;

/** Types and names of the lock protocol. */
public final class LockSchemas {

  /** Input topic without prefix: commands, keyed by lock key. */
  public static final String COMMANDS = "lockstep.lock.commands";

  /** Public facts without prefix, keyed by lock key. */
  public static final String EVENTS = "lockstep.lock.events";

  /** Answers to clients without prefix; each client reads one partition. */
  public static final String REPLIES = "lockstep.lock.replies";

  /** Commands, events and replies. */
  public static final SchemaCatalog CATALOG =
      SchemaCatalog.of(
          Acquire.class,
          Release.class,
          Cancel.class,
          KeepAlive.class,
          CloseSession.class,
          ForceRelease.class,
          AbortWait.class,
          Adopt.class,
          ChangeMode.class,
          SetLatch.class,
          CountDown.class,
          LatchReply.class,
          Revoke.class,
          AcquireReply.class,
          ReleaseReply.class,
          SessionOk.class,
          SessionExpired.class,
          ForceReleased.class,
          ModeReply.class,
          RevokeAsked.class,
          Granted.class,
          Released.class,
          Downgraded.class);

  private LockSchemas() {}
}

package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.write.Notifier;

/**
 * Tells relays in other processes of commits: see {@link Outbox#notifyRelays}. Thread-safe.
 *
 * <p>Whatever becomes of it, writers neither wait nor fail, and relays find by polling what they
 * were not told of.
 */
public final class RelayNotifier implements AutoCloseable {

  private final Notifier notifier;
  private final Runnable closing;

  RelayNotifier(Notifier notifier, Runnable closing) {
    this.notifier = notifier;
    this.closing = closing;
  }

  /**
   * Counts notifications: one tells of all commits since the one before.
   *
   * @return how many were sent
   */
  public long sent() {
    return notifier.sent();
  }

  /**
   * Counts failures. After one the next attempt is made a second later.
   *
   * @return how many could not be sent
   */
  public long failures() {
    return notifier.failures();
  }

  /** Tells of no further commit. */
  @Override
  public void close() {
    closing.run();
  }
}

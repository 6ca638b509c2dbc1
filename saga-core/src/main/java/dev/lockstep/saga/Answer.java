package dev.lockstep.saga;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** What a handler answers to a command. */
public sealed interface Answer {

  /**
   * It is done; commits with the handler's transaction.
   *
   * @param payload for the saga's state; null: nothing to tell
   */
  record Success(@Nullable Object payload) implements Answer {}

  /**
   * The business says no: what the handler wrote is undone, the saga rolls back.
   *
   * @param reason for people
   */
  record Failure(String reason) implements Answer {}

  /**
   * Not now, for a technical reason: what the handler wrote is undone, the command comes again.
   *
   * @param after earliest pause, elapsed log time
   * @param reason for people
   */
  record Retry(Duration after, String reason) implements Answer {}

  /**
   * A lock was lost: what the handler wrote is undone; neither a business failure nor tried again
   * with the same token.
   *
   * @param reason for people
   */
  record StaleToken(String reason) implements Answer {}

  /**
   * Answers success.
   *
   * @return success without payload
   */
  static Answer success() {
    return new Success(null);
  }

  /**
   * Answers success.
   *
   * @param payload a Java record of plain values; the definition's {@code on} takes it
   * @return success with payload
   */
  static Answer success(Object payload) {
    return new Success(payload);
  }

  /**
   * Answers that the business says no.
   *
   * @param reason for people
   * @return failure
   */
  static Answer failure(String reason) {
    return new Failure(reason);
  }

  /**
   * Asks for the command again.
   *
   * @param after earliest pause
   * @param reason for people
   * @return retry
   */
  static Answer retry(Duration after, String reason) {
    return new Retry(after, reason);
  }

  /**
   * Answers that a fencing token is stale.
   *
   * @param reason for people
   * @return stale token
   */
  static Answer staleToken(String reason) {
    return new StaleToken(reason);
  }
}

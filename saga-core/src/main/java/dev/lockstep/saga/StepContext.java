package dev.lockstep.saga;

import dev.lockstep.outbox.OutboxTransaction;
import java.util.Map;

/**
 * What a handler works with. Valid during the call only.
 *
 * @param tx the transaction of barrier, handler and reply: business statements and publishing go
 *     through it
 * @param sagaId the saga
 * @param step name of the step
 * @param attempt 1 for the first
 * @param tokens fencing token by lock key, of all locks that the saga holds
 */
public record StepContext(
    OutboxTransaction tx, String sagaId, String step, int attempt, Map<String, Long> tokens) {

  /**
   * Returns the fencing token of a key.
   *
   * @param key lock key
   * @return its token
   * @throws SagaException when the saga does not hold the key: declare it with {@code locking}
   */
  public long token(String key) {
    Long token = tokens.get(key);
    if (token == null) {
      throw new SagaException(
          "Saga %s, step '%s': key '%s' is not locked; declare it with locking(...)"
              .formatted(sagaId, step, key));
    }
    return token;
  }
}

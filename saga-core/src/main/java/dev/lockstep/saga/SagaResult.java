package dev.lockstep.saga;

/**
 * How a saga ended.
 *
 * @param sagaId the saga
 * @param status completed, compensated, or parked (which an operator can change)
 * @param step where it failed; empty when completed
 * @param reason why; empty when completed
 */
public record SagaResult(String sagaId, Status status, String step, String reason) {

  /** Ends of a saga. */
  public enum Status {
    /** Every step succeeded. */
    COMPLETED,
    /** What was done is undone. */
    COMPENSATED,
    /** Waits for an operator. */
    PARKED
  }
}

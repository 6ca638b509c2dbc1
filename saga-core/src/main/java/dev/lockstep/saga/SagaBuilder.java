package dev.lockstep.saga;

import java.time.Duration;
import java.util.Collection;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * The shape of a definition, step by step: compensatable steps, at most one pivot, then retriable
 * steps only. What is not offered is not allowed.
 */
public final class SagaBuilder {

  private SagaBuilder() {}

  /**
   * The begin of a definition.
   *
   * @param <S> type of the state
   */
  public interface Start<S> {

    /**
     * Sets the version, 1 if never called.
     *
     * @param version 1 or more; every change of the definition is a new one
     * @return this builder
     */
    Start<S> version(int version);

    /**
     * Adds a step that can be undone.
     *
     * @param name unique in the saga: lower case letters, digits and dashes
     * @return builder of the step
     */
    Sending<S, Compensatable<S>> step(String name);

    /**
     * Adds the point of no return.
     *
     * @param name unique in the saga
     * @return builder of the step
     */
    Sending<S, Final<S>> pivot(String name);

    /**
     * Adds a step that must succeed in the end.
     *
     * @param name unique in the saga
     * @return builder of the step
     */
    Sending<S, Final<S>> retriable(String name);
  }

  /**
   * A step that was named.
   *
   * @param <S> type of the state
   * @param <N> what may follow
   */
  public interface Sending<S, N> {

    /**
     * Locks keys before the step, held until the saga ends; the participant gets their fencing
     * tokens.
     *
     * @param keys pure function of the state
     * @return this builder
     */
    Sending<S, N> locking(Function<S, Collection<String>> keys);

    /**
     * Says what the step asks for.
     *
     * @param participant who does it
     * @param command pure function of the state; a Java record of plain values
     * @return builder of the rest of the step
     */
    N send(ParticipantRef participant, Function<S, Object> command);
  }

  /**
   * A step that is complete; options and what may follow.
   *
   * @param <S> type of the state
   * @param <N> this type
   */
  public interface Options<S, N> {

    /**
     * Says how a success changes the state.
     *
     * @param type type of the reply's payload
     * @param change pure function of state and payload
     * @param <R> type of the payload
     * @return this builder
     */
    <R> N on(Class<R> type, BiFunction<S, R, S> change);

    /**
     * Says how a success changes the state, whatever its payload.
     *
     * @param change pure function of the state
     * @return this builder
     */
    N onSuccess(UnaryOperator<S> change);

    /**
     * Sets how often it is tried; {@link RetryPolicy#DEFAULT} if never called.
     *
     * @param policy attempts and pauses
     * @return this builder
     */
    N retrying(RetryPolicy policy);

    /**
     * Sets how long an attempt may stay without an answer; 10 s if never called.
     *
     * @param timeout elapsed log time, at least 1 ms
     * @return this builder
     */
    N within(Duration timeout);

    /**
     * Ends the definition.
     *
     * @return the saga
     * @throws IllegalArgumentException naming all faults at once
     */
    Saga<S> build();
  }

  /**
   * A step that can be undone; anything may follow.
   *
   * @param <S> type of the state
   */
  public interface Compensatable<S> extends Options<S, Compensatable<S>> {

    /**
     * Says how the step is undone. Left out: nothing needs to be undone.
     *
     * @param participant who undoes it
     * @param command pure function of the state as it was when the step was sent
     * @return this builder
     */
    Compensatable<S> compensate(ParticipantRef participant, Function<S, Object> command);

    /**
     * Adds a step that can be undone.
     *
     * @param name unique in the saga
     * @return builder of the step
     */
    Sending<S, Compensatable<S>> step(String name);

    /**
     * Adds the point of no return.
     *
     * @param name unique in the saga
     * @return builder of the step
     */
    Sending<S, Final<S>> pivot(String name);

    /**
     * Adds a step that must succeed in the end.
     *
     * @param name unique in the saga
     * @return builder of the step
     */
    Sending<S, Final<S>> retriable(String name);
  }

  /**
   * The pivot or a step behind it; only retriable steps may follow.
   *
   * @param <S> type of the state
   */
  public interface Final<S> extends Options<S, Final<S>> {

    /**
     * Adds a step that must succeed in the end.
     *
     * @param name unique in the saga
     * @return builder of the step
     */
    Sending<S, Final<S>> retriable(String name);
  }
}

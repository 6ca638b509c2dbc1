package dev.lockstep.saga;

import java.time.Duration;
import java.util.Collection;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One step of a definition. Its functions are pure: they depend on the state that they are given
 * and nothing else.
 *
 * @param name unique in the saga
 * @param kind what may happen to it
 * @param participant who does it
 * @param command makes the command from the state
 * @param replies how a success changes the state, by type of its payload
 * @param undoneBy who undoes it; null: nobody needs to
 * @param compensation makes the undoing command, from the state as the step is sent
 * @param locks keys to lock before the step, held until the saga ends; null: none
 * @param retries how often it is tried
 * @param within how long one attempt may stay without an answer, elapsed log time
 * @param <S> type of the saga's state
 */
public record Step<S>(
    String name,
    Kind kind,
    ParticipantRef participant,
    Function<S, Object> command,
    Map<Class<?>, BiFunction<S, Object, S>> replies,
    @Nullable ParticipantRef undoneBy,
    @Nullable Function<S, Object> compensation,
    @Nullable Function<S, Collection<String>> locks,
    RetryPolicy retries,
    Duration within) {

  /** What may happen to a step. */
  public enum Kind {
    /** Can fail and can be undone. */
    COMPENSATABLE,
    /** The point of no return: once it succeeded the saga completes. */
    PIVOT,
    /** After the pivot: must succeed in the end; one that does not parks the saga. */
    RETRIABLE
  }
}

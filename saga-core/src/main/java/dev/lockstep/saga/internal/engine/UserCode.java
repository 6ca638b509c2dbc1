package dev.lockstep.saga.internal.engine;

import dev.lockstep.saga.Step;
import dev.lockstep.saga.internal.Payloads;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Calls the functions of a definition. They are pure, so what one throws it throws on every
 * instance: that parks the saga.
 */
final class UserCode {

  private final Payloads payloads;
  private final Run run;

  UserCode(Payloads payloads, Run run) {
    this.payloads = payloads;
    this.run = run;
  }

  ByteBuffer command(Step<?> step) throws ParkException {
    return encoded(step, typed(step).command());
  }

  /** What undoes a step, from the state as it is now; empty when nothing needs to be undone. */
  ByteBuffer compensation(Step<?> step) throws ParkException {
    Function<Object, Object> compensation = typed(step).compensation();
    return compensation == null ? Run.NOTHING : encoded(step, compensation);
  }

  Collection<String> lockKeys(Step<?> step) throws ParkException {
    Function<Object, Collection<String>> locks = typed(step).locks();
    return locks == null
        ? List.of()
        : call("locks of", step, () -> locks.apply(payloads.decode(run.state)));
  }

  /** Changes the state by a reply, as the definition says for its type. */
  void applyReply(Step<?> step, ByteBuffer payload) throws ParkException {
    Object reply =
        payload.hasRemaining() ? call("reply of", step, () -> payloads.decode(payload)) : null;
    BiFunction<Object, Object, Object> change = change(typed(step), reply);
    if (change != null) {
      Object answer = reply == null ? Run.NOTHING : reply;
      run.state =
          call(
              "reply of",
              step,
              () -> payloads.encode(change.apply(payloads.decode(run.state), answer)));
    }
  }

  private static @Nullable BiFunction<Object, Object, Object> change(
      Step<Object> step, @Nullable Object reply) {
    var change = step.replies().get(reply == null ? Void.class : reply.getClass());
    return change == null ? step.replies().get(Void.class) : change;
  }

  private ByteBuffer encoded(Step<?> step, Function<Object, Object> function) throws ParkException {
    return call(
        "command of", step, () -> payloads.encode(function.apply(payloads.decode(run.state))));
  }

  private static <T> T call(String what, Step<?> step, Supplier<T> function) throws ParkException {
    try {
      return function.get();
    } catch (RuntimeException e) {
      throw new ParkException(
          "The %s step '%s' could not be made: %s".formatted(what, step.name(), e));
    }
  }

  @SuppressWarnings("unchecked") // the definition ties its functions to its state type
  private static Step<Object> typed(Step<?> step) {
    return (Step<Object>) step;
  }
}

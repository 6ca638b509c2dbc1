package dev.lockstep.saga.internal;

import dev.lockstep.saga.ParticipantRef;
import dev.lockstep.saga.RetryPolicy;
import dev.lockstep.saga.Saga;
import dev.lockstep.saga.SagaBuilder;
import dev.lockstep.saga.Step;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** A definition in the making. */
public final class Draft<S> implements SagaBuilder.Start<S> {

  private static final Duration DEFAULT_WITHIN = Duration.ofSeconds(10);

  private final String name;
  private final Class<S> stateType;
  private final List<Step<S>> steps = new ArrayList<>();
  private int version = 1;

  public Draft(String name, Class<S> stateType) {
    this.name = name;
    this.stateType = stateType;
  }

  @Override
  public SagaBuilder.Start<S> version(int value) {
    version = value;
    return this;
  }

  @Override
  public SagaBuilder.Sending<S, SagaBuilder.Compensatable<S>> step(String step) {
    CompensatableDraft draft = new CompensatableDraft(step);
    return new SendingDraft<>(draft, draft);
  }

  @Override
  public SagaBuilder.Sending<S, SagaBuilder.Final<S>> pivot(String step) {
    FinalDraft draft = new FinalDraft(step, Step.Kind.PIVOT);
    return new SendingDraft<>(draft, draft);
  }

  @Override
  public SagaBuilder.Sending<S, SagaBuilder.Final<S>> retriable(String step) {
    FinalDraft draft = new FinalDraft(step, Step.Kind.RETRIABLE);
    return new SendingDraft<>(draft, draft);
  }

  private final class SendingDraft<N> implements SagaBuilder.Sending<S, N> {

    private final StepDraft<?> draft;
    private final N next;

    SendingDraft(StepDraft<?> draft, N next) {
      this.draft = draft;
      this.next = next;
    }

    @Override
    public SagaBuilder.Sending<S, N> locking(Function<S, Collection<String>> keys) {
      draft.locks = keys;
      return this;
    }

    @Override
    public N send(ParticipantRef participant, Function<S, Object> command) {
      draft.participant = participant;
      draft.command = command;
      return next;
    }
  }

  /** One step in the making; it joins the others when the next begins or the definition ends. */
  private abstract class StepDraft<N> implements SagaBuilder.Options<S, N> {

    private final String step;
    private final Step.Kind kind;
    private final Map<Class<?>, BiFunction<S, Object, S>> replies = new LinkedHashMap<>();
    private RetryPolicy retries = RetryPolicy.DEFAULT;
    private Duration within = DEFAULT_WITHIN;
    private @Nullable ParticipantRef participant;
    private @Nullable Function<S, Object> command;
    private @Nullable Function<S, Collection<String>> locks;
    @Nullable ParticipantRef undoneBy;
    @Nullable Function<S, Object> compensation;

    StepDraft(String step, Step.Kind kind) {
      this.step = step;
      this.kind = kind;
    }

    abstract N self();

    @Override
    public <R> N on(Class<R> type, BiFunction<S, R, S> change) {
      replies.put(type, (state, reply) -> change.apply(state, type.cast(reply)));
      return self();
    }

    @Override
    public N onSuccess(UnaryOperator<S> change) {
      replies.put(Void.class, (state, reply) -> change.apply(state));
      return self();
    }

    @Override
    public N retrying(RetryPolicy policy) {
      retries = policy;
      return self();
    }

    @Override
    public N within(Duration timeout) {
      within = timeout;
      return self();
    }

    @Override
    public Saga<S> build() {
      join();
      return new Saga<>(name, version, stateType, steps);
    }

    void join() {
      steps.add(
          new Step<>(
              step,
              kind,
              Objects.requireNonNull(participant),
              Objects.requireNonNull(command),
              Map.copyOf(replies),
              undoneBy,
              compensation,
              locks,
              retries,
              within));
    }
  }

  private final class CompensatableDraft extends StepDraft<SagaBuilder.Compensatable<S>>
      implements SagaBuilder.Compensatable<S> {

    CompensatableDraft(String step) {
      super(step, Step.Kind.COMPENSATABLE);
    }

    @Override
    SagaBuilder.Compensatable<S> self() {
      return this;
    }

    @Override
    public SagaBuilder.Compensatable<S> compensate(
        ParticipantRef participant, Function<S, Object> command) {
      undoneBy = participant;
      compensation = command;
      return this;
    }

    @Override
    public SagaBuilder.Sending<S, SagaBuilder.Compensatable<S>> step(String step) {
      join();
      return Draft.this.step(step);
    }

    @Override
    public SagaBuilder.Sending<S, SagaBuilder.Final<S>> pivot(String step) {
      join();
      return Draft.this.pivot(step);
    }

    @Override
    public SagaBuilder.Sending<S, SagaBuilder.Final<S>> retriable(String step) {
      join();
      return Draft.this.retriable(step);
    }
  }

  private final class FinalDraft extends StepDraft<SagaBuilder.Final<S>>
      implements SagaBuilder.Final<S> {

    FinalDraft(String step, Step.Kind kind) {
      super(step, kind);
    }

    @Override
    SagaBuilder.Final<S> self() {
      return this;
    }

    @Override
    public SagaBuilder.Sending<S, SagaBuilder.Final<S>> retriable(String step) {
      join();
      return Draft.this.retriable(step);
    }
  }
}

package dev.lockstep.saga;

import dev.lockstep.saga.internal.Draft;
import dev.lockstep.schema.SchemaCatalog;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.SchemaNormalization;

/**
 * The definition of a saga: data, built once, immutable and thread-safe.
 *
 * <p>Any change is a new version: running instances finish on the one that they started with.
 *
 * @param <S> type of the state; a Java record of plain values, or a class that Avro generated
 */
public final class Saga<S> {

  private final String name;
  private final int version;
  private final Class<S> stateType;
  private final List<Step<S>> steps;

  /**
   * Makes a definition; users call {@link #named}.
   *
   * @param name name of the saga
   * @param version version of the definition
   * @param stateType type of the state
   * @param steps steps in order
   * @throws IllegalArgumentException naming all faults at once
   */
  public Saga(String name, int version, Class<S> stateType, List<Step<S>> steps) {
    this.name = name;
    this.version = version;
    this.stateType = stateType;
    this.steps = List.copyOf(steps);
    List<String> faults = DefinitionRules.faults(name, version, steps);
    if (!faults.isEmpty()) {
      throw new IllegalArgumentException(
          "Saga '%s' version %d is refused: %s"
              .formatted(name, version, String.join("; ", faults)));
    }
  }

  /**
   * Begins a definition, version 1.
   *
   * @param name lower case letters, digits and dashes
   * @param stateType type of the state
   * @param <S> type of the state
   * @return builder
   */
  public static <S> SagaBuilder.Start<S> named(String name, Class<S> stateType) {
    return new Draft<>(name, stateType);
  }

  /**
   * Returns the name.
   *
   * @return name of the saga
   */
  public String name() {
    return name;
  }

  /**
   * Returns the version.
   *
   * @return version of the definition, 1 or more
   */
  public int version() {
    return version;
  }

  /**
   * Returns the type of the state.
   *
   * @return class of the state
   */
  public Class<S> stateType() {
    return stateType;
  }

  /**
   * Returns the steps.
   *
   * @return steps in order
   */
  public List<Step<S>> steps() {
    return steps;
  }

  /**
   * Returns the types that the machine must read: state and payloads of replies.
   *
   * @return catalog of these types
   */
  public SchemaCatalog catalog() {
    List<Class<?>> types = new ArrayList<>();
    types.add(stateType);
    steps.forEach(
        step -> step.replies().keySet().stream().filter(t -> t != Void.class).forEach(types::add));
    return SchemaCatalog.of(types.toArray(Class[]::new));
  }

  /**
   * Returns the fingerprint of the structure: names, kinds, participants, policies and types. An
   * instance that started with another one stops.
   *
   * @return CRC-64-AVRO
   */
  public long fingerprint() {
    StringBuilder text = new StringBuilder(name).append(' ').append(version).append('\n');
    for (Step<S> step : steps) {
      text.append(step.name())
          .append(' ')
          .append(step.kind())
          .append(' ')
          .append(step.participant().name())
          .append(' ')
          .append(step.undoneBy() == null ? "-" : step.undoneBy().name())
          .append(' ')
          .append(step.locks() == null ? "-" : "locks")
          .append(' ')
          .append(step.retries())
          .append(' ')
          .append(step.within())
          .append(' ')
          .append(step.replies().keySet().stream().map(Class::getName).sorted().toList())
          .append('\n');
    }
    return SchemaNormalization.fingerprint64(text.toString().getBytes(StandardCharsets.UTF_8));
  }

  @Override
  public String toString() {
    return name + " version " + version;
  }
}

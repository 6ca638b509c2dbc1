package dev.lockstep.saga;

import dev.lockstep.schema.SchemaCatalog;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a service does for sagas: a handler per type of command. Immutable. */
public final class Participant {

  /**
   * Does one command, in the transaction that is open. Called again after a technical failure;
   * never after a final answer was committed.
   *
   * @param <C> type of the command
   */
  @FunctionalInterface
  public interface Handler<C> {

    /**
     * Does it.
     *
     * @param context transaction, identity, fencing tokens
     * @param command what to do
     * @return answer; anything thrown counts as {@link Answer#retry}
     * @throws SQLException from the database
     */
    Answer handle(StepContext context, C command) throws SQLException;
  }

  private final ParticipantRef ref;
  private final Map<Class<?>, Handler<Object>> handlers;

  private Participant(ParticipantRef ref, Map<Class<?>, Handler<Object>> handlers) {
    this.ref = ref;
    this.handlers = handlers;
  }

  /**
   * Begins a participant.
   *
   * @param name as definitions call it
   * @return participant without handlers
   */
  public static Participant named(String name) {
    return new Participant(ParticipantRef.of(name), Map.of());
  }

  /**
   * Adds a handler.
   *
   * @param type type of the command, for actions and compensations alike
   * @param handler does it
   * @param <C> type of the command
   * @return participant with this handler
   */
  public <C> Participant on(Class<C> type, Handler<C> handler) {
    Map<Class<?>, Handler<Object>> more = new LinkedHashMap<>(handlers);
    more.put(type, (context, command) -> handler.handle(context, type.cast(command)));
    return new Participant(ref, Map.copyOf(more));
  }

  /**
   * Returns the name.
   *
   * @return as definitions call it
   */
  public ParticipantRef ref() {
    return ref;
  }

  /**
   * Returns the types of its commands.
   *
   * @return catalog
   */
  public SchemaCatalog catalog() {
    return SchemaCatalog.of(handlers.keySet().toArray(Class[]::new));
  }

  /**
   * Returns the handler of a type.
   *
   * @param type type of a command
   * @return handler, or null when there is none
   */
  public @Nullable Handler<Object> handler(Class<?> type) {
    return handlers.get(type);
  }
}

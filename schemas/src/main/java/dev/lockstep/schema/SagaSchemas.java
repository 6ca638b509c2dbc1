package dev.lockstep.schema;

import dev.lockstep.schema.saga.Operate;
import dev.lockstep.schema.saga.SagaEnded;
import dev.lockstep.schema.saga.SagaStarted;
import dev.lockstep.schema.saga.StartSaga;
import dev.lockstep.schema.saga.StepCommand;
import dev.lockstep.schema.saga.StepEnded;
import dev.lockstep.schema.saga.StepReply;

/** Types and names of the saga protocol. */
public final class SagaSchemas {

  /** Input topic without prefix: starts, replies, orders of operators; keyed by saga id. */
  public static final String LOG = "lockstep.saga.log";

  /** Public facts without prefix, keyed by saga id. */
  public static final String EVENTS = "lockstep.saga.events";

  /** Log records, commands and events. */
  public static final SchemaCatalog CATALOG =
      SchemaCatalog.of(
          StartSaga.class,
          StepReply.class,
          Operate.class,
          StepCommand.class,
          SagaStarted.class,
          StepEnded.class,
          SagaEnded.class);

  private SagaSchemas() {}

  /**
   * Returns the topic of a participant's commands.
   *
   * @param participant name of the participant
   * @return name without prefix
   */
  public static String commands(String participant) {
    return participant + ".commands";
  }
}

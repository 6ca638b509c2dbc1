package dev.lockstep.outbox.internal.relay;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** How rows and the position behind them reach Kafka. Used by one thread. */
interface LaneSender extends AutoCloseable {

  /** Rows to be sent, and the position when they are. */
  record Batch(List<LedgerRow> rows, RelayPosition position) {}

  /** Asked for more when rows are on their way and before their outcome is waited for. */
  interface Further {

    Further NONE = () -> null;

    /** Returns what becomes part of the same commit; null: nothing does. Throws no refusal. */
    @Nullable Batch next();
  }

  /**
   * Publishes rows and moves the position behind them: of the first batch, and of those that are
   * asked for until there is none. All have one outcome.
   *
   * @throws RefusedException when a record or a topic is to blame
   * @throws org.apache.kafka.common.KafkaException when the outcome is a failure or not known: the
   *     caller starts again from the position in the topic
   */
  void commit(Batch first, Further further);

  /** The same with one batch. */
  default void commit(List<LedgerRow> rows, RelayPosition position) {
    commit(new Batch(rows, position), Further.NONE);
  }

  /** Commits a position that was put off, if there is one. */
  default void settle() {}

  /** Told when there is nothing to publish. */
  default void idle() {}

  @Override
  void close();
}

package dev.lockstep.outbox.internal.relay;

import java.util.List;

/** How rows and the position behind them reach Kafka. Used by one thread. */
interface LaneSender extends AutoCloseable {

  /**
   * Publishes rows and moves the position behind them.
   *
   * @param meanwhile run once when the rows are on their way and before their outcome is waited
   *     for; must not throw
   * @throws RefusedException when a record or a topic is to blame
   * @throws org.apache.kafka.common.KafkaException when the outcome is a failure or not known: the
   *     caller starts again from the position in the topic
   */
  void commit(List<LedgerRow> rows, RelayPosition position, Runnable meanwhile);

  /** The same with nothing to do meanwhile. */
  default void commit(List<LedgerRow> rows, RelayPosition position) {
    commit(rows, position, () -> {});
  }

  /** Commits a position that was put off, if there is one. */
  default void settle() {}

  /** Told when there is nothing to publish. */
  default void idle() {}

  @Override
  void close();
}

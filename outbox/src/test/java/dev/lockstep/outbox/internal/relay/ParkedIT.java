package dev.lockstep.outbox.internal.relay;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.outbox.Outbox;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Kafka's fencing does not reach into the database. */
class ParkedIT {

  @TempDir Path directory;

  @Test
  void relayThatWasReplacedCannotWriteAnyMore() throws Exception {
    try (PostgresServer postgres = PostgresServer.start(directory.resolve("pg"))) {
      postgres.createDatabase("parked");
      DataSource dataSource = postgres.dataSource("parked");
      new Outbox(dataSource).migrate();
      try (Connection first = dataSource.getConnection();
          Connection second = dataSource.getConnection()) {
        Parked zombie = new Parked(first, 0, 0, 6);
        Parked owner = new Parked(second, 0, 0, 7);
        BlockKey key = BlockKey.of("t", new byte[] {1});
        zombie.own();
        zombie.put(
            new RowSorter.Sorted(
                List.of(),
                List.of(),
                List.of(),
                Map.of(key, new Parked.Blocked("test", false, false)),
                true));
        owner.own();

        assertThatThrownBy(zombie::own).isInstanceOf(ProducerFencedException.class);
        assertThatThrownBy(() -> zombie.unblock(key)).isInstanceOf(ProducerFencedException.class);
        assertThatThrownBy(() -> zombie.forgetAhead(RelayPosition.START))
            .isInstanceOf(ProducerFencedException.class);
        assertThatThrownBy(() -> zombie.refuse(key, "late"))
            .isInstanceOf(ProducerFencedException.class);
        assertThatCode(() -> owner.unblock(key)).doesNotThrowAnyException();
        // another shard has an owner of its own
        assertThatCode(new Parked(first, 1, 0, 1)::own).doesNotThrowAnyException();
      }
    }
  }

  /** On the express lane Kafka's fencing comes after the send: it overtook rows that were aside. */
  @Test
  void relayThatWasReplacedReadsNothingAnyMore() throws Exception {
    try (PostgresServer postgres = PostgresServer.start(directory.resolve("pg"))) {
      postgres.createDatabase("read");
      DataSource dataSource = postgres.dataSource("read");
      new Outbox(dataSource).migrate();
      try (Connection connection = dataSource.getConnection();
          SnapshotLedger zombie = new SnapshotLedger(dataSource, 2, 1)) {
        new Parked(connection, 2, 1, 6).own();
        zombie.owned(6);
        assertThatCode(() -> zombie.next(RelayPosition.START, 10)).doesNotThrowAnyException();
        new Parked(connection, 2, 1, 7).own();
        assertThatThrownBy(() -> zombie.next(RelayPosition.START, 10))
            .isInstanceOf(ProducerFencedException.class)
            .hasMessageContaining("taken over by relay epoch 7, this one has 6");
      }
    }
  }
}

package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.write.TopicTable;
import dev.lockstep.outbox.internal.write.TopicTable.Topic;
import java.sql.Connection;
import org.jspecify.annotations.Nullable;

/** Topics as the database and the brokers know them. Used by the thread that has the connection. */
record KnownTopics(TopicTable table, Destinations destinations, Connection connection)
    implements RowSorter.Topics {

  @Override
  public @Nullable Topic registered(String topic) {
    return table.find(topic, connection);
  }

  @Override
  public int partitions(String topic) {
    return destinations.partitions(topic);
  }

  @Override
  public @Nullable String fault(String topic) {
    return destinations.fault(topic);
  }

  @Override
  public boolean isGivenUp(String topic) {
    return destinations.isGivenUp(topic);
  }
}

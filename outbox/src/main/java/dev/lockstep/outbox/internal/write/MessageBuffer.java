package dev.lockstep.outbox.internal.write;

import dev.lockstep.outbox.KeyOrder;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxMessage;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * Keeps the messages of a transaction until just before its commit, in step with savepoints:
 * rolling back to one drops what was published behind it (execution O2 of the kernel review). For
 * one thread.
 */
public final class MessageBuffer {

  private final TopicTable topics;
  private final KeyOrder order;
  private final UnaryOperator<OutboxMessage> complete;
  private final List<OutboxMessage> messages = new ArrayList<>();
  private final IdentityHashMap<Object, Integer> marks = new IdentityHashMap<>();

  /**
   * Makes an empty one.
   *
   * @param complete adds what each message gets on the publishing thread
   */
  public MessageBuffer(TopicTable topics, KeyOrder order, UnaryOperator<OutboxMessage> complete) {
    this.topics = topics;
    this.order = order;
    this.complete = complete;
  }

  /**
   * Keeps a message.
   *
   * @param connection of the transaction; not kept: some transaction managers lend another each
   *     time
   * @throws OutboxException when its topic is not registered or it is too large
   */
  public void add(Connection connection, OutboxMessage published) {
    OutboxMessage message = complete.apply(published);
    TopicTable.Topic topic = topics.get(message.topic(), connection);
    int bytes = bytes(message);
    if (bytes > topic.maxBytes()) {
      throw new OutboxException(
          "Message %s to '%s' has %d bytes, the topic takes %d; make it smaller or raise the limit"
              .formatted(message.id(), message.topic(), bytes, topic.maxBytes()));
    }
    messages.add(message);
  }

  /** Stores what is kept, in one round trip however much it is; true when there was any. */
  public boolean flush(Connection connection) throws SQLException {
    if (messages.isEmpty()) {
      return false;
    }
    MessageRows.of(connection, order, topic -> topics.get(topic, connection).lane().code())
        .insert(messages);
    messages.clear();
    marks.clear();
    return true;
  }

  /** True when there is nothing to store. */
  public boolean isEmpty() {
    return messages.isEmpty();
  }

  /** A savepoint was set; whatever names it is compared by identity. */
  public void mark(Object savepoint) {
    marks.put(savepoint, messages.size());
  }

  /** Drops what was published behind a savepoint. */
  public void rollbackTo(Object savepoint) {
    Integer mark = marks.get(savepoint);
    if (mark != null && mark < messages.size()) {
      messages.subList(mark, messages.size()).clear();
    }
  }

  /** Drops everything. */
  public void clear() {
    messages.clear();
    marks.clear();
  }

  private static int bytes(OutboxMessage message) {
    byte[] key = message.key();
    byte[] payload = message.payload();
    int bytes = (key == null ? 0 : key.length) + (payload == null ? 0 : payload.length);
    for (Map.Entry<String, String> header : message.headers().entrySet()) {
      bytes += header.getKey().length() + header.getValue().length();
    }
    return bytes;
  }
}

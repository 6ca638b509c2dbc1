package dev.lockstep.outbox.internal.write;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxTransaction;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Buffers messages until just before the commit, and keeps the buffer in step with savepoints:
 * rolling back to one drops what was published behind it (execution O2 of the kernel review).
 */
public final class BufferingTransaction implements OutboxTransaction, AutoCloseable {

  private static final Set<String> NOT_HERE =
      Set.of("commit", "close", "abort", "setAutoCommit", "setTransactionIsolation");

  private final Connection connection;
  private final Connection guarded;
  private final TopicTable topics;
  private final List<OutboxMessage> buffer = new ArrayList<>();
  private final IdentityHashMap<Savepoint, Integer> marks = new IdentityHashMap<>();
  private boolean closed;

  public BufferingTransaction(Connection connection, TopicTable topics) {
    this.connection = connection;
    this.topics = topics;
    this.guarded =
        (Connection)
            Proxy.newProxyInstance(
                BufferingTransaction.class.getClassLoader(),
                new Class<?>[] {Connection.class},
                (proxy, method, arguments) -> call(method, arguments));
  }

  @Override
  public Connection connection() {
    return guarded;
  }

  @Override
  public void publish(OutboxMessage message) {
    if (closed) {
      throw new OutboxException(
          "Message %s to '%s' was published outside its transaction; publish inside inTransaction"
              .formatted(message.id(), message.topic()));
    }
    TopicTable.Topic topic = topics.get(message.topic(), connection);
    int bytes = bytes(message);
    if (bytes > topic.maxBytes()) {
      throw new OutboxException(
          "Message %s to '%s' has %d bytes, the topic takes %d; make it smaller or raise the limit"
              .formatted(message.id(), message.topic(), bytes, topic.maxBytes()));
    }
    buffer.add(message);
  }

  /** Inserts what is buffered, in one statement however much it is; true when there was any. */
  public boolean flush() throws SQLException {
    if (buffer.isEmpty()) {
      return false;
    }
    new MessageRows(connection, topic -> topics.get(topic, connection).lane().code())
        .insert(buffer);
    buffer.clear();
    return true;
  }

  @Override
  public void close() {
    closed = true;
    buffer.clear();
  }

  private @Nullable Object call(Method method, Object @Nullable [] arguments) throws Throwable {
    String name = method.getName();
    if (NOT_HERE.contains(name) || (name.equals("rollback") && arguments == null)) {
      throw new OutboxException(
          "Connection.%s is not allowed inside inTransaction; return, or throw to roll back"
              .formatted(name));
    }
    Object result;
    try {
      result = method.invoke(connection, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause() == null ? e : e.getCause();
    }
    if (name.equals("setSavepoint") && result instanceof Savepoint savepoint) {
      marks.put(savepoint, buffer.size());
    } else if (name.equals("rollback")
        && arguments != null
        && arguments[0] instanceof Savepoint savepoint) {
      Integer mark = marks.get(savepoint);
      if (mark != null && mark < buffer.size()) {
        buffer.subList(mark, buffer.size()).clear();
      }
    }
    return result;
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

package dev.lockstep.outbox.internal.write;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxTransaction;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A transaction that the outbox commits itself: its connection may not be ended by the caller. */
public final class BufferingTransaction implements OutboxTransaction, AutoCloseable {

  private static final Set<String> NOT_HERE =
      Set.of("commit", "close", "abort", "setAutoCommit", "setTransactionIsolation");

  private final Connection connection;
  private final Connection guarded;
  private final MessageBuffer buffer;
  private boolean closed;
  private boolean published;

  public BufferingTransaction(Connection connection, MessageBuffer buffer) {
    this.connection = connection;
    this.buffer = buffer;
    this.guarded =
        (Connection)
            Proxy.newProxyInstance(
                BufferingTransaction.class.getClassLoader(),
                // so that Outbox.publish(connection, ..) keeps to the same buffer and the same
                // order
                new Class<?>[] {Connection.class, PublishingConnection.class},
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
    buffer.add(connection, message);
  }

  /**
   * Inserts what is buffered, in one statement however much it is; true when there ever was any.
   */
  public boolean flush() throws SQLException {
    published |= buffer.flush(connection);
    return published;
  }

  @Override
  public void close() {
    closed = true;
    buffer.clear();
  }

  private @Nullable Object call(Method method, @Nullable Object @Nullable [] arguments)
      throws Throwable {
    String name = method.getName();
    if (NOT_HERE.contains(name) || (name.equals("rollback") && arguments == null)) {
      throw new OutboxException(
          "Connection.%s is not allowed inside inTransaction; return, or throw to roll back"
              .formatted(name));
    }
    return new PublishingConnection.Calls(connection, buffer, () -> {})
        .call(guarded, method, arguments);
  }
}

package dev.lockstep.outbox.internal.write;

import static java.util.Objects.requireNonNull;

import dev.lockstep.outbox.OutboxMessage;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.Savepoint;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * What a connection of {@code Outbox.publishing()} can do beside: found by {@code unwrap}, also
 * behind a pool. A commit stores what was published; a rollback, and a connection that is closed
 * without either, drops it.
 */
public interface PublishingConnection {

  /**
   * Publishes with the open transaction.
   *
   * @param message kept until the commit
   */
  void publish(OutboxMessage message);

  /**
   * Wraps a data source.
   *
   * @param buffers makes the buffer of a connection
   * @param committed called after each commit that published
   */
  static DataSource wrap(
      DataSource dataSource, Supplier<MessageBuffer> buffers, Runnable committed) {
    return (DataSource)
        Proxy.newProxyInstance(
            PublishingConnection.class.getClassLoader(),
            new Class<?>[] {DataSource.class},
            (proxy, method, arguments) -> {
              Object result = Calls.invoke(dataSource, method, arguments);
              return result instanceof Connection connection
                  ? wrap(connection, buffers.get(), committed)
                  : result;
            });
  }

  private static Connection wrap(Connection connection, MessageBuffer buffer, Runnable committed) {
    return (Connection)
        Proxy.newProxyInstance(
            PublishingConnection.class.getClassLoader(),
            new Class<?>[] {Connection.class, PublishingConnection.class},
            (proxy, method, arguments) ->
                new Calls(connection, buffer, committed).call(proxy, method, arguments));
  }

  /** One call of a wrapped connection. */
  record Calls(Connection connection, MessageBuffer buffer, Runnable committed) {

    @Nullable Object call(Object proxy, Method method, @Nullable Object @Nullable [] arguments)
        throws Throwable {
      Object first = arguments == null || arguments.length == 0 ? null : arguments[0];
      switch (method.getName()) {
        case "publish" -> {
          buffer.add(connection, (OutboxMessage) requireNonNull(first));
          return null;
        }
        case "unwrap", "isWrapperFor" -> {
          if (first == PublishingConnection.class) {
            return method.getName().equals("unwrap") ? proxy : (Object) true;
          }
          return invoke(connection, method, arguments);
        }
        case "commit" -> {
          return committing(method, arguments);
        }
        case "setAutoCommit" -> {
          // JDBC: turning it on commits the open transaction
          return !connection.getAutoCommit() && Boolean.TRUE.equals(first)
              ? committing(method, arguments)
              : invoke(connection, method, arguments);
        }
        case "rollback" -> {
          if (first instanceof Savepoint savepoint) {
            buffer.rollbackTo(savepoint);
          } else {
            buffer.clear();
          }
          return invoke(connection, method, arguments);
        }
        case "close", "abort" -> {
          buffer.clear();
          return invoke(connection, method, arguments);
        }
        case "setSavepoint" -> {
          Object savepoint = invoke(connection, method, arguments);
          if (savepoint instanceof Savepoint made) {
            buffer.mark(made);
          }
          return savepoint;
        }
        default -> {
          return invoke(connection, method, arguments);
        }
      }
    }

    private @Nullable Object committing(Method method, @Nullable Object @Nullable [] arguments)
        throws Throwable {
      boolean published = buffer.flush(connection);
      Object result = invoke(connection, method, arguments);
      if (published) {
        committed.run();
      }
      return result;
    }

    static @Nullable Object invoke(
        Object target, Method method, @Nullable Object @Nullable [] arguments) throws Throwable {
      try {
        return method.invoke(target, arguments);
      } catch (InvocationTargetException e) {
        throw e.getCause() == null ? e : e.getCause();
      }
    }
  }
}

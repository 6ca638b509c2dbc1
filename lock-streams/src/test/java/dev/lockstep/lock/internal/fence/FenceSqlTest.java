package dev.lockstep.lock.internal.fence;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.lock.LockException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import org.junit.jupiter.api.Test;

class FenceSqlTest {

  @Test
  void databasesAreKnownByTheirNames() throws Exception {
    assertThat(FenceSql.of(connectionTo("PostgreSQL"))).isEqualTo(FenceSql.POSTGRESQL);
    assertThat(FenceSql.of(connectionTo("MariaDB"))).isEqualTo(FenceSql.MARIADB);
    assertThat(FenceSql.of(connectionTo("H2"))).isEqualTo(FenceSql.H2);
    assertThatThrownBy(() -> FenceSql.of(connectionTo("Oracle")))
        .isInstanceOf(LockException.class)
        .hasMessageContaining("PostgreSQL, MariaDB and H2, not 'Oracle'");
  }

  /** Answers what is asked for its name, and nothing else. */
  private static Connection connectionTo(String product) {
    DatabaseMetaData about = fake(DatabaseMetaData.class, "getDatabaseProductName", product);
    return fake(Connection.class, "getMetaData", about);
  }

  private static <T> T fake(Class<T> type, String method, Object answer) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (proxy, called, arguments) -> {
              assertThat(called.getName()).isEqualTo(method);
              return answer;
            }));
  }
}

package dev.lockstep.lock.internal.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockClientOptions.Nesting;
import dev.lockstep.lock.LockOrderException;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What is remembered of the leases of a thread. */
class NestingCheckTest {

  private final AtomicInteger asked = new AtomicInteger();

  /** A lease that is over, or held, and counts who asks. */
  private Lease lease(String key, Lease.State state) {
    return (Lease)
        Proxy.newProxyInstance(
            Lease.class.getClassLoader(),
            new Class<?>[] {Lease.class},
            (proxy, method, args) -> {
              if (method.getName().equals("state")) {
                asked.incrementAndGet();
                return state;
              }
              return method.getName().equals("tokens") ? Map.of(key, 1L) : null;
            });
  }

  @Test
  void waitInDescendingOrderIsRefused() {
    NestingCheck check = new NestingCheck(Nesting.REFUSED);
    check.got(lease("b", Lease.State.SAFE));

    assertThatThrownBy(() -> check.beforeWait(List.of("a"))).isInstanceOf(LockOrderException.class);
    check.beforeWait(List.of("c"));
  }

  /** A scheduler's thread only tries: it kept every lease it ever had. */
  @Test
  void leasesThatAreOverAreForgottenByAThreadThatNeverWaits() {
    NestingCheck check = new NestingCheck(Nesting.WARNED);
    for (int i = 0; i < 10_000; i++) {
      check.got(lease("job", Lease.State.LOST));
    }
    asked.set(0);

    check.beforeWait(List.of("z"));

    assertThat(asked).hasValueLessThanOrEqualTo(16);
  }
}

package dev.lockstep.lock.internal.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockClientOptions.Nesting;
import dev.lockstep.lock.LockOrderException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** What is remembered of the leases of a thread. */
class NestingCheckTest {

  private final AtomicInteger asked = new AtomicInteger();

  private Lease lease(String key, Lease.State state) {
    return new CountingLease(key, state, asked);
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

  /** A lease in one state for ever that counts who asks for it. */
  private record CountingLease(String key, State state, AtomicInteger asked) implements Lease {

    @Override
    public Map<String, Long> tokens() {
      return Map.of(key, 1L);
    }

    @Override
    public State state() {
      asked.incrementAndGet();
      return state;
    }

    @Override
    public boolean isShared() {
      return false;
    }

    @Override
    public void onChange(Consumer<State> listener) {
      throw new AssertionError("The check only reads leases");
    }

    @Override
    public void onRevokeAsked(Consumer<Revocation> listener) {
      throw new AssertionError("The check only reads leases");
    }

    @Override
    public CompletableFuture<Void> downgrade() {
      throw new AssertionError("The check only reads leases");
    }

    @Override
    public CompletableFuture<Void> upgrade() {
      throw new AssertionError("The check only reads leases");
    }

    @Override
    public CompletableFuture<Boolean> release(Duration keepFree) {
      throw new AssertionError("The check only reads leases");
    }

    @Override
    public CompletableFuture<Boolean> release() {
      throw new AssertionError("The check only reads leases");
    }

    @Override
    public void close() {
      throw new AssertionError("The check only reads leases");
    }
  }
}

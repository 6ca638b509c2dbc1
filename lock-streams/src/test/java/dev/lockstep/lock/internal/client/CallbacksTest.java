package dev.lockstep.lock.internal.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class CallbacksTest {

  private final List<String> seen = new CopyOnWriteArrayList<>();
  private final Callbacks callbacks = new Callbacks(() -> seen.add("drained"));

  @Test
  void knowsWhatWaitsBehindACallbackAndTellsWhenNothingDoes() throws InterruptedException {
    CountDownLatch queued = new CountDownLatch(1);
    callbacks.run(() -> waitFor(queued));
    callbacks.run(() -> seen.add("first followed " + callbacks.isFollowed()));
    callbacks.run(() -> seen.add("second followed " + callbacks.isFollowed()));
    queued.countDown();

    await()
        .untilAsserted(
            () ->
                assertThat(seen)
                    .containsExactly("first followed true", "second followed false", "drained"));
    assertThat(callbacks.isFollowed()).as("on another thread").isFalse();
    callbacks.close();
  }

  @Test
  void tellsAlsoBehindACallbackThatFails() {
    callbacks.run(
        () -> {
          throw new IllegalStateException("a user's");
        });

    await().untilAsserted(() -> assertThat(seen).containsExactly("drained"));
    callbacks.close();
  }

  private static void waitFor(CountDownLatch latch) {
    try {
      assertThat(latch.await(10, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

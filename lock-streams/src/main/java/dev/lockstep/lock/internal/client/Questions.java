package dev.lockstep.lock.internal.client;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** Commands about a grant whose answer somebody may wait for. Thread-safe. */
final class Questions {

  private final Callbacks callbacks;
  private final Map<String, CompletableFuture<@Nullable Object>> open = new ConcurrentHashMap<>();

  Questions(Callbacks callbacks) {
    this.callbacks = callbacks;
  }

  /** Notes a question. Completes with its answer, or null when nobody will answer it. */
  CompletableFuture<@Nullable Object> ask(String owner, long number) {
    CompletableFuture<@Nullable Object> answer = new CompletableFuture<>();
    open.put(id(owner, number), answer);
    return answer;
  }

  void answer(String owner, long number, @Nullable Object answer) {
    complete(id(owner, number), answer);
  }

  /** Nobody will answer any more. */
  void drop() {
    List.copyOf(open.keySet()).forEach(id -> complete(id, null));
  }

  private void complete(String id, @Nullable Object answer) {
    CompletableFuture<@Nullable Object> waiting = open.remove(id);
    if (waiting != null) {
      callbacks.run(() -> waiting.complete(answer));
    }
  }

  private static String id(String owner, long number) {
    return owner + "#" + number;
  }
}

package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A lease over one or more partitions: valid only while every part is. */
final class GrantedLease implements Lease {

  private final ClientCore core;
  private final List<Granted> parts;
  private final Map<String, Long> tokens = new TreeMap<>();
  private final AtomicReference<@Nullable CompletableFuture<Boolean>> released =
      new AtomicReference<>();

  GrantedLease(ClientCore core, List<Granted> parts) {
    this.core = core;
    this.parts = List.copyOf(parts);
    parts.forEach(part -> part.keys().forEach(key -> tokens.put(key, part.token())));
  }

  @Override
  public Map<String, Long> tokens() {
    return Map.copyOf(tokens);
  }

  @Override
  public State state() {
    if (released.get() != null) {
      return State.LOST;
    }
    State worst = State.SAFE;
    for (Granted part : parts) {
      State state = part.state();
      if (state.compareTo(worst) > 0) {
        worst = state;
      }
    }
    return worst;
  }

  @Override
  public void onChange(Consumer<State> listener) {
    parts.forEach(part -> part.onChange(listener));
  }

  @Override
  public CompletableFuture<Boolean> release() {
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    if (!released.compareAndSet(null, done)) {
      CompletableFuture<Boolean> earlier = released.get();
      return earlier == null ? done : earlier;
    }
    List<CompletableFuture<Boolean>> all = parts.stream().map(core::release).toList();
    CompletableFuture.allOf(all.toArray(CompletableFuture[]::new))
        .whenComplete(
            (nothing, error) -> {
              if (error != null) {
                done.completeExceptionally(error);
              } else {
                done.complete(all.stream().allMatch(CompletableFuture::join));
              }
            });
    return done;
  }

  @Override
  public void close() {
    var unused = release();
  }
}

package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A lease over one or more partitions: valid only while every part is. */
final class GrantedLease implements Lease {

  private static final Logger LOG = LoggerFactory.getLogger(GrantedLease.class);

  private final Commands commands;
  private final List<Granted> parts;
  private final Map<String, Long> tokens = new TreeMap<>();
  private final AtomicReference<@Nullable CompletableFuture<Boolean>> released =
      new AtomicReference<>();
  private final List<Consumer<State>> listeners = new ArrayList<>();
  private final Deque<Runnable> calls = new ArrayDeque<>();
  private State told = State.SAFE;
  private boolean calling;

  private GrantedLease(Commands commands, List<Granted> parts) {
    this.commands = commands;
    this.parts = List.copyOf(parts);
    parts.forEach(part -> part.keys().forEach(key -> tokens.put(key, part.token())));
  }

  static GrantedLease of(Commands commands, List<Granted> parts) {
    GrantedLease lease = new GrantedLease(commands, parts);
    parts.forEach(part -> part.observe(lease::refresh));
    return lease;
  }

  @Override
  public Map<String, Long> tokens() {
    return Map.copyOf(tokens);
  }

  @Override
  public State state() {
    return released.get() != null ? State.LOST : worst();
  }

  private State worst() {
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
  public synchronized void onChange(Consumer<State> listener) {
    refresh();
    listeners.add(listener);
    if (told != State.SAFE) {
      call(listener, told);
    }
  }

  /**
   * Tells the listeners what the whole lease is now, if it is something else than they know. Parts
   * change on several threads; read under one monitor, the last word is the true one.
   */
  private synchronized void refresh() {
    if (told == State.LOST || released.get() != null) {
      return;
    }
    State now = worst();
    if (now != told) {
      told = now;
      listeners.forEach(listener -> call(listener, now));
    }
  }

  private void call(Consumer<State> listener, State state) {
    calls.add(
        () -> {
          try {
            listener.accept(state);
          } catch (Throwable e) {
            LOG.error("A listener of the lease on {} failed at {}", tokens.keySet(), state, e);
          }
        });
    if (!calling) {
      calling = true;
      commands.callbacks().run(this::callInOrder);
    }
  }

  private void callInOrder() {
    while (true) {
      Runnable next;
      synchronized (this) {
        next = calls.poll();
        if (next == null) {
          calling = false;
          return;
        }
      }
      next.run();
    }
  }

  @Override
  public CompletableFuture<Boolean> release() {
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    if (!released.compareAndSet(null, done)) {
      CompletableFuture<Boolean> earlier = released.get();
      return earlier == null ? done : earlier;
    }
    List<CompletableFuture<Boolean>> all = parts.stream().map(commands::release).toList();
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

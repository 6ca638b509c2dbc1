package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import dev.lockstep.schema.lock.LockMode;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A lease over one or more partitions: valid only while every part is. */
final class GrantedLease implements Lease {

  private static final Logger LOG = LoggerFactory.getLogger(GrantedLease.class);

  private final Commands commands;
  private final List<Granted> parts;
  private final AtomicReference<@Nullable CompletableFuture<Boolean>> released =
      new AtomicReference<>();
  private final List<Consumer<State>> listeners = new ArrayList<>();
  private final List<Consumer<Revocation>> revocationListeners = new ArrayList<>();
  private final List<Revocation> revocations = new ArrayList<>();
  private final Deque<Runnable> calls = new ArrayDeque<>();
  private State told = State.SAFE;
  private boolean calling;
  private volatile LockMode mode;

  /** Done when every change so far was answered. */
  private CompletableFuture<@Nullable Void> changes = CompletableFuture.completedFuture(null);

  private GrantedLease(Commands commands, List<Granted> parts, LockMode mode) {
    this.commands = commands;
    this.parts = List.copyOf(parts);
    this.mode = mode;
  }

  static GrantedLease of(Commands commands, List<Granted> parts, LockMode mode) {
    GrantedLease lease = new GrantedLease(commands, parts, mode);
    parts.forEach(part -> part.observe(lease));
    return lease;
  }

  @Override
  public Map<String, Long> tokens() {
    Map<String, Long> tokens = new TreeMap<>();
    parts.forEach(part -> part.keys().forEach(key -> tokens.put(key, part.token())));
    return tokens;
  }

  @Override
  public boolean isShared() {
    return mode == LockMode.SHARED;
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
  synchronized void refresh() {
    if (told == State.LOST || released.get() != null) {
      return;
    }
    State now = worst();
    if (now != told) {
      told = now;
      listeners.forEach(listener -> call(listener, now));
    }
  }

  @Override
  public synchronized void onRevokeAsked(Consumer<Revocation> listener) {
    revocationListeners.add(listener);
    revocations.forEach(revocation -> call(listener, revocation));
  }

  synchronized void revokeAsked(Revocation revocation) {
    if (revocations.contains(revocation)) {
      // a repeat, or asked again in the same words
      return;
    }
    revocations.add(revocation);
    revocationListeners.forEach(listener -> call(listener, revocation));
  }

  @Override
  public CompletableFuture<Void> downgrade() {
    return inTurn(this::share);
  }

  @Override
  public CompletableFuture<Void> upgrade() {
    return inTurn(
        () ->
            changeAll(true)
                .handle(
                    (nothing, error) -> {
                      if (error == null) {
                        mode = LockMode.EXCLUSIVE;
                        return CompletableFuture.<Void>completedFuture(null);
                      }
                      Throwable cause =
                          error instanceof CompletionException && error.getCause() != null
                              ? error.getCause()
                              : error;
                      // all or nothing: the parts before the refused one go on shared
                      return share()
                          .<Void>thenCompose(shared -> CompletableFuture.failedFuture(cause));
                    })
                .thenCompose(outcome -> outcome));
  }

  private CompletableFuture<Void> share() {
    return changeAll(false).thenRun(() -> mode = LockMode.SHARED);
  }

  private CompletableFuture<Void> changeAll(boolean exclusive) {
    CompletableFuture<Void> done = CompletableFuture.completedFuture(null);
    for (Granted part : parts) {
      done = done.thenCompose(before -> change(part, exclusive));
    }
    return done;
  }

  /**
   * One change after the other, the release last: each names the token that the one before gave.
   */
  private <T> CompletableFuture<T> inTurn(Supplier<CompletableFuture<T>> change) {
    CompletableFuture<@Nullable Void> over = new CompletableFuture<>();
    CompletableFuture<@Nullable Void> before;
    synchronized (this) {
      before = changes;
      changes = over;
    }
    // not under the monitor: a send may block, and whoever watches deadlines must not wait for it
    CompletableFuture<T> next = before.thenCompose(nothing -> change.get());
    var unused = next.whenComplete((result, error) -> over.complete(null));
    return next;
  }

  private CompletableFuture<Void> change(Granted part, boolean exclusive) {
    return commands.change(part, exclusive).thenAccept(part::renew);
  }

  private <T> void call(Consumer<T> listener, T news) {
    calls.add(
        () -> {
          try {
            listener.accept(news);
          } catch (Throwable e) {
            LOG.error("A listener of the lease on {} failed at {}", tokens().keySet(), news, e);
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
  public CompletableFuture<Boolean> release(Duration keepFree) {
    if (keepFree.isNegative()) {
      throw new IllegalArgumentException("Keys are kept free for 0 or more, not for " + keepFree);
    }
    if (released.get() == null) {
      parts.forEach(part -> part.keepFree(keepFree.toMillis()));
    }
    return release();
  }

  @Override
  public CompletableFuture<Boolean> release() {
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    if (!released.compareAndSet(null, done)) {
      CompletableFuture<Boolean> earlier = released.get();
      return earlier == null ? done : earlier;
    }
    var unused =
        inTurn(this::releaseParts)
            .whenComplete(
                (held, error) -> {
                  if (error != null) {
                    done.completeExceptionally(error);
                  } else {
                    done.complete(held);
                  }
                });
    return done;
  }

  private CompletableFuture<Boolean> releaseParts() {
    List<CompletableFuture<Boolean>> all = parts.stream().map(commands::release).toList();
    return CompletableFuture.allOf(all.toArray(CompletableFuture[]::new))
        .thenApply(nothing -> all.stream().allMatch(CompletableFuture::join));
  }

  @Override
  public void close() {
    var unused = release();
  }
}

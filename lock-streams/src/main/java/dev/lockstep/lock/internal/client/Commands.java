package dev.lockstep.lock.internal.client;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/** What an acquisition and its lease ask of the client. None of it waits for an answer. */
interface Commands {

  /**
   * Sends one Acquire; the service carries it from partition to partition.
   *
   * @param wanted by ascending partition
   */
  List<Part> acquire(List<Wanted> wanted, Terms terms, long waitMillis, PendingAcquire pending);

  /** Ends an Acquire in one partition, granted or not; nothing when its session is over. */
  void cancel(Part part);

  /** Gives a grant back; completes with false when it was lost before. */
  CompletableFuture<Boolean> release(Granted grant);

  /**
   * Makes a grant exclusive or shared; completes with its token then, fails with {@link
   * dev.lockstep.lock.LockDeniedException} when the service refuses.
   */
  CompletableFuture<Long> change(Granted grant, boolean exclusive);

  Future<?> in(Duration delay, Runnable task);

  void ended(Acquisition acquisition);

  Callbacks callbacks();

  @Nullable String fault();
}

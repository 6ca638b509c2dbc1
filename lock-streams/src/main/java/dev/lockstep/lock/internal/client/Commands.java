package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.internal.client.PartitionSession.Ticket;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/** What an acquisition and its lease ask of the client. None of it waits for an answer. */
interface Commands {

  PartitionSession session(int partition);

  void sendAcquire(PartitionSession session, Ticket ticket, List<String> keys, long waitMillis);

  /** Ends an Acquire, granted or not; nothing when its session is over. */
  void sendCancel(PartitionSession session, Ticket asked, List<String> keys);

  /** Gives a grant back; completes with false when it was lost before. */
  CompletableFuture<Boolean> release(Granted grant);

  Future<?> in(Duration delay, Runnable task);

  void ended(Acquisition acquisition);

  Callbacks callbacks();

  @Nullable String fault();
}

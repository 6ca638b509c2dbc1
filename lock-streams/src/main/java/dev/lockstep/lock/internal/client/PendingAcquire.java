package dev.lockstep.lock.internal.client;

import dev.lockstep.schema.lock.AcquireReply;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** One Acquire in one partition that is not answered yet. */
record PendingAcquire(List<String> keys, CompletableFuture<AcquireReply> answer) {}

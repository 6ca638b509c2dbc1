package dev.lockstep.lock.internal.client;

import dev.lockstep.schema.lock.AcquireReply;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * One Acquire in one partition that is not answered yet.
 *
 * @param keys what it asks for
 * @param sentAt when it was sent first, nanoseconds of the client's clock
 * @param answer how it ended
 */
record PendingAcquire(List<String> keys, long sentAt, CompletableFuture<AcquireReply> answer) {}

package dev.lockstep.lock.internal.client;

import java.util.List;

/**
 * Keys of one partition that somebody asks for.
 *
 * @param partition lock partition
 * @param keys sorted, at least one
 */
record Wanted(int partition, List<String> keys) {}

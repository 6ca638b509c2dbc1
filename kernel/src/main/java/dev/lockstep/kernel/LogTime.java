package dev.lockstep.kernel;

/**
 * Time as the log tells it. Both only rise.
 *
 * @param elapsed milliseconds that passed on this partition while its broker was reachable: an
 *     outage or a clock jump counts at most two ticks. For sessions, waits, retries, deadlines.
 * @param wall milliseconds since the epoch. For absolute dates that users give.
 */
public record LogTime(long elapsed, long wall) {}

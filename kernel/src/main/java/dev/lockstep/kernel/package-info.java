/**
 * The machine host: one pure fold per partition of an input topic.
 *
 * <p>A {@link dev.lockstep.kernel.Machine} decides; {@link dev.lockstep.kernel.Host} runs it on
 * Kafka Streams; {@link dev.lockstep.kernel.Replay} runs it over a dumped log as the oracle.
 *
 * <pre>
 *   input partition --> fold --> state   (committed with exactly_once_v2, about every 100 ms)
 *                          \---> effects (announced at once, in order, perhaps again)
 * </pre>
 */
@NullMarked
package dev.lockstep.kernel;

import org.jspecify.annotations.NullMarked;

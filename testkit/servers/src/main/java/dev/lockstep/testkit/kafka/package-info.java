/** Real Kafka brokers in child processes; {@link dev.lockstep.testkit.kafka.KafkaCluster}. */
@NullMarked
package dev.lockstep.testkit.kafka;

import org.jspecify.annotations.NullMarked;

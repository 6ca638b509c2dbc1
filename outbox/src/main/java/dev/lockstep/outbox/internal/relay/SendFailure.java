package dev.lockstep.outbox.internal.relay;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.errors.InvalidPidMappingException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.RecordBatchTooLargeException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.errors.UnsupportedForMessageFormatException;

/** What a failure to send says about who is to blame. */
enum SendFailure {
  /** A record that will never be taken. */
  RECORD,

  /** A topic that is not there, or not for this principal. */
  TOPIC,

  /** Another relay owns the shard, or the coordinator has forgotten this one. */
  FENCED,

  /** Anything else: brokers or network; whether it was written is not known. */
  UNKNOWN;

  private static final List<Class<? extends Exception>> RECORDS =
      List.of(
          RecordTooLargeException.class,
          RecordBatchTooLargeException.class,
          InvalidRecordException.class,
          InvalidTimestampException.class,
          SerializationException.class,
          UnsupportedForMessageFormatException.class);

  private static final List<Class<? extends Exception>> TOPICS =
      List.of(
          TopicAuthorizationException.class,
          UnknownTopicOrPartitionException.class,
          InvalidTopicException.class);

  private static final List<Class<? extends Exception>> FENCES =
      List.of(
          ProducerFencedException.class,
          InvalidProducerEpochException.class,
          InvalidPidMappingException.class);

  static SendFailure of(Throwable thrown) {
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      if (isOneOf(RECORDS, cause)) {
        return RECORD;
      }
      if (isOneOf(TOPICS, cause)) {
        return TOPIC;
      }
      if (isOneOf(FENCES, cause)) {
        return FENCED;
      }
    }
    return UNKNOWN;
  }

  /** Tells whether brokers did not answer in time. */
  static boolean isSilence(Throwable thrown) {
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      if (cause instanceof TimeoutException
          || cause instanceof java.util.concurrent.TimeoutException
          || Arrays.stream(cause.getSuppressed()).anyMatch(SendFailure::isSilence)) {
        return true;
      }
    }
    return false;
  }

  /** Returns the topics that Kafka names as not allowed; empty: it names none. */
  static Set<String> unauthorizedTopics(Throwable thrown) {
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      if (cause instanceof TopicAuthorizationException refusal) {
        return refusal.unauthorizedTopics();
      }
    }
    return Set.of();
  }

  private static boolean isOneOf(List<Class<? extends Exception>> known, Throwable thrown) {
    return known.stream().anyMatch(type -> type.isInstance(thrown));
  }
}

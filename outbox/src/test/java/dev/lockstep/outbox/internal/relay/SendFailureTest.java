package dev.lockstep.outbox.internal.relay;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Set;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.InvalidPidMappingException;
import org.apache.kafka.common.errors.NotEnoughReplicasException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.junit.jupiter.api.Test;

class SendFailureTest {

  @Test
  void findsTheCauseBehindWhatTheProducerWrapsItIn() {
    assertThat(wrapped(new RecordTooLargeException("large"))).isEqualTo(SendFailure.RECORD);
    assertThat(wrapped(new TopicAuthorizationException(Set.of("t")))).isEqualTo(SendFailure.TOPIC);
    assertThat(wrapped(new ProducerFencedException("other"))).isEqualTo(SendFailure.FENCED);
    assertThat(wrapped(new InvalidPidMappingException("old"))).isEqualTo(SendFailure.FENCED);
  }

  @Test
  void whatMayHaveBeenWrittenIsUnknown() {
    assertThat(wrapped(new TimeoutException("late"))).isEqualTo(SendFailure.UNKNOWN);
    assertThat(wrapped(new NotEnoughReplicasException("few"))).isEqualTo(SendFailure.UNKNOWN);
  }

  @Test
  void tellsSilenceAlsoBehindWhatItLedTo() {
    KafkaException later = new KafkaException("no acknowledgment");
    assertThat(SendFailure.isSilence(later)).isFalse();
    later.addSuppressed(new TimeoutException("expired"));
    assertThat(SendFailure.isSilence(new KafkaException(later))).isTrue();
  }

  @Test
  void findsTheTopicsThatKafkaNames() {
    assertThat(
            SendFailure.unauthorizedTopics(
                new KafkaException(new TopicAuthorizationException(Set.of("t")))))
        .containsExactly("t");
    assertThat(SendFailure.unauthorizedTopics(new TimeoutException("late"))).isEmpty();
  }

  private static SendFailure wrapped(RuntimeException cause) {
    return SendFailure.of(
        new KafkaException("Cannot execute transactional method", new KafkaException(cause)));
  }
}

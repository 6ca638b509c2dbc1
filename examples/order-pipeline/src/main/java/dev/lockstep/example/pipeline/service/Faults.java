package dev.lockstep.example.pipeline.service;

import dev.lockstep.saga.StepContext;
import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;
import org.apache.avro.SchemaNormalization;

/**
 * Failures on purpose, chosen by seed, order and step alone: one seed, one result.
 *
 * @param seed of the run
 * @param rate share of payments and shipments that fail, 0 to 1: half of them for a business
 *     reason, half for a technical one
 */
public record Faults(long seed, double rate) {

  private static final int NEVER_ENDING = 20;

  /** Thrown where a service would see a broken connection. */
  static final class TechnicalFailureException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    TechnicalFailureException(String message) {
      super(message);
    }
  }

  /** Tells whether the business says no to this step of this order. */
  boolean isRefused(StepContext context) {
    return draw(context, "business") < rate / 2;
  }

  /**
   * Fails technically, on the first one or two attempts; one in twenty of these never recovers.
   *
   * @throws TechnicalFailureException when this attempt fails
   */
  void maybeFail(StepContext context) {
    if (draw(context, "technical") >= rate / 2) {
      return;
    }
    boolean forGood = draw(context, "for good") * NEVER_ENDING < 1;
    int failing = forGood ? Integer.MAX_VALUE : 1 + (draw(context, "twice") < 0.5 ? 1 : 0);
    if (context.attempt() <= failing) {
      throw new TechnicalFailureException(
          "Injected technical failure of '%s', attempt %d"
              .formatted(context.step(), context.attempt()));
    }
  }

  private double draw(StepContext context, String what) {
    String text = seed + " " + context.sagaId() + " " + context.step() + " " + what;
    long hash = SchemaNormalization.fingerprint64(text.getBytes(StandardCharsets.UTF_8));
    // CRC-64 of near texts is near: spread it before use
    return new SplittableRandom(hash).nextDouble();
  }
}

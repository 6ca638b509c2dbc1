package dev.lockstep.saga.internal.engine;

/** Why a saga cannot go on by itself; the partition goes on. */
final class ParkException extends Exception {

  private static final long serialVersionUID = 1L;

  ParkException(String message) {
    super(message);
  }
}

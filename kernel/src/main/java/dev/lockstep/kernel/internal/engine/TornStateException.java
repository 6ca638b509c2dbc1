package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.KernelException;

/** State whose rows do not give the digest that was committed with them. */
public final class TornStateException extends KernelException {

  private static final long serialVersionUID = 1L;

  TornStateException(String message) {
    super(message);
  }
}

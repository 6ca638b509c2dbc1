package dev.lockstep.kernel;

import java.util.List;

/**
 * A start that would break a promise: wrong topic or broker settings, or a release that lacks
 * something.
 */
public final class StartRefusedException extends KernelException {

  private static final long serialVersionUID = 1L;

  private final List<String> faults;

  /**
   * Creates an exception.
   *
   * @param who what was to be started
   * @param faults all faults, each with its remedy
   */
  public StartRefusedException(String who, List<String> faults) {
    super("%s cannot start: %s".formatted(who, String.join("; ", faults)));
    this.faults = List.copyOf(faults);
  }

  /**
   * Returns the faults.
   *
   * @return each with its remedy
   */
  public List<String> faults() {
    return faults;
  }
}

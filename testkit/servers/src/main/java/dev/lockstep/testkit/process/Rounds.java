package dev.lockstep.testkit.process;

/**
 * How often a fault test goes round: a few times in {@code mvn verify}, many times in {@code mvn
 * verify -Psoak}.
 */
public final class Rounds {

  private Rounds() {}

  /**
   * Chooses a number of rounds.
   *
   * @param verify rounds in a normal build
   * @param soak rounds when the system property {@code lockstep.soak} is true
   * @return one of both
   */
  public static int of(int verify, int soak) {
    return isSoak() ? soak : verify;
  }

  /**
   * Tells whether this is a soak.
   *
   * @return true when the system property {@code lockstep.soak} is
   */
  public static boolean isSoak() {
    return Boolean.getBoolean("lockstep.soak");
  }
}

package dev.lockstep.saga;

import java.util.regex.Pattern;

/**
 * Names a participant in a definition; commands go to the topic {@code <name>.commands}.
 *
 * @param name lower case letters, digits and dashes
 */
public record ParticipantRef(String name) {

  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9-]{0,60}");

  /** Checks the name. */
  public ParticipantRef {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "Participant '%s' does not match %s".formatted(name, NAME.pattern()));
    }
  }

  /**
   * Names a participant.
   *
   * @param name lower case letters, digits and dashes
   * @return reference
   */
  public static ParticipantRef of(String name) {
    return new ParticipantRef(name);
  }
}

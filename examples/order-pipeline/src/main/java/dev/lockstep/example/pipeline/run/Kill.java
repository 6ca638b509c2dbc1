package dev.lockstep.example.pipeline.run;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A process to kill with SIGKILL, and when.
 *
 * @param what {@code broker} or the label of a {@link Role}
 * @param at since the first invoice was handed in
 */
public record Kill(String what, Duration at) {

  /** Names that can be killed. */
  public static List<String> names() {
    List<String> names = new ArrayList<>(List.of("broker"));
    for (Role role : Role.values()) {
      names.add(role.label());
    }
    return names;
  }

  /**
   * Reads {@code WHAT@SECONDS}.
   *
   * @throws IllegalArgumentException saying what is wrong
   */
  public static Kill parse(String text) {
    int at = text.indexOf('@');
    String what = at < 0 ? text : text.substring(0, at).toLowerCase(Locale.ROOT);
    if (at < 0 || !names().contains(what)) {
      throw new IllegalArgumentException(
          "Kill '%s' is not WHAT@SECONDS with WHAT one of %s".formatted(text, names()));
    }
    try {
      double seconds = Double.parseDouble(text.substring(at + 1));
      if (seconds < 0 || seconds > 3600) {
        throw new IllegalArgumentException("Kill '%s': seconds must be 0 to 3600".formatted(text));
      }
      return new Kill(what, Duration.ofMillis(Math.round(seconds * 1000)));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "Kill '%s': '%s' is no number of seconds".formatted(text, text.substring(at + 1)), e);
    }
  }
}

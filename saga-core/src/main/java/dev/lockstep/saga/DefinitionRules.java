package dev.lockstep.saga;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/** What Java's types cannot forbid in a definition. */
final class DefinitionRules {

  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9-]{0,60}");

  private DefinitionRules() {}

  static <S> List<String> faults(String name, int version, List<Step<S>> steps) {
    List<String> faults = new ArrayList<>();
    if (!NAME.matcher(name).matches()) {
      faults.add("name '%s' does not match %s".formatted(name, NAME.pattern()));
    }
    if (version < 1) {
      faults.add("version must be at least 1, is " + version);
    }
    if (steps.isEmpty()) {
      faults.add("it has no step");
    }
    Set<String> names = new HashSet<>();
    boolean pivotPassed = false;
    for (Step<S> step : steps) {
      if (!NAME.matcher(step.name()).matches()) {
        faults.add("step '%s' does not match %s".formatted(step.name(), NAME.pattern()));
      }
      if (!names.add(step.name())) {
        faults.add("step '%s' is named twice".formatted(step.name()));
      }
      if (pivotPassed && step.kind() != Step.Kind.RETRIABLE) {
        faults.add(
            "step '%s' is %s but stands behind the pivot, where only retriable steps may"
                .formatted(step.name(), step.kind()));
      }
      if (step.within().toMillis() < 1) {
        faults.add("step '%s' must have a time of at least 1 ms".formatted(step.name()));
      }
      pivotPassed |= step.kind() != Step.Kind.COMPENSATABLE;
    }
    return faults;
  }
}

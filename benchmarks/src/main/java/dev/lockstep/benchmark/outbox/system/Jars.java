package dev.lockstep.benchmark.outbox.system;

import java.net.URI;
import java.nio.file.Path;

/** Tells versions of libraries whose manifest does not. */
final class Jars {

  private Jars() {}

  /** Name of the jar of a class, without {@code .jar}. */
  static String nameOf(Class<?> type) {
    String location = type.getProtectionDomain().getCodeSource().getLocation().toString();
    return String.valueOf(Path.of(URI.create(location)).getFileName()).replace(".jar", "");
  }
}

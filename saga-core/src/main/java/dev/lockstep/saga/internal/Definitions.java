package dev.lockstep.saga.internal;

import dev.lockstep.saga.Saga;
import dev.lockstep.saga.SagaException;
import dev.lockstep.schema.SchemaCatalog;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The definitions that a program has. Immutable. */
public final class Definitions {

  private static final String LIMIT = "saga.definition.";

  private final Map<String, Saga<?>> byName = new LinkedHashMap<>();
  private final Payloads payloads;

  public Definitions(Collection<Saga<?>> sagas) {
    SchemaCatalog types = SchemaCatalog.of();
    for (Saga<?> saga : sagas) {
      if (byName.put(limit(saga.name(), saga.version()), saga) != null) {
        throw new SagaException(saga + " is given twice; every change is a new version");
      }
      types = types.and(saga.catalog());
    }
    this.payloads = new Payloads(types);
  }

  public @Nullable Saga<?> find(String name, int version) {
    return byName.get(limit(name, version));
  }

  /**
   * Compares with what the log's Layout allows.
   *
   * @return limits of definitions that are not allowed yet: a release knows them first, and is
   *     allowed them when every instance does
   * @throws SagaException when a definition differs from the allowed one of its name and version
   */
  public List<String> requireUnchanged(SagaLog log) {
    List<String> faults = new ArrayList<>();
    List<String> missing = new ArrayList<>();
    fingerprints()
        .forEach(
            (limit, fingerprint) -> {
              Long allowed = log.limits().get(limit);
              if (allowed == null) {
                missing.add(limit);
              } else if (!allowed.equals(fingerprint)) {
                faults.add(
                    "%s has fingerprint %016x here and %016x in the Layout: every change is a new version"
                        .formatted(limit, fingerprint, allowed));
              }
            });
    if (!faults.isEmpty()) {
      throw new SagaException(
          "Sagas cannot start on '%s': %s".formatted(log.topic(), String.join("; ", faults)));
    }
    return missing;
  }

  public Payloads payloads() {
    return payloads;
  }

  /** Returns the Layout's limit that names a definition; its value is the fingerprint. */
  public static String limit(String name, int version) {
    return LIMIT + name + "." + version;
  }

  /** Returns the fingerprints by their limit, for the Layout. */
  public Map<String, Long> fingerprints() {
    Map<String, Long> all = new TreeMap<>();
    byName.forEach((limit, saga) -> all.put(limit, saga.fingerprint()));
    return all;
  }
}

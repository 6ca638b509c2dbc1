package dev.lockstep.saga.internal;

import dev.lockstep.saga.Saga;
import dev.lockstep.saga.SagaException;
import dev.lockstep.schema.SchemaCatalog;
import java.util.Collection;
import java.util.LinkedHashMap;
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

package dev.lockstep.schema;

import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The types that a program can write and read. Immutable.
 *
 * <p>No class is ever loaded by a name from the wire: bytes name a fingerprint, and only types
 * registered here are found by it.
 */
public final class SchemaCatalog {

  private final Map<Class<?>, RecordType> byClass = new HashMap<>();
  private final Map<Long, RecordType> byFingerprint = new HashMap<>();

  private SchemaCatalog(Collection<RecordType> types) {
    for (RecordType type : types) {
      RecordType other = byFingerprint.putIfAbsent(type.fingerprint(), type);
      if (other != null && !other.type().equals(type.type())) {
        throw new SchemaException(
            "Types %s and %s have the same schema %016x; give their records different names"
                .formatted(other.type().getName(), type.type().getName(), type.fingerprint()));
      }
      byClass.putIfAbsent(type.type(), type);
    }
  }

  /**
   * Makes a catalog.
   *
   * @param types classes as {@link RecordType#of} takes them
   * @return catalog of these types
   */
  public static SchemaCatalog of(Class<?>... types) {
    return new SchemaCatalog(Arrays.stream(types).map(RecordType::of).toList());
  }

  /**
   * Makes a catalog with more types.
   *
   * @param types further classes
   * @return catalog of these and the types of this one
   */
  public SchemaCatalog and(Class<?>... types) {
    Map<Class<?>, RecordType> all = new HashMap<>(byClass);
    for (Class<?> type : types) {
      all.computeIfAbsent(type, RecordType::of);
    }
    return new SchemaCatalog(all.values());
  }

  /**
   * Returns all types.
   *
   * @return types in ascending order of their fingerprints
   */
  public List<RecordType> types() {
    return fingerprints().stream().map(byFingerprint::get).toList();
  }

  /**
   * Makes a catalog with the types of another one.
   *
   * @param other further types
   * @return catalog of the types of both
   */
  public SchemaCatalog and(SchemaCatalog other) {
    Map<Class<?>, RecordType> all = new HashMap<>(byClass);
    all.putAll(other.byClass);
    return new SchemaCatalog(all.values());
  }

  /**
   * Returns the fingerprints of all types.
   *
   * @return fingerprints in ascending order
   */
  public List<Long> fingerprints() {
    return byFingerprint.keySet().stream().sorted().toList();
  }

  @Nullable RecordType find(long fingerprint) {
    return byFingerprint.get(fingerprint);
  }

  RecordType get(Class<?> type) {
    RecordType found = byClass.get(type);
    if (found == null) {
      throw new IllegalArgumentException(
          "Type %s is not in the catalog; add it with SchemaCatalog.and(%s.class)"
              .formatted(type.getName(), type.getSimpleName()));
    }
    return found;
  }
}

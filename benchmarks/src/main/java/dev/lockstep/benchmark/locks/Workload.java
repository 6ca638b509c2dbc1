package dev.lockstep.benchmark.locks;

/**
 * A closed loop: each client acquires a random key, releases it, and begins again.
 *
 * @param clients how many act at the same time
 * @param keys how many there are
 */
public record Workload(int clients, int keys) {

  /**
   * Names it.
   *
   * @return as in reports
   */
  public String name() {
    return "%d client%s, %d key%s"
        .formatted(clients, clients == 1 ? "" : "s", keys, keys == 1 ? "" : "s");
  }
}

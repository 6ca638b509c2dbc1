package dev.lockstep.lock.internal.engine;

import static java.util.Objects.requireNonNull;

import dev.lockstep.lock.internal.engine.Waiting.Holder;
import dev.lockstep.lock.internal.engine.Waiting.Task;
import dev.lockstep.lock.internal.engine.Waiting.Waiter;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Who waits for whom, over all partitions. Pure.
 *
 * <p>A request is stuck when it cannot be granted even if everybody who is not stuck gave back what
 * he holds: the reduction of resource graphs of Holt (1972), with a queue per key in which nobody
 * is passed by. A holder whose task is not known counts as one who gives back.
 *
 * <p>Partitions are read one after the other, so one look may show a circle that never was. Waits
 * and grants never begin again once they are over: what two looks in a row show was there all the
 * time between them, hence {@link #confirmed}.
 */
public final class WaitGraph {

  /** Somebody is in the way of a request: a holder under a token, or (token 0) one before it. */
  private record Edge(RequestId from, String key, RequestId to, long token) {}

  /**
   * A circle of waiting.
   *
   * @param victim the request to end: of lowest priority, then the latest
   * @param key a key that it waits for: tells its partition
   * @param text who waits for whom
   */
  public record Circle(RequestId victim, String key, String text) {

    /** Returns the session of the request to end. */
    public String owner() {
      return victim.owner();
    }

    /** Returns the number of the request to end. */
    public long number() {
      return victim.number();
    }
  }

  private record Node(Waiter waiter, Waiting key) {}

  /** Each request with every key that it waits for; a set may wait for several. */
  private final Map<RequestId, List<Node>> waiting = new LinkedHashMap<>();

  private final Map<RequestId, Holder> holders = new HashMap<>();
  private final Map<Task, Set<RequestId>> waitsOf = new HashMap<>();
  private final Set<RequestId> stuck;
  private final Map<RequestId, Set<Edge>> edges = new LinkedHashMap<>();

  /** Reads what all partitions showed. */
  public WaitGraph(List<Waiting> keys) {
    for (Waiting key : keys) {
      key.holders().forEach(holder -> holders.put(holder.id(), holder));
      for (Waiter waiter : key.queue()) {
        waiting.computeIfAbsent(waiter.id(), id -> new ArrayList<>()).add(new Node(waiter, key));
        if (waiter.task().isKnown()) {
          waitsOf.computeIfAbsent(waiter.task(), task -> new LinkedHashSet<>()).add(waiter.id());
        }
      }
    }
    this.stuck = new LinkedHashSet<>(waiting.keySet());
    while (reduce(keys)) {
      // somebody came free, which may free others
    }
    for (Waiting key : keys) {
      note(key);
    }
  }

  /** Takes those out who could be granted. Returns false when there are no more. */
  private boolean reduce(List<Waiting> keys) {
    int before = stuck.size();
    Set<RequestId> blocked = new HashSet<>();
    for (Waiting key : keys) {
      long free = key.capacity() - heldForGood(key);
      boolean open = true;
      for (Waiter waiter : key.queue()) {
        open = open && waiter.permits() <= free;
        if (!open) {
          blocked.add(waiter.id());
        } else if (isOnlyHere(waiter)) {
          stuck.remove(waiter.id());
        }
        // nobody passes by one who is stuck elsewhere
        open = open && !stuck.contains(waiter.id());
      }
    }
    stuck.removeIf(id -> !blocked.contains(id));
    return stuck.size() < before;
  }

  private boolean isOnlyHere(Waiter waiter) {
    return requireNonNull(waiting.get(waiter.id())).size() == 1;
  }

  private long heldForGood(Waiting key) {
    long held = 0;
    for (Holder holder : key.holders()) {
      held += isStuck(holder) ? holder.permits() : 0;
    }
    return held;
  }

  /** A task is stuck when anything that it waits for is. */
  private boolean isStuck(Holder holder) {
    return stuck.contains(holder.id())
        || waitsOf.getOrDefault(holder.task(), Set.of()).stream().anyMatch(stuck::contains);
  }

  /** Notes who is in whose way; the first one in the queue stands for those before. */
  private void note(Waiting key) {
    long free = key.capacity() - heldForGood(key);
    Waiter before = null;
    for (Waiter waiter : key.queue()) {
      if (stuck.contains(waiter.id())) {
        Set<Edge> own = edges.computeIfAbsent(waiter.id(), id -> new LinkedHashSet<>());
        for (Holder holder : key.holders()) {
          if (waiter.permits() > free && isStuck(holder)) {
            own.add(new Edge(waiter.id(), key.key(), holder.id(), holder.token()));
          }
        }
        if (before != null && waiter.permits() <= free) {
          own.add(new Edge(waiter.id(), key.key(), before.id(), 0));
        }
        before = waiter;
      }
    }
  }

  /** Returns the circles that this look and an earlier one show alike. */
  public List<Circle> confirmed(WaitGraph earlier) {
    List<Circle> circles = new ArrayList<>();
    Set<RequestId> walked = new HashSet<>();
    for (RequestId id : edges.keySet()) {
      Circle circle = circle(id, walked);
      // whoever only waits for the circle may come and go
      if (circle != null
          && reachedFrom(circle.victim()).stream().allMatch(e -> isAlike(e, earlier))) {
        circles.add(circle);
      }
    }
    return circles;
  }

  private boolean isAlike(RequestId id, WaitGraph earlier) {
    return edges.getOrDefault(id, Set.of()).equals(earlier.edges.getOrDefault(id, Set.of()));
  }

  private Set<RequestId> reachedFrom(RequestId first) {
    Set<RequestId> reached = new LinkedHashSet<>();
    Deque<RequestId> open = new ArrayDeque<>(List.of(first));
    while (!open.isEmpty()) {
      RequestId id = open.poll();
      if (reached.add(id)) {
        for (Edge edge : edges.getOrDefault(id, Set.of())) {
          open.addAll(next(edge));
        }
      }
    }
    return reached;
  }

  /** Returns the stuck requests of whoever is in the way. */
  private List<RequestId> next(Edge edge) {
    Holder holder = holders.get(edge.to());
    if (holder == null || stuck.contains(edge.to())) {
      return List.of(edge.to());
    }
    return waitsOf.getOrDefault(holder.task(), Set.of()).stream().filter(stuck::contains).toList();
  }

  /** Walks until it comes to where it was; null when an earlier walk was there. */
  private @Nullable Circle circle(RequestId first, Set<RequestId> walked) {
    Map<RequestId, Edge> way = new LinkedHashMap<>();
    RequestId at = first;
    while (!way.containsKey(at)) {
      if (!walked.add(at)) {
        return null;
      }
      Edge edge = firstEdge(at);
      way.put(at, edge);
      at = next(edge).get(0);
    }
    List<Edge> round = new ArrayList<>();
    boolean within = false;
    for (Map.Entry<RequestId, Edge> step : way.entrySet()) {
      within = within || step.getKey().equals(at);
      if (within) {
        round.add(step.getValue());
      }
    }
    Waiter victim =
        round.stream()
            .map(edge -> waiter(edge.from()))
            .min(
                Comparator.comparingInt(Waiter::priority)
                    .thenComparing(Waiter::order, Comparator.reverseOrder())
                    .thenComparing(waiter -> waiter.id().owner()))
            .orElseThrow();
    String key = node(victim.id()).key().key();
    String text = round.stream().map(edge -> told(edge)).collect(Collectors.joining("; "));
    return new Circle(victim.id(), key, text.substring(0, Math.min(text.length(), 2_000)));
  }

  private Edge firstEdge(RequestId id) {
    return requireNonNull(edges.get(id)).iterator().next();
  }

  private Waiter waiter(RequestId id) {
    return node(id).waiter();
  }

  private Node node(RequestId id) {
    return requireNonNull(waiting.get(id)).get(0);
  }

  private String told(Edge edge) {
    Waiter waiter = waiter(edge.from());
    @Nullable Holder holder = holders.get(edge.to());
    String other =
        edge.token() == 0 || holder == null
            ? "which '%s' waits for before".formatted(waiter(edge.to()).named())
            : "which '%s' holds under token %d".formatted(holder.named(), edge.token());
    return "'%s' (%s) waits for '%s', %s"
        .formatted(waiter.named(), waiter.task().name(), edge.key(), other);
  }
}

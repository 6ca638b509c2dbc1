package dev.lockstep.testkit.process;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A network of its own for child processes, joined to this machine by one virtual cable that can be
 * cut: packets then vanish, in one direction or both, and nobody is told. Not thread-safe.
 *
 * <p>Needs Linux, the {@code ip} command and the rights of root. All namespaces of a process see
 * this machine under one address ({@link #hostAddress()}), of the range that RFC 2544 keeps for
 * tests; nothing is forwarded from there.
 */
public final class NetworkNamespace implements AutoCloseable {

  /** Which packets vanish. */
  public enum Cut {
    /** Those to the namespace: whoever is in it is not told anything. */
    HEARS_NOTHING,
    /** Those from the namespace. */
    IS_NOT_HEARD,
    /** All. */
    BOTH
  }

  /** Nobody has it, so frames to it are dropped by whoever gets them. */
  private static final String NOWHERE = "02:00:00:00:00:01";

  private static final int NET = (int) (ProcessHandle.current().pid() & 0xff);

  private final String name;
  private final String outer;
  private final String inner;
  private final String address;

  private NetworkNamespace(int number) {
    String id = ProcessHandle.current().pid() + "-" + number;
    this.name = "lockstep-" + id;
    this.outer = "lo" + id;
    this.inner = "li" + id;
    this.address = "198.18.%d.%d".formatted(NET, number + 1);
  }

  /**
   * Makes a namespace.
   *
   * @param number 1 to 200, another one for each
   * @return namespace, or empty when this process may not make one, or there is no {@code ip}
   */
  public static Optional<NetworkNamespace> create(int number) {
    NetworkNamespace made = new NetworkNamespace(number);
    try {
      if (!Commands.succeeds("ip", "netns", "add", made.name)) {
        return Optional.empty();
      }
      made.run("ip", "link", "add", made.outer, "type", "veth", "peer", "name", made.inner);
      made.run("ip", "link", "set", made.inner, "netns", made.name);
      made.run("ip", "addr", "add", hostAddress() + "/32", "peer", made.address, "dev", made.outer);
      made.run("ip", "link", "set", made.outer, "up");
      made.inside("ip", "link", "set", "lo", "up");
      made.inside(
          "ip", "addr", "add", made.address + "/32", "peer", hostAddress(), "dev", made.inner);
      made.inside("ip", "link", "set", made.inner, "up");
      return Optional.of(made);
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  /**
   * Returns this machine's address as the namespaces see it; exists as long as one of them does.
   *
   * @return IPv4 address
   */
  public static String hostAddress() {
    return "198.18.%d.1".formatted(NET);
  }

  /**
   * Returns what a command begins with that is to run inside.
   *
   * @return program and arguments; the process keeps its id
   */
  public List<String> prefix() {
    return List.of("ip", "netns", "exec", name);
  }

  /**
   * Makes packets vanish until {@link #heal}.
   *
   * @param cut which ones
   */
  public void cut(Cut cut) {
    if (cut != Cut.IS_NOT_HEARD) {
      run("ip", "neigh", "replace", address, "lladdr", NOWHERE, "dev", outer, "nud", "permanent");
    }
    if (cut != Cut.HEARS_NOTHING) {
      inside(
          "ip",
          "neigh",
          "replace",
          hostAddress(),
          "lladdr",
          NOWHERE,
          "dev",
          inner,
          "nud",
          "permanent");
    }
  }

  /** Lets all packets through again; nothing when they do. */
  public void heal() {
    Commands.succeeds("ip", "neigh", "del", address, "dev", outer);
    List<String> command = new ArrayList<>(prefix());
    command.addAll(List.of("ip", "neigh", "del", hostAddress(), "dev", inner));
    Commands.succeeds(command.toArray(String[]::new));
  }

  @Override
  public void close() {
    // the cable goes with its end inside, once no process is left there
    Commands.succeeds("ip", "link", "del", outer);
    Commands.succeeds("ip", "netns", "del", name);
  }

  private void inside(String... command) {
    List<String> all = new ArrayList<>(prefix());
    all.addAll(List.of(command));
    run(all.toArray(String[]::new));
  }

  private void run(String... command) {
    if (!Commands.succeeds(command)) {
      throw new IllegalStateException(
          "Network namespace %s: '%s' failed; is anything in its way?"
              .formatted(name, String.join(" ", command)));
    }
  }
}

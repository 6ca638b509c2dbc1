package dev.lockstep.kernel;

import dev.lockstep.kernel.internal.follow.Followers;
import dev.lockstep.kernel.internal.follow.LogFollower;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.kernel.CarriedMark;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * A silent copy of a machine inside any process: reads the committed state of the host, then folds
 * the input partitions itself. It shows the state as of the last record in the log, one hop behind
 * whoever wrote it, and never writes anything.
 *
 * <p>All state of the followed partitions is kept in memory. It needs the right to read the input
 * topic, the control topic and the host's changelog ({@code lockstep-<name>-state-changelog}).
 *
 * <p>Guarantee: the state between two records is exactly the host's; what does not fit the log or
 * its own digest is seeded again, never shown. Nothing is kept: a restarted one is seeded anew.
 *
 * <p>Threads: all methods by any thread. The listener is called by the folding thread and must not
 * block it.
 */
public final class Follower implements PartitionStates, AutoCloseable {

  /** What a followed partition is doing. */
  public enum State {
    /** Reading committed state. */
    SEEDING,
    /** Folding every record as it comes. */
    FOLLOWING,
    /** Ended: see the reason. */
    STOPPED
  }

  /**
   * Where a partition stands.
   *
   * @param state what it is doing
   * @param nextOffset offset of the record that comes next; 0 while it is seeded
   * @param reason why it is not following; empty when it is, or has only begun
   */
  public record Progress(State state, long nextOffset, String reason) {}

  /** Told of the effects of each record, as the host announces them. */
  @FunctionalInterface
  public interface Listener {

    /**
     * Takes one effect. Effects of one partition come in the order of its log, and again from an
     * earlier point when the partition is seeded again.
     *
     * @param partition input partition that it comes from
     * @param effect the effect
     */
    void announced(int partition, Announcement effect);
  }

  private final LogFollower follower;

  private Follower(LogFollower follower) {
    this.follower = follower;
  }

  /**
   * Starts a follower; it follows nothing until it is told to.
   *
   * @param machine what the host runs
   * @param config how to reach Kafka
   * @param listener told of effects
   * @return a running follower
   * @throws StartRefusedException when the topic has no Layout, or asks for a logic version that
   *     this program lacks
   */
  public static Follower start(MachineSpec machine, LockstepConfig config, Listener listener) {
    return new Follower(Followers.silent(machine, config, listener));
  }

  /**
   * Follows a partition from now on; returns at once.
   *
   * @param partition input partition, below the Layout's count
   */
  public void follow(int partition) {
    follower.follow(partition);
  }

  /** Follows all partitions of the Layout; returns at once. */
  public void followAll() {
    follower.followAll();
  }

  /**
   * Returns where each followed partition stands.
   *
   * @return progress by partition
   */
  public Map<Integer, Progress> progress() {
    return follower.progress();
  }

  /**
   * Waits until everything is folded that stands in the log of the followed partitions now. What is
   * read afterwards contains every change that was acknowledged before the call.
   *
   * @param atMost longest wait
   * @return false when it took longer
   * @throws InterruptedException when the thread was interrupted
   */
  public boolean awaitCurrent(Duration atMost) throws InterruptedException {
    return follower.awaitCurrent(atMost);
  }

  /**
   * {@inheritDoc} Folding waits meanwhile.
   *
   * @throws KernelException when the partition is not followed, is being seeded or has stopped; the
   *     message says why
   */
  @Override
  public <T> T read(int partition, Function<Store, T> reader) {
    return follower.read(partition, reader);
  }

  /**
   * Returns log time at the last record of a partition that was folded.
   *
   * @param partition a followed partition
   * @return elapsed and wall time
   * @throws KernelException when the partition is not followed, is being seeded or has stopped
   */
  @Override
  public LogTime now(int partition) {
    return follower.now(partition);
  }

  /**
   * Returns what a partition has taken from each machine that announces to it.
   *
   * @param partition a followed partition
   * @return one mark per source partition
   * @throws KernelException when the partition is not followed, is being seeded or has stopped
   */
  public List<CarriedMark> marks(int partition) {
    return follower.marks(partition);
  }

  /** Ends it. */
  @Override
  public void close() {
    follower.close();
  }
}

package dev.lockstep.outbox;

import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * How a relay runs. Immutable.
 *
 * @param config how to reach Kafka
 * @param name name of the outbox: part of topic, group and transactional ids. Lower case letters,
 *     digits, dashes
 * @param shards of each lane, 1 to 64; what the ledger was configured with
 * @param pageRows most rows that are read at a time, 1 to 100,000; a page also ends at 8 MiB. Up to
 *     eight pages of a backlog are one Kafka transaction or express flush; both shrink while that
 *     takes longer than a quarter of {@code transactionTimeout}
 * @param longestPoll longest pause between polls of an idle outbox, at least 2 ms
 * @param transactionTimeout after which Kafka ends the transaction of a dead relay, 5 s to 15 min
 * @param wal where the database's log is followed; empty: the ledger is read
 * @param listening whether it listens for commits of {@link Outbox#notifyRelays}, over a connection
 *     that it holds; PostgreSQL only
 */
public record RelayOptions(
    LockstepConfig config,
    String name,
    int shards,
    int pageRows,
    Duration longestPoll,
    Duration transactionTimeout,
    Optional<WalSource> wal,
    boolean listening) {

  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9-]{0,60}");

  /** Checks all parts and reports every fault at once. */
  public RelayOptions {
    List<String> faults = new ArrayList<>();
    if (!NAME.matcher(name).matches()) {
      faults.add("name '%s' does not match %s".formatted(name, NAME.pattern()));
    }
    if (shards < 1 || shards > 64) {
      faults.add("shards must be 1 to 64, is " + shards);
    }
    if (pageRows < 1 || pageRows > 100_000) {
      faults.add("pageRows must be 1 to 100000, is " + pageRows);
    }
    if (longestPoll.toMillis() < 2) {
      faults.add("longestPoll must be at least 2 ms, is " + longestPoll);
    }
    if (transactionTimeout.toMillis() < 5_000 || transactionTimeout.toMillis() > 900_000) {
      faults.add(
          "transactionTimeout must be 5 s to 15 min, the brokers' default limit, is "
              + transactionTimeout);
    }
    if (!faults.isEmpty()) {
      throw new IllegalArgumentException("Relay options are refused: " + String.join("; ", faults));
    }
  }

  /**
   * Makes options with two shards of each lane, pages of 2,500 rows and polls at most 250 ms apart.
   *
   * @param config how to reach Kafka
   * @param name name of the outbox
   * @return options
   */
  public static RelayOptions of(LockstepConfig config, String name) {
    return new RelayOptions(
        config,
        name,
        2,
        // larger ones outlive a young generation of a small heap (decision 0021)
        2_500,
        Duration.ofMillis(250),
        Duration.ofSeconds(30),
        Optional.empty(),
        false);
  }

  /**
   * Returns options for a ledger that was configured with another number of shards.
   *
   * @param number of each lane
   * @return changed copy
   */
  public RelayOptions withShards(int number) {
    return new RelayOptions(
        config, name, number, pageRows, longestPoll, transactionTimeout, wal, listening);
  }

  /**
   * Returns options with other pages.
   *
   * @param rows most rows that are read at a time. Up to eight such pages of a backlog, 16 MiB and
   *     one page at most, are one Kafka transaction (decision 0021)
   * @return changed copy
   */
  public RelayOptions withPageRows(int rows) {
    return new RelayOptions(
        config, name, shards, rows, longestPoll, transactionTimeout, wal, listening);
  }

  /**
   * Returns options with another pace of an idle outbox.
   *
   * @param longest pause between polls
   * @return changed copy
   */
  public RelayOptions withLongestPoll(Duration longest) {
    return new RelayOptions(
        config, name, shards, pageRows, longest, transactionTimeout, wal, listening);
  }

  /**
   * Returns options with another transaction timeout.
   *
   * @param timeout after which Kafka ends the transaction of a dead relay
   * @return changed copy
   */
  public RelayOptions withTransactionTimeout(Duration timeout) {
    return new RelayOptions(config, name, shards, pageRows, longestPoll, timeout, wal, listening);
  }

  /**
   * Returns options for a relay that follows the write-ahead log of PostgreSQL and reads the ledger
   * only where it must: at its start, after a backlog, and while the log is lost. The same
   * guarantees; less work for the database, and no poll between a commit and its message.
   *
   * @param source of the log
   * @return changed copy
   */
  public RelayOptions withWal(WalSource source) {
    return new RelayOptions(
        config,
        name,
        shards,
        pageRows,
        longestPoll,
        transactionTimeout,
        Optional.of(source),
        listening);
  }

  /**
   * Returns options of a relay that is woken by commits in other processes, where writers call
   * {@link Outbox#notifyRelays}. It tries whether notifications arrive; where they do not it polls
   * as before, and says so in {@link RelayHealth#notes}.
   *
   * @return changed copy
   */
  public RelayOptions withListening() {
    return new RelayOptions(
        config, name, shards, pageRows, longestPoll, transactionTimeout, wal, true);
  }

  /**
   * Returns the topic that keeps the relay's positions: compacted, one partition per shard.
   *
   * @return physical name
   */
  public String positionsTopic() {
    return config.named("lockstep.outbox." + name + ".positions");
  }
}

package dev.lockstep.benchmark.locks;

import java.util.List;

/** A lock service that runs for the whole benchmark. */
public interface LockSystem extends AutoCloseable {

  /**
   * Names it.
   *
   * @return lower case, as in reports
   */
  String name();

  /**
   * Tells what runs, and what a grant survives.
   *
   * @return server, client and durability in one line
   */
  String version();

  /**
   * Returns the ways to use it.
   *
   * @return names of variants
   */
  List<String> variants();

  /**
   * Connects clients that share what one process would share.
   *
   * @param variant one of {@link #variants}
   * @param clients how many act at the same time
   * @return driver of these clients
   * @throws Exception when that is not possible
   */
  LockDriver connect(String variant, int clients) throws Exception;

  @Override
  void close();
}

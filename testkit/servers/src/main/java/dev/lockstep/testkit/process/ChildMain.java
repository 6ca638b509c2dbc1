package dev.lockstep.testkit.process;

import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;

/**
 * Entry point of a child JVM: ends the process when its parent is gone, then runs the real main.
 *
 * <p>Without it a test run that is itself killed with SIGKILL would leave brokers behind.
 */
public final class ChildMain {

  private ChildMain() {}

  /**
   * Runs {@code args[1]} with the arguments behind it.
   *
   * @param args parent process id, main class, arguments of the main class
   * @throws Exception whatever the real main throws
   */
  public static void main(String[] args) throws Exception {
    long parent = Long.parseLong(args[0]);
    Runnable end = () -> Runtime.getRuntime().halt(143);
    ProcessHandle.of(parent)
        .ifPresentOrElse(
            handle -> {
              var unused = handle.onExit().thenRun(end);
            },
            end);
    String[] rest = Arrays.copyOfRange(args, 2, args.length);
    try {
      Class.forName(args[1]).getMethod("main", String[].class).invoke(null, (Object) rest);
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof Exception cause) {
        throw cause;
      }
      throw e;
    }
  }
}

package dev.lockstep.testkit.machine;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.ImpureMachineException;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.Replay;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What a fold did, one line per record and row: made here or, as main class of a child, there. */
public final class FoldTrace {

  private FoldTrace() {}

  /**
   * Folds a dumped log.
   *
   * @param arguments class that makes the machine, partition, log file, file for the trace
   * @throws IOException when a file cannot be read or written
   */
  public static void main(String[] arguments) throws IOException {
    List<String> trace;
    try {
      trace =
          of(
              machine(arguments[0]),
              Integer.parseInt(arguments[1]),
              LogFile.read(Path.of(arguments[2])));
    } catch (ImpureMachineException e) {
      // it already disagrees with itself; the JVM that compares says so
      trace = List.of(String.valueOf(e.getMessage()).replaceAll("\\R", " | "));
    }
    Files.write(Path.of(arguments[3]), trace);
  }

  static MachineSpec machine(String className) {
    try {
      // the name is one of the test's own class, handed from JVM to JVM of one test
      return (MachineSpec)
          Class.forName(className).asSubclass(Supplier.class).getConstructor().newInstance().get();
    } catch (ReflectiveOperationException | ClassCastException e) {
      throw new IllegalArgumentException(
          className
              + " does not make a machine: a public class with a public constructor without arguments that implements Supplier<MachineSpec> is needed",
          e);
    }
  }

  static List<String> of(
      MachineSpec machine, int partition, List<ConsumerRecord<byte[], byte[]>> log) {
    Replay replay = new Replay(machine, partition);
    List<String> lines = new ArrayList<>();
    for (ConsumerRecord<byte[], byte[]> record : log) {
      lines.add(
          "offset "
              + record.offset()
              + " "
              + replay.apply(record).stream()
                  .map(Announcement::describe)
                  .collect(Collectors.toList()));
    }
    for (Map.Entry<byte[], byte[]> row : replay.rows().entrySet()) {
      lines.add(
          "row "
              + HexFormat.of().formatHex(row.getKey())
              + " = "
              + HexFormat.of().formatHex(row.getValue()));
    }
    return lines;
  }
}

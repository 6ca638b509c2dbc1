package dev.lockstep.testkit.machine;

import dev.lockstep.kernel.ImpureMachineException;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.testkit.process.ChildJvm;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Folds one log in several JVMs and requires the same effects and the same state, byte for byte:
 * rule 1, a decision depends on the record and the state and nothing else.
 *
 * <p>The JVMs differ in wall clock (they run later), identity hash codes, the salt of {@code
 * Map.of} and {@code Set.of}, time zone, language and default character set. A machine that depends
 * on one of these would grant a lock to one client before a fail-over and to another one after it.
 */
public final class DoubleExecution {

  private static final Duration LONGEST = Duration.ofSeconds(60);

  private static final List<List<String>> OTHER_WORLDS =
      List.of(
          // identity hashes count up; Turkish has its own lower case of I
          List.of(
              "-XX:+UnlockExperimentalVMOptions",
              "-XX:hashCode=3",
              "-Duser.language=tr",
              "-Duser.timezone=Pacific/Auckland"),
          List.of(
              "-XX:+UnlockExperimentalVMOptions",
              "-XX:hashCode=0",
              "-Dfile.encoding=ISO-8859-1",
              "-Duser.language=ar",
              "-Duser.timezone=America/St_Johns"));

  private DoubleExecution() {}

  /**
   * Folds a log here and in two other JVMs.
   *
   * @param machine makes the machine; a public class with a public constructor without arguments,
   *     on this JVM's class path
   * @param partition number of the input partition
   * @param log records from offset 0, such as {@link VirtualPartition#log()}
   * @throws ImpureMachineException naming the first record whose effects differ, or the state
   * @throws IllegalStateException when a JVM fails; the message holds what it printed
   */
  public static void check(
      Class<? extends Supplier<MachineSpec>> machine,
      int partition,
      List<ConsumerRecord<byte[], byte[]>> log) {
    try {
      Path folder = Files.createTempDirectory("lockstep-double-");
      try {
        Path dump = folder.resolve("log");
        LogFile.write(dump, log);
        List<String> here = FoldTrace.of(FoldTrace.machine(machine.getName()), partition, log);
        for (int i = 0; i < OTHER_WORLDS.size(); i++) {
          compare(here, elsewhere(folder, i, machine, partition, dump), OTHER_WORLDS.get(i));
        }
      } finally {
        try (var files = Files.list(folder)) {
          for (Path file : files.toList()) {
            Files.delete(file);
          }
        }
        Files.delete(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("The log could not be handed to another JVM", e);
    }
  }

  private static List<String> elsewhere(
      Path folder, int world, Class<?> machine, int partition, Path dump) throws IOException {
    Path answer = folder.resolve("trace-" + world);
    try (ChildJvm child =
        ChildJvm.start(
            "double execution " + world,
            folder.resolve("output-" + world),
            OTHER_WORLDS.get(world),
            FoldTrace.class.getName(),
            List.of(
                machine.getName(),
                Integer.toString(partition),
                dump.toString(),
                answer.toString()))) {
      int code = child.awaitExit(LONGEST);
      if (code != 0) {
        throw new IllegalStateException(
            "The other JVM ended with %d: %s".formatted(code, Files.readString(child.output())));
      }
    }
    return Files.readAllLines(answer);
  }

  private static void compare(List<String> here, List<String> there, List<String> world) {
    for (int i = 0; i < Math.max(here.size(), there.size()); i++) {
      String own = i < here.size() ? here.get(i) : "nothing";
      String other = i < there.size() ? there.get(i) : "nothing";
      if (!own.equals(other)) {
        throw new ImpureMachineException(
            "The machine decided differently in another JVM (%s). Here: %s. There: %s. Look for a wall clock, randomness, identity hashes, Map.of or Set.of that is iterated, a time zone or a language"
                .formatted(String.join(" ", world), own, other));
      }
    }
  }
}

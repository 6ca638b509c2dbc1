package dev.lockstep.testkit.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.kernel.Deadlines;
import dev.lockstep.kernel.EffectRefusedException;
import dev.lockstep.kernel.ImpureMachineException;
import dev.lockstep.kernel.InputPlan;
import dev.lockstep.kernel.Machine;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.RejectedInputException;
import dev.lockstep.kernel.Store;
import dev.lockstep.kernel.Turn;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.TopicSpec;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

class DoubleExecutionTest {

  /** Input. */
  public record Ask(String name) {}

  /** Effect. */
  public record Told(String text) {}

  private static final TopicSpec ANSWERS = TopicSpec.effects("answers", 1);

  /** Answers with what a subclass makes of the question. */
  abstract static class Echo implements Machine {

    abstract String answer(Turn turn, Ask ask);

    @Override
    public void apply(Turn turn) throws RejectedInputException {
      if (turn.input() instanceof Ask ask) {
        String text = answer(turn, ask);
        turn.store()
            .put(
                ask.name().getBytes(StandardCharsets.UTF_8), text.getBytes(StandardCharsets.UTF_8));
        try {
          turn.effects().send(ANSWERS.name(), ask.name(), new Told(text));
        } catch (EffectRefusedException e) {
          throw new RejectedInputException(String.valueOf(e.getMessage()));
        }
      }
    }

    @Override
    public Deadlines deadlines(Store store) {
      return Deadlines.NONE;
    }
  }

  private static MachineSpec spec(Supplier<Machine> machine) {
    return MachineSpec.of("echo", "questions", SchemaCatalog.of(Ask.class, Told.class), machine);
  }

  /** Depends on record and log time only. */
  public static final class Pure implements Supplier<MachineSpec> {
    @Override
    public MachineSpec get() {
      return spec(
          () ->
              new Echo() {
                @Override
                String answer(Turn turn, Ask ask) {
                  return ask.name() + " at " + turn.now().wall();
                }
              });
    }
  }

  /** Reads the wall clock, coarsely enough for two runs in a row to agree. */
  public static final class WallClock implements Supplier<MachineSpec> {
    @Override
    public MachineSpec get() {
      return spec(
          () ->
              new Echo() {
                @Override
                String answer(Turn turn, Ask ask) {
                  return ask.name() + " at " + System.currentTimeMillis() / 50;
                }
              });
    }
  }

  /** Iterates a hash map whose order depends on identity hash codes. */
  public static final class HashOrder implements Supplier<MachineSpec> {

    /** Keys without a hash code of their own. */
    private enum Colour {
      RED,
      GREEN,
      BLUE,
      BLACK,
      WHITE,
      GREY
    }

    @Override
    public MachineSpec get() {
      return spec(
          () ->
              new Echo() {
                @Override
                String answer(Turn turn, Ask ask) {
                  Map<Object, Integer> votes = new HashMap<>();
                  for (Colour colour : Colour.values()) {
                    votes.put(colour, 1);
                  }
                  return votes.keySet().toString();
                }
              });
    }
  }

  /** Formats by the language of the machine that it runs on. */
  public static final class Language implements Supplier<MachineSpec> {
    @Override
    @SuppressWarnings("StringCaseLocaleUsage") // the fault that the check must find
    public MachineSpec get() {
      return spec(
          () ->
              new Echo() {
                @Override
                String answer(Turn turn, Ask ask) {
                  return ask.name().toLowerCase();
                }
              });
    }
  }

  private static void check(Class<? extends Supplier<MachineSpec>> machine) throws Exception {
    MachineSpec spec = machine.getConstructor().newInstance().get();
    VirtualPartition partition =
        new VirtualPartition(spec, 0, InputPlan.of(spec, 1, List.of(ANSWERS)));
    partition.send(new Ask("INES"));
    partition.send(new Ask("Otto"));
    assertThat(partition.effects(Told.class)).hasSize(2);
    DoubleExecution.check(machine, 0, partition.log());
  }

  @Test
  void pureMachinePasses() {
    assertThatCode(() -> check(Pure.class)).doesNotThrowAnyException();
  }

  @Test
  void wallClockIsCaught() {
    assertThatThrownBy(() -> check(WallClock.class)).isInstanceOf(ImpureMachineException.class);
  }

  @Test
  void hashOrderIsCaught() {
    assertThatThrownBy(() -> check(HashOrder.class))
        .isInstanceOf(ImpureMachineException.class)
        .hasMessageContaining("offset 1");
  }

  @Test
  void languageIsCaught() {
    assertThatThrownBy(() -> check(Language.class)).isInstanceOf(ImpureMachineException.class);
  }
}

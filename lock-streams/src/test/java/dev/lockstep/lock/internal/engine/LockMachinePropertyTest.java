package dev.lockstep.lock.internal.engine;

import static dev.lockstep.lock.internal.engine.Ask.order;
import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.lock.LockTopics;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.lock.AbortWait;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.ChangeMode;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.ForceRelease;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.ModeReply;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.Revoke;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.testkit.lock.LockChecker;
import dev.lockstep.testkit.machine.VirtualPartition;
import dev.lockstep.testkit.machine.VirtualPartition.Effect;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.jspecify.annotations.Nullable;

/** Clients do whatever they like, in any order; the lock invariants hold, and nothing is left. */
class LockMachinePropertyTest {

  private static final LockstepConfig CONFIG = LockstepConfig.of("unused:1");
  private static final List<String> LOCKS = List.of("a", "b", "c", "d");

  @Property(tries = 100)
  void invariantsHoldWhateverClientsDo(@ForAll @LongRange(min = 0) long seed) {
    run(seed);
  }

  /** The checker took the lock-delay behind it for a key that was forgotten. */
  @Example
  void whoWasOfferedAKeyBesideOneThatExpiresIsStillGrantedIt() {
    run(1297557567057011781L);
  }

  private static void run(long seed) {
    World world = new World(seed);
    for (int i = 0; i < 250; i++) {
      world.act();
    }
    world.endAll();

    LockChecker.Result result = world.checker.check();
    assertThat(result.violations()).isEmpty();
    assertThat(result.open()).isEmpty();
    assertThat(result.grants()).isPositive();
    assertThat(world.log.machineRows()).isZero();
  }

  /** One client's view of one of its requests. */
  private static final class Mine {
    private final String owner;
    private final long number;
    private long token;
    private boolean ended;

    Mine(String owner, long number) {
      this.owner = owner;
      this.number = number;
    }
  }

  private static final class World {

    private final Random random;
    private final VirtualPartition log =
        new VirtualPartition(LockTopics.machine(CONFIG), 0, LockTopics.plan(CONFIG, 1, List.of()));
    private final LockChecker checker = new LockChecker();
    private final SingleObjectCodec codec = new SingleObjectCodec(LockMachine.CATALOG);
    private final Map<Integer, Integer> generations = new TreeMap<>();
    private final Map<String, Long> numbers = new TreeMap<>();
    private final List<Mine> requests = new ArrayList<>();

    World(long seed) {
      this.random = new Random(seed);
    }

    void act() {
      switch (random.nextInt(12)) {
        case 0, 1, 2, 3 -> acquire();
        case 4, 5, 6 -> release();
        case 7 -> cancel();
        case 8 -> beat();
        case 9 -> pass(random.nextInt(1_500));
        case 10 -> changeMode();
        default -> seldom();
      }
    }

    private void seldom() {
      Mine mine = any();
      switch (random.nextInt(4)) {
        case 0 -> send(new CloseSession(session(random.nextInt(5))));
        case 1 -> {
          if (mine != null && mine.token != 0) {
            send(new ForceRelease(key(), mine.token, order("ops", "test")));
          }
        }
        case 2 -> {
          if (mine != null && mine.token != 0) {
            send(new Revoke(key(), mine.token, (long) random.nextInt(1_000), order("ops", "test")));
          }
        }
        default -> pass(6_000);
      }
    }

    private String key() {
      return LOCKS.get(random.nextInt(LOCKS.size()));
    }

    private String session(int client) {
      return "c" + client + "." + generations.getOrDefault(client, 1);
    }

    private void acquire() {
      String owner = session(random.nextInt(5));
      long number = numbers.merge(owner, 1L, Long::sum);
      boolean semaphore = random.nextInt(5) == 0;
      TreeSet<String> keys = new TreeSet<>();
      int many = semaphore || random.nextInt(3) > 0 ? 1 : 2 + random.nextInt(2);
      while (keys.size() < many) {
        keys.add(semaphore ? "sem" : key());
      }
      Ask ask = Ask.of(owner, number, keys.toArray(String[]::new));
      if (semaphore) {
        ask.permits(1 + random.nextInt(3), 3);
      } else if (random.nextBoolean()) {
        ask.shared();
      }
      if (random.nextInt(4) == 0) {
        ask.priority(random.nextInt(10));
      }
      if (random.nextInt(5) == 0) {
        ask.delay(random.nextInt(2_000));
      }
      switch (random.nextInt(4)) {
        case 0 -> ask.waiting(0);
        case 1 -> ask.waiting(random.nextInt(3_000));
        default -> {}
      }
      requests.add(new Mine(owner, number));
      send(ask.now());
      if (random.nextInt(10) == 0) {
        send(ask.now());
      }
    }

    private void release() {
      Mine mine = any();
      if (mine != null) {
        long token = random.nextInt(10) == 0 ? mine.token - 1 : mine.token;
        boolean quiet = random.nextBoolean();
        send(new Release(mine.owner, 0L, 1L, mine.number, token, 0L, quiet, Ask.REPLY));
        mine.ended |= token == mine.token && token != 0;
      }
    }

    private void cancel() {
      Mine mine = any();
      if (mine != null) {
        send(
            random.nextBoolean()
                ? new Cancel(mine.owner, 0L, 1L, mine.number)
                : new AbortWait(
                    mine.owner, mine.number, order("detector", "a waits for b, b for a")));
      }
    }

    private void beat() {
      send(new KeepAlive(session(random.nextInt(5)), 1L + random.nextInt(2), Ask.TTL, Ask.REPLY));
    }

    private void changeMode() {
      Mine mine = any();
      if (mine != null) {
        LockMode mode = random.nextBoolean() ? LockMode.EXCLUSIVE : LockMode.SHARED;
        for (Object answer :
            send(new ChangeMode(mine.owner, 0L, 1L, mine.number, mode, Ask.REPLY))) {
          if (answer instanceof ModeReply reply && reply.getToken() != 0) {
            mine.token = reply.getToken();
          }
        }
      }
    }

    private @Nullable Mine any() {
      List<Mine> open = requests.stream().filter(r -> !r.ended).toList();
      return open.isEmpty() ? null : open.get(random.nextInt(open.size()));
    }

    /** Everybody falls silent; sessions run out and are forgotten. */
    void endAll() {
      pass(3 * 60_000);
    }

    private List<Object> send(Object record) {
      long offset = log.nextOffset();
      List<Effect> effects = log.send(record);
      note(offset, effects);
      return effects.stream().map(Effect::value).toList();
    }

    private void pass(int millis) {
      long end = log.time() + millis;
      while (log.time() < end) {
        long offset = log.nextOffset();
        note(offset, log.advance(Duration.ofMillis(Math.min(200, end - log.time()))));
      }
    }

    private void note(long offset, List<Effect> effects) {
      checker.command(log.log().get((int) offset));
      for (int i = 0; i < effects.size(); i++) {
        Object value = effects.get(i).value();
        byte[] bytes = value instanceof Rejected ? new byte[0] : codec.encode(value);
        checker.effect(0, offset, i, value, bytes);
        heard(value);
      }
    }

    private void heard(Object value) {
      if (value instanceof AcquireReply reply) {
        for (Mine mine : requests) {
          if (mine.owner.equals(reply.getOwner()) && mine.number == reply.getNumber()) {
            mine.token = reply.getToken();
            mine.ended |= reply.getOutcome() != AcquireOutcome.GRANTED;
          }
        }
      } else if (value instanceof SessionExpired over) {
        int client = over.getSession().charAt(1) - '0';
        if (session(client).equals(over.getSession())) {
          generations.merge(client, 2, (old, two) -> old + 1);
        }
        requests.forEach(mine -> mine.ended |= mine.owner.equals(over.getSession()));
      }
    }
  }
}

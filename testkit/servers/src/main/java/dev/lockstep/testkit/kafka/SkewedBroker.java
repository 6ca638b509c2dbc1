package dev.lockstep.testkit.kafka;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.function.Supplier;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.common.utils.Time;

/** A real broker whose wall clock is wrong by a constant; what it measures is not. */
public final class SkewedBroker {

  private SkewedBroker() {}

  /**
   * Runs a broker until it is told to stop.
   *
   * @param args settings file, ms that its clock is ahead
   * @throws IOException when the settings cannot be read
   */
  public static void main(String[] args) throws IOException {
    Properties settings = new Properties();
    try (Reader reader = Files.newBufferedReader(Path.of(args[0]))) {
      settings.load(reader);
    }
    KafkaRaftServer server =
        new KafkaRaftServer(
            KafkaConfig.fromProps(settings), new SkewedTime(Long.parseLong(args[1])));
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
    server.startup();
    server.awaitShutdown();
  }

  private record SkewedTime(long aheadMillis) implements Time {

    @Override
    public long milliseconds() {
      return SYSTEM.milliseconds() + aheadMillis;
    }

    @Override
    public long nanoseconds() {
      return SYSTEM.nanoseconds();
    }

    @Override
    public void sleep(long millis) {
      SYSTEM.sleep(millis);
    }

    @Override
    public void waitObject(Object object, Supplier<Boolean> condition, long deadline)
        throws InterruptedException {
      SYSTEM.waitObject(object, condition, deadline - aheadMillis);
    }
  }
}

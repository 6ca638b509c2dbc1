package dev.lockstep.kernel.internal.streams;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What people should look at. One line per subject stands until it is cleared; each change is
 * logged once. Thread-safe.
 */
final class Alarms {

  private static final Logger LOG = LoggerFactory.getLogger("dev.lockstep.kernel.alarm");

  private final String host;
  private final Map<String, String> standing = new ConcurrentHashMap<>();

  Alarms(String host) {
    this.host = host;
  }

  void raise(String subject, String message) {
    if (!message.equals(standing.put(subject, message))) {
      LOG.error("{}: {}", host, message);
    }
  }

  void clear(String subject) {
    if (standing.remove(subject) != null) {
      LOG.info("{}: over: {}", host, subject);
    }
  }

  Map<String, String> standing() {
    return new TreeMap<>(standing);
  }
}

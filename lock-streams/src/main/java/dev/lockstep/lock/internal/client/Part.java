package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.internal.client.PartitionSession.Ticket;
import java.util.List;

/**
 * What an Acquire asks for in one partition.
 *
 * @param session this client's session there
 * @param ticket names the Acquire there
 * @param keys keys that live there
 */
record Part(PartitionSession session, Ticket ticket, List<String> keys) {

  int partition() {
    return session.partition();
  }
}

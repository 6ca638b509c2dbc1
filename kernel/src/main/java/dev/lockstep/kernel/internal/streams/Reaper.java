package dev.lockstep.kernel.internal.streams;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends transactions of dead owners. A successor cannot restore past an open transaction, and on a
 * broker with stock settings it would be held up for up to 20 s.
 *
 * <p>Only ids of exactly this application's pattern are touched ({@code app-lock} is a prefix of
 * {@code app-lock-eu}), and only when no member of the group is their owner: Streams names its
 * transactional ids {@code application-process-thread} and its members {@code
 * application-process-StreamThread-thread-consumer}. A wrong shot costs the owner a new start of
 * its tasks, never a fact.
 */
final class Reaper {

  private static final Logger LOG = LoggerFactory.getLogger(Reaper.class);

  private final Admin admin;
  private final String applicationId;
  private final Pattern ids;
  private final Duration age;

  Reaper(Admin admin, String applicationId, Duration age) {
    this.admin = admin;
    this.applicationId = applicationId;
    this.ids = Pattern.compile("^" + Pattern.quote(applicationId) + "-([0-9a-f-]{36})-\\d+$");
    this.age = age;
  }

  /** One round; called while the client is not RUNNING. */
  void reap() {
    try {
      List<String> old =
          admin
              .listTransactions(
                  new ListTransactionsOptions()
                      .filterStates(Set.of(TransactionState.ONGOING))
                      .filterOnDuration(age.toMillis()))
              .all()
              .get(2, TimeUnit.SECONDS)
              .stream()
              .map(TransactionListing::transactionalId)
              .filter(id -> ids.matcher(id).matches())
              .toList();
      if (old.isEmpty()) {
        return;
      }
      Set<String> alive = memberClientIds();
      List<String> dead = old.stream().filter(id -> !hasOwner(id, alive)).toList();
      if (!dead.isEmpty()) {
        LOG.warn("{}: ending transactions of dead owners: {}", applicationId, dead);
        admin.fenceProducers(dead).all().get(5, TimeUnit.SECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | TimeoutException e) {
      LOG.debug("{}: transactions could not be looked at", applicationId, e);
    }
  }

  private boolean hasOwner(String transactionalId, Set<String> alive) {
    Matcher matcher = ids.matcher(transactionalId);
    return matcher.matches()
        && alive.stream().anyMatch(id -> id.startsWith(applicationId + "-" + matcher.group(1)));
  }

  private Set<String> memberClientIds()
      throws InterruptedException, ExecutionException, TimeoutException {
    ConsumerGroupDescription group =
        requireNonNull(
                admin
                    .describeConsumerGroups(List.of(applicationId))
                    .describedGroups()
                    .get(applicationId))
            .get(2, TimeUnit.SECONDS);
    return group.members().stream().map(m -> m.clientId()).collect(Collectors.toSet());
  }
}

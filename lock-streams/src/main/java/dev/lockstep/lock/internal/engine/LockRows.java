package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.Store;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.spi.RecordCodec;
import dev.lockstep.schema.state.LockKeyState;
import dev.lockstep.schema.state.LockRequestState;
import dev.lockstep.schema.state.LockSessionState;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Rows of the lock machine.
 *
 * <pre>
 *   k key                    who holds a key, and how many wait       (none: idle)
 *   q key 00 order           one row per waiting request and key, in order of arrival
 *   r owner 00 number        one request
 *   s session                one session
 *   d elapsed kind owner 00 number   what is due when: s session, w wait, t tombstone
 * </pre>
 *
 * Small rows instead of one value per key: a key with 10,000 waiters costs the same per hand-off as
 * one with two. Names hold no NUL, so it can separate them.
 */
final class LockRows {

  static final SchemaCatalog CATALOG =
      SchemaCatalog.of(LockKeyState.class, LockRequestState.class, LockSessionState.class);

  private static final RecordCodec CODEC = new SingleObjectCodec(CATALOG);

  /** One request by its identity. */
  record RequestId(String owner, long number) {}

  /** One thing that is due. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Due(long at, char kind, RequestId id, byte[] key) {}

  private final Store store;

  LockRows(Store store) {
    this.store = store;
  }

  @Nullable LockKeyState key(String key) {
    return (LockKeyState) read(named('k', key));
  }

  void putKey(String key, LockKeyState state) {
    store.put(named('k', key), CODEC.encode(state));
  }

  void deleteKey(String key) {
    store.delete(named('k', key));
  }

  void enqueue(String key, long order, RequestId id) {
    store.put(queueKey(key, order), idBytes(id));
  }

  void dequeue(String key, long order) {
    store.delete(queueKey(key, order));
  }

  @Nullable RequestId head(String key) {
    List<Store.Row> first = store.scan(separated('q', key), 1);
    return first.isEmpty() ? null : id(ByteBuffer.wrap(first.get(0).value()));
  }

  @Nullable LockRequestState request(RequestId id) {
    return (LockRequestState) read(requestKey(id));
  }

  void putRequest(RequestId id, LockRequestState state) {
    store.put(requestKey(id), CODEC.encode(state));
  }

  void deleteRequest(RequestId id) {
    store.delete(requestKey(id));
  }

  List<RequestId> requestsOf(String owner) {
    return requestsOf(owner, 1, Long.MAX_VALUE);
  }

  /** Returns the requests with {@code from <= number < to}; numbers are at least 1. */
  List<RequestId> requestsOf(String owner, long from, long to) {
    List<RequestId> found = new ArrayList<>();
    int number = separated('r', owner).length;
    for (Store.Row row :
        store.range(
            requestKey(new RequestId(owner, Math.max(0, from))),
            requestKey(new RequestId(owner, to)),
            Integer.MAX_VALUE)) {
      found.add(new RequestId(owner, ByteBuffer.wrap(row.key(), number, 8).getLong()));
    }
    return found;
  }

  @Nullable LockSessionState session(String session) {
    return (LockSessionState) read(named('s', session));
  }

  void putSession(String session, LockSessionState state) {
    store.put(named('s', session), CODEC.encode(state));
  }

  void deleteSession(String session) {
    store.delete(named('s', session));
  }

  void putDue(long at, char kind, RequestId id) {
    store.put(dueKey(at, kind, id), new byte[0]);
  }

  void deleteDue(long at, char kind, RequestId id) {
    store.delete(dueKey(at, kind, id));
  }

  void delete(Due due) {
    store.delete(due.key());
  }

  /** Returns what comes due first, whenever that is. */
  @Nullable Due firstDue() {
    List<Store.Row> first = store.scan(new byte[] {'d'}, 1);
    if (first.isEmpty()) {
      return null;
    }
    byte[] key = first.get(0).key();
    ByteBuffer buffer = ByteBuffer.wrap(key);
    buffer.get();
    long at = buffer.getLong();
    char kind = (char) buffer.get();
    return new Due(at, kind, id(buffer), key);
  }

  private @Nullable Object read(byte[] key) {
    byte[] row = store.get(key);
    return row == null ? null : CODEC.decode(row);
  }

  private static byte[] named(char kind, String name) {
    byte[] text = name.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(1 + text.length).put((byte) kind).put(text).array();
  }

  private static byte[] separated(char kind, String name) {
    byte[] text = name.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(2 + text.length).put((byte) kind).put(text).put((byte) 0).array();
  }

  private static byte[] queueKey(String key, long order) {
    byte[] prefix = separated('q', key);
    return ByteBuffer.allocate(prefix.length + 8).put(prefix).putLong(order).array();
  }

  private static byte[] requestKey(RequestId id) {
    byte[] prefix = separated('r', id.owner());
    return ByteBuffer.allocate(prefix.length + 8).put(prefix).putLong(id.number()).array();
  }

  private static byte[] dueKey(long at, char kind, RequestId id) {
    byte[] bytes = idBytes(id);
    return ByteBuffer.allocate(10 + bytes.length)
        .put((byte) 'd')
        .putLong(at)
        .put((byte) kind)
        .put(bytes)
        .array();
  }

  private static byte[] idBytes(RequestId id) {
    byte[] owner = id.owner().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(owner.length + 9)
        .put(owner)
        .put((byte) 0)
        .putLong(id.number())
        .array();
  }

  private static RequestId id(ByteBuffer bytes) {
    int length = bytes.remaining() - 9;
    byte[] owner = new byte[length];
    bytes.get(owner);
    bytes.get();
    return new RequestId(new String(owner, StandardCharsets.UTF_8), bytes.getLong());
  }
}

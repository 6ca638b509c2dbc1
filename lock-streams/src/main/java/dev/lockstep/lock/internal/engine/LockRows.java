package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.Store;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.spi.RecordCodec;
import dev.lockstep.schema.state.LockHolderState;
import dev.lockstep.schema.state.LockKeyState;
import dev.lockstep.schema.state.LockLatchState;
import dev.lockstep.schema.state.LockRequestState;
import dev.lockstep.schema.state.LockRevocationState;
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
 *   k key                    a key in use                             (none: idle)
 *   h key 00 owner 00 number one of several holders: shared, or by permits
 *   q key 00 rank order      one row per waiting request and key: by priority, then by arrival
 *   r owner 00 number        one request
 *   s session                one session
 *   x key 00 token           a grant that is to be taken from its holders
 *   l key 00                 a latch
 *   l key 00 id              a command that it has heard
 *   d elapsed kind owner 00 number   what is due when
 * </pre>
 *
 * Small rows instead of one value per key: a key with 10,000 waiters costs the same per hand-off as
 * one with two. Names hold no NUL, so it can separate them.
 *
 * <p>A turn reads each key, request and session once and writes it once, at {@link #write}: whoever
 * asks for one in between is given the same object.
 */
final class LockRows {

  static final SchemaCatalog CATALOG =
      SchemaCatalog.of(
          LockKeyState.class,
          LockHolderState.class,
          LockRequestState.class,
          LockSessionState.class,
          LockRevocationState.class,
          LockLatchState.class);

  /** First characters of all keys. */
  static final String KINDS = "khqrsxdl";

  private static final RecordCodec CODEC = new SingleObjectCodec(CATALOG);
  private static final byte[] DUE = {'d'};
  private static final byte[] AFTER_DUE = {'d' + 1};

  /** One request in the queue of a key. */
  record Place(int rank, RequestId id) {}

  /** One of several holders of a key. */
  record Holder(RequestId id, int permits, long token) {}

  private final Store store;
  private final Working<String, Key> keys = new Working<>(this::readKey, this::writeKey);
  private final Working<RequestId, Request> requests =
      new Working<>(this::readRequest, this::writeRequest);
  private final Working<String, LockSessionState> sessions =
      new Working<>(this::readSession, this::writeSession);

  LockRows(Store store) {
    this.store = store;
  }

  /** Writes what was changed; the turn's last act. */
  void write() {
    keys.write();
    requests.write();
    sessions.write();
  }

  @Nullable Key key(String name) {
    return keys.get(name);
  }

  private @Nullable Key readKey(String name) {
    LockKeyState stored = (LockKeyState) read(named('k', name));
    return stored == null ? null : Key.of(name, stored);
  }

  /** Returns keys in use in their order. */
  List<Key> keys(String prefix, int most) {
    List<Key> keys = new ArrayList<>();
    for (Store.Row row : store.scan(named('k', prefix), most)) {
      keys.add(Key.of(name(row), (LockKeyState) CODEC.decode(row.value())));
    }
    return keys;
  }

  /** Returns every request that is known, answered ones included. */
  List<Request> requests() {
    List<Request> all = new ArrayList<>();
    for (Store.Row row : store.scan(new byte[] {'r'}, Integer.MAX_VALUE)) {
      RequestId id = id(ByteBuffer.wrap(row.key(), 1, row.key().length - 1));
      all.add(Request.of(id, (LockRequestState) CODEC.decode(row.value())));
    }
    return all;
  }

  /** Returns the names of sessions that have not ended, in their order. */
  List<String> sessions(String prefix, int most) {
    List<String> names = new ArrayList<>();
    for (Store.Row row : store.scan(named('s', prefix), Integer.MAX_VALUE)) {
      if (names.size() < most && !((LockSessionState) CODEC.decode(row.value())).getEnded()) {
        names.add(name(row));
      }
    }
    return names;
  }

  private static String name(Store.Row row) {
    return new String(row.key(), 1, row.key().length - 1, StandardCharsets.UTF_8);
  }

  /** Keeps a key as it is; nothing is left of an idle one. */
  void put(Key key) {
    keys.put(key.name, key.isIdle() ? null : key);
  }

  private void writeKey(String name, @Nullable Key key) {
    write(named('k', name), key == null ? null : key.stored());
  }

  void enqueue(String key, Request request) {
    store.put(queueKey(key, request), idBytes(request.id));
  }

  void dequeue(String key, Request request) {
    store.delete(queueKey(key, request));
  }

  /** Returns the first places in the queue of a key. */
  List<Place> queue(String key, int most) {
    byte[] prefix = separated('q', key);
    List<Place> places = new ArrayList<>();
    for (Store.Row row : store.scan(prefix, most)) {
      places.add(new Place(row.key()[prefix.length], id(ByteBuffer.wrap(row.value()))));
    }
    return places;
  }

  static int rank(int priority) {
    return Request.HIGHEST_PRIORITY - priority;
  }

  void putHolder(String key, Holder holder) {
    write(holderKey(key, holder.id()), new LockHolderState(holder.permits(), holder.token()));
  }

  @Nullable Holder holder(String key, RequestId id) {
    LockHolderState stored = (LockHolderState) read(holderKey(key, id));
    return stored == null ? null : new Holder(id, stored.getPermits(), stored.getToken());
  }

  void deleteHolder(String key, RequestId id) {
    store.delete(holderKey(key, id));
  }

  /** Returns holders of a key that has several, in the order of their names. */
  List<Holder> holders(String key, int most) {
    byte[] prefix = separated('h', key);
    List<Holder> holders = new ArrayList<>();
    for (Store.Row row : store.scan(prefix, most)) {
      RequestId id =
          id(ByteBuffer.wrap(row.key(), prefix.length, row.key().length - prefix.length));
      LockHolderState stored = (LockHolderState) CODEC.decode(row.value());
      holders.add(new Holder(id, stored.getPermits(), stored.getToken()));
    }
    return holders;
  }

  @Nullable Request request(RequestId id) {
    return requests.get(id);
  }

  private @Nullable Request readRequest(RequestId id) {
    LockRequestState stored = (LockRequestState) read(requestKey(id));
    return stored == null ? null : Request.of(id, stored);
  }

  void put(Request request) {
    requests.put(request.id, request);
  }

  void deleteRequest(RequestId id) {
    requests.put(id, null);
  }

  private void writeRequest(RequestId id, @Nullable Request request) {
    write(requestKey(id), request == null ? null : request.stored());
  }

  List<RequestId> requestsOf(String owner) {
    return requestsOf(owner, 1, Long.MAX_VALUE);
  }

  /** Returns the requests with {@code from <= number < to}; numbers are at least 1. */
  List<RequestId> requestsOf(String owner, long from, long to) {
    if (from >= to) {
      return List.of();
    }
    requests.write();
    List<RequestId> found = new ArrayList<>();
    int number = separated('r', owner).length;
    for (byte[] key :
        store.keys(
            requestKey(new RequestId(owner, Math.max(0, from))),
            requestKey(new RequestId(owner, to)),
            Integer.MAX_VALUE)) {
      found.add(new RequestId(owner, ByteBuffer.wrap(key, number, 8).getLong()));
    }
    return found;
  }

  void putRevocation(String key, LockRevocationState revocation) {
    write(revocationKey(key, revocation.getToken()), revocation);
  }

  /** Returns what is to be taken of a key, and forgets it. */
  @Nullable LockRevocationState takeRevocation(String key, long token) {
    byte[] row = revocationKey(key, token);
    LockRevocationState stored = (LockRevocationState) read(row);
    store.delete(row);
    return stored;
  }

  void putLatch(String key, LockLatchState latch) {
    write(separated('l', key), latch);
  }

  @Nullable LockLatchState latch(String key) {
    return (LockLatchState) read(separated('l', key));
  }

  /** Forgets a latch and what it has heard. */
  void deleteLatch(String key) {
    for (Store.Row row : store.scan(separated('l', key), Integer.MAX_VALUE)) {
      store.delete(row.key());
    }
  }

  /** Returns the ids of the commands that a latch has heard, in their order. */
  List<String> counted(String key) {
    byte[] prefix = separated('l', key);
    List<String> ids = new ArrayList<>();
    for (Store.Row row : store.scan(prefix, Integer.MAX_VALUE)) {
      if (row.key().length > prefix.length) {
        ids.add(
            new String(
                row.key(),
                prefix.length,
                row.key().length - prefix.length,
                StandardCharsets.UTF_8));
      }
    }
    return ids;
  }

  void putCounted(String key, String id) {
    store.put(countedKey(key, id), new byte[0]);
  }

  boolean isCounted(String key, String id) {
    return store.get(countedKey(key, id)) != null;
  }

  @Nullable LockSessionState session(String session) {
    return sessions.get(session);
  }

  private @Nullable LockSessionState readSession(String session) {
    return (LockSessionState) read(named('s', session));
  }

  void putSession(String session, LockSessionState state) {
    sessions.put(session, state);
  }

  void deleteSession(String session) {
    sessions.put(session, null);
  }

  private void writeSession(String session, @Nullable LockSessionState state) {
    write(named('s', session), state);
  }

  void putDue(long at, char kind, RequestId id) {
    store.put(dueKey(at, kind, id), new byte[0]);
  }

  void deleteDue(long at, char kind, RequestId id) {
    store.delete(dueKey(at, kind, id));
  }

  void delete(Due due) {
    store.delete(due.row());
  }

  /** Returns what comes due first, whenever that is. */
  @Nullable Due firstDue() {
    List<byte[]> first = store.keys(DUE, AFTER_DUE, 1);
    if (first.isEmpty()) {
      return null;
    }
    byte[] key = first.get(0);
    ByteBuffer buffer = ByteBuffer.wrap(key);
    buffer.get();
    long at = buffer.getLong();
    char kind = (char) buffer.get();
    return new Due(at, kind, id(buffer), key);
  }

  private @Nullable Object read(byte[] key) {
    return store.read(key, CODEC);
  }

  private void write(byte[] key, @Nullable Object value) {
    if (value == null) {
      store.delete(key);
    } else {
      store.write(key, value, CODEC);
    }
  }

  private static byte[] named(char kind, String name) {
    byte[] text = name.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(1 + text.length).put((byte) kind).put(text).array();
  }

  private static byte[] separated(char kind, String name) {
    byte[] text = name.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(2 + text.length).put((byte) kind).put(text).put((byte) 0).array();
  }

  private static byte[] queueKey(String key, Request request) {
    byte[] prefix = separated('q', key);
    return ByteBuffer.allocate(prefix.length + 9)
        .put(prefix)
        .put((byte) rank(request.priority))
        .putLong(request.order)
        .array();
  }

  private static byte[] holderKey(String key, RequestId id) {
    byte[] prefix = separated('h', key);
    byte[] bytes = idBytes(id);
    return ByteBuffer.allocate(prefix.length + bytes.length).put(prefix).put(bytes).array();
  }

  private static byte[] revocationKey(String key, long token) {
    byte[] prefix = separated('x', key);
    return ByteBuffer.allocate(prefix.length + 8).put(prefix).putLong(token).array();
  }

  private static byte[] countedKey(String key, String id) {
    byte[] prefix = separated('l', key);
    byte[] bytes = id.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(prefix.length + bytes.length).put(prefix).put(bytes).array();
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

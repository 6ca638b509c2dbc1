package dev.lockstep.saga.internal.engine;

import dev.lockstep.kernel.Store;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.spi.RecordCodec;
import dev.lockstep.schema.state.SagaState;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Rows of the saga machine.
 *
 * <pre>
 *   i saga id            one saga
 *   d elapsed saga id    its deadline
 *   e wall saga id       when it ended: forgotten one horizon later
 * </pre>
 */
final class SagaRows {

  static final SchemaCatalog CATALOG = SchemaCatalog.of(SagaState.class);

  private static final RecordCodec CODEC = new SingleObjectCodec(CATALOG);

  /** A saga and a time. */
  record Due(long at, String sagaId) {}

  private final Store store;

  SagaRows(Store store) {
    this.store = store;
  }

  @Nullable SagaState saga(String sagaId) {
    byte[] row = store.get(sagaKey(sagaId));
    return row == null ? null : (SagaState) CODEC.decode(row);
  }

  void putSaga(String sagaId, SagaState state) {
    store.put(sagaKey(sagaId), CODEC.encode(state));
  }

  void deleteSaga(String sagaId) {
    store.delete(sagaKey(sagaId));
  }

  void putDeadline(long at, String sagaId) {
    store.put(timeKey('d', at, sagaId), new byte[0]);
  }

  void deleteDeadline(long at, String sagaId) {
    store.delete(timeKey('d', at, sagaId));
  }

  @Nullable Due firstDeadline() {
    return first('d');
  }

  void putEnded(long at, String sagaId) {
    store.put(timeKey('e', at, sagaId), new byte[0]);
  }

  void deleteEnded(Due ended) {
    store.delete(timeKey('e', ended.at(), ended.sagaId()));
  }

  @Nullable Due firstEnded() {
    return first('e');
  }

  private @Nullable Due first(char kind) {
    List<Store.Row> rows = store.scan(new byte[] {(byte) kind}, 1);
    if (rows.isEmpty()) {
      return null;
    }
    byte[] key = rows.get(0).key();
    return new Due(
        ByteBuffer.wrap(key, 1, 8).getLong(),
        new String(key, 9, key.length - 9, StandardCharsets.UTF_8));
  }

  private static byte[] sagaKey(String sagaId) {
    byte[] id = sagaId.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(1 + id.length).put((byte) 'i').put(id).array();
  }

  private static byte[] timeKey(char kind, long at, String sagaId) {
    byte[] id = sagaId.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(9 + id.length).put((byte) kind).putLong(at).put(id).array();
  }
}

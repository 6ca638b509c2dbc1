package dev.lockstep.kernel.internal.engine;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Keys of rows: the first byte tells the host's rows (0) from the machine's (1). */
final class Keys {

  private static final byte HOST = 0;
  private static final byte MACHINE = 1;

  /** Where the fold stands; never part of its own digest. */
  static final byte[] FOLD = {HOST, 'f'};

  /** The Layout in force. */
  static final byte[] LAYOUT = {HOST, 'l'};

  private Keys() {}

  /** Mark of a source partition. */
  static byte[] mark(String topic, int partition) {
    return host('m', topic + "/" + partition);
  }

  /** Begin of the keys of all marks. */
  static byte[] marks() {
    return host('m', "");
  }

  /** Returns what follows the kind in the key of a row of the host. */
  static String name(byte[] key) {
    return new String(key, 2, key.length - 2, StandardCharsets.UTF_8);
  }

  /** Last position sent to a destination partition. */
  static byte[] previous(String topic, int partition) {
    return host('p', topic + "/" + partition);
  }

  static byte[] ofMachine(byte[] key) {
    byte[] full = new byte[key.length + 1];
    full[0] = MACHINE;
    System.arraycopy(key, 0, full, 1, key.length);
    return full;
  }

  static byte[] toMachine(byte[] full) {
    return Arrays.copyOfRange(full, 1, full.length);
  }

  /** Returns the first key that does not begin with the prefix. */
  static byte[] after(byte[] prefix) {
    byte[] next = prefix.clone();
    for (int i = next.length - 1; i >= 0; i--) {
      if (next[i] != (byte) 0xFF) {
        next[i]++;
        return Arrays.copyOf(next, i + 1);
      }
    }
    throw new IllegalArgumentException("No key stands behind a prefix of only FF");
  }

  private static byte[] host(char kind, String name) {
    byte[] text = name.getBytes(StandardCharsets.UTF_8);
    byte[] key = new byte[text.length + 2];
    key[0] = HOST;
    key[1] = (byte) kind;
    System.arraycopy(text, 0, key, 2, text.length);
    return key;
  }
}

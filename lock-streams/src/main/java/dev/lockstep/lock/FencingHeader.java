package dev.lockstep.lock;

import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Carries fencing tokens in a request or a record: header {@value #NAME}, value {@code
 * key=token;key=token}, keys percent-encoded. Who receives it checks the tokens where the write
 * happens, as {@link JdbcFence#require}, and over HTTP answers 409 (conflict) to {@link
 * StaleTokenException}: the sender has lost its lock and must not try again.
 */
public final class FencingHeader {

  /** Name of the HTTP or record header. */
  public static final String NAME = "Lockstep-Fence";

  private static final int LONGEST = 100_000;

  private FencingHeader() {}

  /**
   * Writes tokens.
   *
   * @param tokens fencing token by lock key, as {@link Lease#tokens}
   * @return header value
   */
  public static String format(Map<String, Long> tokens) {
    return new TreeMap<>(tokens)
        .entrySet().stream()
            .map(e -> URLEncoder.encode(e.getKey(), StandardCharsets.UTF_8) + "=" + e.getValue())
            .collect(Collectors.joining(";"));
  }

  /**
   * Reads tokens.
   *
   * @param value header value, null when there is none
   * @return fencing token by lock key
   * @throws IllegalArgumentException when there is none or it is not of the documented shape:
   *     answer with status 400
   */
  public static Map<String, Long> parse(@Nullable String value) {
    if (value == null) {
      throw new IllegalArgumentException(NAME + " is missing: send the tokens of the lease in it");
    }
    if (value.length() > LONGEST) {
      throw new IllegalArgumentException(
          NAME + " has " + value.length() + " characters, more than " + LONGEST);
    }
    Map<String, Long> tokens = new TreeMap<>();
    for (String each : value.split(";", -1)) {
      String part = each.strip();
      int at = part.indexOf('=');
      try {
        String key = URLDecoder.decode(part.substring(0, Math.max(0, at)), StandardCharsets.UTF_8);
        long token = Long.parseLong(part.substring(at + 1));
        if (at < 1 || token < 1 || tokens.put(key, token) != null) {
          throw new IllegalArgumentException(part);
        }
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(
            "%s must be key=token;key=token, each key once, tokens above 0; one part is '%s'"
                .formatted(NAME, part),
            e);
      }
    }
    return tokens;
  }
}

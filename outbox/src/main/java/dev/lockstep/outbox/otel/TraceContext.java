package dev.lockstep.outbox.otel;

import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.context.Context;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Lets a trace go on behind the outbox: what publishes and what handles the message are spans of
 * one trace, whichever relay sends it. Needs {@code opentelemetry-api}, which this module does not
 * bring.
 */
public final class TraceContext {

  private TraceContext() {}

  /**
   * Returns the headers of the current span, for {@link dev.lockstep.outbox.Outbox#addHeaders}.
   *
   * @return what the global propagators write, such as {@code traceparent}; empty outside a span
   */
  public static Map<String, String> headers() {
    Map<String, String> headers = new LinkedHashMap<>();
    GlobalOpenTelemetry.getPropagators()
        .getTextMapPropagator()
        .inject(
            Context.current(),
            headers,
            (carrier, name, value) -> {
              if (carrier != null) {
                carrier.put(name, value);
              }
            });
    return headers;
  }
}

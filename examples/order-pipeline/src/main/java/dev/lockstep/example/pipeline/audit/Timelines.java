package dev.lockstep.example.pipeline.audit;

import dev.lockstep.example.pipeline.audit.Evidence.SagaEnd;
import dev.lockstep.example.pipeline.audit.Evidence.SagaFacts;
import dev.lockstep.example.pipeline.audit.Evidence.StepFact;
import dev.lockstep.schema.saga.EndStatus;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;

/** A page with the timelines of a few sagas: one bar per step, from the end of the one before. */
final class Timelines {

  private static final int EACH = 6;
  private static final String HEAD =
      """
      <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Saga timelines</title><style>
      body{font:14px system-ui,sans-serif;margin:2em;max-width:1100px}
      .saga{margin:1em 0}.bar{position:relative;height:26px;background:#f2f2f2;border-radius:4px}
      .step{position:absolute;top:2px;height:22px;border-radius:3px;overflow:hidden;color:#fff;
        font-size:11px;line-height:22px;padding-left:4px;box-sizing:border-box;white-space:nowrap}
      .SUCCESS{background:#2b7a4b}.FAILURE{background:#b3382c}.RETRY{background:#b3382c}
      .CANCELLED{background:#8a5a00}.undo{background:#3b5b92}.note{color:#555}
      </style></head><body><h1>Saga timelines</h1>
      <p class="note">A bar is the time from the end of the step before; green did, red failed, blue undid.
      Times are the log's own, in milliseconds.</p>
      """;

  private Timelines() {}

  static String html(Collection<SagaFacts> sagas) {
    StringBuilder page = new StringBuilder(HEAD);
    for (SagaFacts saga : chosen(sagas)) {
      draw(page, saga);
    }
    return page.append("</body></html>\n").toString();
  }

  /** A few of each end, the slowest of each first. */
  private static List<SagaFacts> chosen(Collection<SagaFacts> sagas) {
    List<SagaFacts> chosen = new ArrayList<>();
    for (EndStatus status : EndStatus.values()) {
      sagas.stream()
          .filter(s -> !s.ends().isEmpty() && s.ends().get(0).status() == status)
          .sorted(Comparator.comparingLong(Timelines::length).reversed())
          .limit(EACH)
          .forEach(chosen::add);
    }
    return chosen;
  }

  private static long length(SagaFacts saga) {
    return saga.ends().get(0).at() - saga.startedAt();
  }

  private static void draw(StringBuilder page, SagaFacts saga) {
    SagaEnd end = saga.ends().get(0);
    long length = Math.max(1, length(saga));
    page.append(
        "<div class=\"saga\"><b>%s</b> %s after %d ms <span class=\"note\">%s</span><div class=\"bar\">"
            .formatted(escape(saga.id()), end.status(), length, escape(end.reason())));
    long from = saga.startedAt();
    for (StepFact step : saga.steps()) {
      double left = 100.0 * (from - saga.startedAt()) / length;
      double width = Math.max(0.4, 100.0 * (step.at() - from) / length);
      boolean undo = step.direction().equals("COMPENSATION");
      page.append(
          "<div class=\"step %s\" style=\"left:%.2f%%;width:%.2f%%\" title=\"%s %s: %s, %d attempts, %d ms\">%s</div>"
              .formatted(
                  undo ? "undo" : step.outcome(),
                  left,
                  width,
                  escape(step.step()),
                  step.direction(),
                  step.outcome(),
                  step.attempts(),
                  step.at() - from,
                  escape(step.step())));
      from = step.at();
    }
    page.append("</div></div>\n");
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;");
  }
}

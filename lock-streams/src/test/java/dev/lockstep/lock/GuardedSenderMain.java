package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;

/**
 * A process of its own that holds a lock, waits, and then sends under its token, whatever became of
 * it: a request to a URL and a record to a topic. {@code bootstrap url topic fileToWaitFor}.
 */
public final class GuardedSenderMain {

  private GuardedSenderMain() {}

  public static void main(String[] args) throws Exception {
    LockstepConfig config = LockstepConfig.of(args[0]);
    HolderProcess.run(
        config,
        "guarded",
        Path.of(args[3]),
        () -> {},
        lease -> {
          String tokens = FencingHeader.format(lease.tokens());
          HttpResponse<String> response =
              HttpClient.newHttpClient()
                  .send(
                      HttpRequest.newBuilder(URI.create(args[1]))
                          .header(FencingHeader.NAME, tokens)
                          .POST(HttpRequest.BodyPublishers.ofString("paused"))
                          .build(),
                      HttpResponse.BodyHandlers.ofString());
          FencedStream.send(config, args[2], "paused", tokens);
          System.out.println("answered " + response.statusCode() + " " + response.body());
        });
  }
}

package dev.lockstep.example.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What the README shows is what the tests run. */
class ReadmeTest {

  private static final Path ROOT = Path.of("..", "..");
  private static final Path SAMPLES =
      Path.of("src/test/java/dev/lockstep/example/pipeline/ReadmeSamplesIT.java");

  @Test
  void showsTheTestedSamples() throws IOException {
    String readme = Files.readString(ROOT.resolve("README.md"));

    for (String tag : List.of("outbox", "saga", "events")) {
      String sample = sample(tag);
      assertThat(readme).as("sample '%s'", tag).contains("```java\n" + sample + "\n```");
      assertThat(sample.lines().count()).as("lines of '%s'", tag).isLessThanOrEqualTo(25);
    }
  }

  @Test
  void namesTheCommandsThatExist() throws IOException {
    String readme = Files.readString(ROOT.resolve("README.md"));

    assertThat(readme).contains("./demo").contains("mvn verify");
    assertThat(Files.isExecutable(ROOT.resolve("demo"))).isTrue();
    assertThat(Files.readString(ROOT.resolve(".ci/run"))).contains("verify");
  }

  private static String sample(String tag) throws IOException {
    String source = Files.readString(SAMPLES);
    int begin = source.indexOf("// tag::" + tag + "[]\n") + ("// tag::" + tag + "[]\n").length();
    String body = source.substring(begin, source.indexOf("// end::" + tag + "[]")).stripTrailing();
    return body.stripIndent();
  }
}

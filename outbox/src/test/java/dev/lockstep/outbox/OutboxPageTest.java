package dev.lockstep.outbox;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the reference shows in Java is what the tests run. */
class OutboxPageTest {

  private static final Path PAGE = Path.of("..", "docs", "reference", "outbox.md");
  private static final Path TESTS = Path.of("src/test/java/dev/lockstep/outbox");

  @ParameterizedTest
  @CsvSource({
    "InboxIT, inbox",
    "SpringOutboxIT, spring",
    "SpringOutboxIT, transactional",
    "JtaOutboxIT, jta",
    "JooqOutboxIT, jooq",
    "WalIT, wal",
    "ReconcileIT, reconcile"
  })
  void showsTheTestedSamples(String test, String tag) throws IOException {
    String source = Files.readString(TESTS.resolve(test + ".java"));
    String begin = "// tag::" + tag + "[]\n";
    String sample =
        source.substring(
            source.indexOf(begin) + begin.length(), source.indexOf("// end::" + tag + "[]"));
    assertThat(Files.readString(PAGE))
        .contains("```java\n" + sample.stripTrailing().stripIndent() + "\n```");
  }
}

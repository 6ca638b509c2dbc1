package dev.lockstep.outbox;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** The page that lists dangerous executions names tests that run. */
class ExecutionsTest {

  private static final Path PAGE = Path.of("..", "docs", "reference", "outbox-executions.md");
  private static final Pattern TEST = Pattern.compile("`(\\w+)\\.(\\w+)`");
  private static final List<String> PACKAGES =
      List.of("dev.lockstep.outbox.", "dev.lockstep.outbox.internal.relay.");

  @Test
  void eachHasATestThatRuns() throws Exception {
    List<String> lines =
        Files.readAllLines(PAGE).stream().filter(line -> line.matches("\\| \\d+ \\|.*")).toList();
    assertThat(lines).hasSize(25);
    for (String line : lines) {
      List<MatchResult> named = TEST.matcher(line).results().toList();
      assertThat(named).as(line).isNotEmpty();
      for (MatchResult name : named) {
        assertThat(isTest(name.group(1), name.group(2))).as(name.group()).isTrue();
      }
    }
  }

  private static boolean isTest(String simpleName, String method) throws IOException {
    return PACKAGES.stream()
        .flatMap(
            name -> {
              try {
                return Arrays.stream(Class.forName(name + simpleName).getDeclaredMethods());
              } catch (ClassNotFoundException e) {
                return Arrays.stream(new Method[0]);
              }
            })
        .filter(found -> found.getName().equals(method))
        .anyMatch(
            found ->
                found.isAnnotationPresent(Test.class)
                    || found.isAnnotationPresent(ParameterizedTest.class));
  }
}

package dev.lockstep.example.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Bad input ends before anything is started: one clear line, exit code 2. */
class DemoCommandTest {

  private static final String HEADER =
      "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

  @TempDir Path directory;

  private static String refused(String... arguments) {
    StringWriter text = new StringWriter();
    CommandLine command = DemoMain.command();
    command.setErr(new PrintWriter(text));

    assertThat(command.execute(arguments)).isEqualTo(2);

    assertThat(text.toString().trim())
        .startsWith("demo: ")
        .doesNotContain("\n")
        .doesNotContain("\tat");
    return text.toString();
  }

  private String file(String name, byte[] content) throws IOException {
    return Files.write(directory.resolve(name), content).toString();
  }

  private String file(String name, String content) throws IOException {
    return file(name, content.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void allFaultsAreListedAtOnce() throws IOException {
    assertThat(
            refused(
                "--fail-rate", "7", "--orders", "0", "--kill", "moon@3", "--kill", "broker@soon"))
        .contains("--fail-rate must be 0 to 1, is 7.0")
        .contains("--orders must be at least 1, is 0")
        .contains("Kill 'moon@3' is not WHAT@SECONDS with WHAT one of [broker, locks,")
        .contains("'soon' is no number of seconds");
  }

  @Test
  void unknownOptionIsNamed() {
    assertThat(refused("--frobnicate")).contains("--frobnicate");
    assertThat(refused("--orders", "many")).contains("'many'");
    assertThat(refused("--fail-rate", "NaN")).contains("--fail-rate must be 0 to 1, is NaN");
  }

  @Test
  void unusableInputIsNamed() throws IOException {
    assertThat(refused("--input", directory.resolve("none.csv").toString()))
        .contains("none.csv is neither a file nor a directory");
    assertThat(refused("--input", directory.toString())).contains("has no .csv file");
    assertThat(refused("--input", file("empty.csv", ""))).contains("has columns [], needs");
    assertThat(refused("--input", file("other.csv", "a,b\n1,2\n"))).contains("has columns [a, b]");
    assertThat(refused("--input", file("binary.csv", new byte[] {'a', (byte) 0xC3, '\n', 7})))
        .contains("is not UTF-8 text");
    assertThat(refused("--input", file("bare.csv", HEADER))).contains("has no invoice line");
    assertThat(refused("--input", file("broken.csv", HEADER + "1,2,\"unclosed,3\n")))
        .contains("is no CSV behind invoice line 0");
  }

  @Test
  void reportThatIsAFileIsRefused() throws IOException {
    assertThat(refused("--report", file("report", "x"))).contains("is a file");
    assertThat(refused("--report", directory.resolve("report/below").toString()))
        .contains("cannot be written to");
  }

  @Test
  void topicsArePrintedWithoutABroker() {
    assertThat(DemoMain.command().execute("topics", "print")).isZero();
    assertThat(refused("topics", "destroy")).contains("destroy");
    assertThat(refused("topics", "epoch")).contains("needs --lock-partitions, --by and --reason");
    assertThat(refused("topics", "epoch", "--by", "me")).contains("--reason");
  }
}

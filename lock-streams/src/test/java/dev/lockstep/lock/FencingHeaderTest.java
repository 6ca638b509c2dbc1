package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.NotEmpty;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FencingHeaderTest {

  @Test
  void missingHeaderIsNamed() {
    assertThatThrownBy(() -> FencingHeader.parse(null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("Lockstep-Fence is missing");
  }

  @Property
  void anyKeysComeBack(
      @ForAll @Size(min = 1, max = 5) Map<@NotEmpty String, @LongRange(min = 1) Long> tokens) {
    // surrogates alone are no text
    Map<String, Long> clean = new java.util.TreeMap<>();
    tokens.forEach(
        (key, token) ->
            clean.put(
                new String(
                    key.getBytes(java.nio.charset.StandardCharsets.UTF_8),
                    java.nio.charset.StandardCharsets.UTF_8),
                token));

    assertThat(FencingHeader.parse(FencingHeader.format(clean))).isEqualTo(clean);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "k", "k=", "=1", "k=x", "k=0", "k=-1", "k=1;k=2", "k=1;;l=2", "%=1"})
  void whatIsNotOfTheShapeIsNamed(String value) {
    assertThatThrownBy(() -> FencingHeader.parse(value))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("Lockstep-Fence must be key=token;key=token");
  }
}

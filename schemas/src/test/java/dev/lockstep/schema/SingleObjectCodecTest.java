package dev.lockstep.schema;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.schema.kernel.Tick;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SingleObjectCodecTest {

  record Line(String sku, int quantity, long pence) {}

  record Order(String id, List<Line> lines, Map<String, String> notes, Instant placedAt) {}

  record Other(String id) {}

  private final SingleObjectCodec codec =
      new SingleObjectCodec(KernelSchemas.CATALOG.and(Order.class));

  @Test
  void readsBackAGeneratedRecord() {
    Tick tick = new Tick("instance-1");

    assertThat(codec.decode(codec.encode(tick))).isEqualTo(tick);
  }

  @Test
  void readsBackAJavaRecord() {
    Order order =
        new Order(
            "o-1",
            List.of(new Line("85123A", 6, 255)),
            Map.of("b", "2", "a", "1"),
            Instant.ofEpochMilli(1_700_000_000_123L));

    assertThat(codec.decode(codec.encode(order))).isEqualTo(order);
  }

  @Test
  void writesBytesThatAPlainAvroReaderExpects() {
    byte[] bytes = codec.encode(new Tick("x"));

    assertThat(bytes).startsWith(0xC3, 0x01).endsWith(2, 'x');
    assertThat(codec.fingerprint(bytes)).isEqualTo(RecordType.of(Tick.class).fingerprint());
  }

  @Test
  void refusesBytesWithoutMagic() {
    assertThatThrownBy(() -> codec.decode(LockstepHeaders.bytes("{\"json\":1}")))
        .isInstanceOf(MalformedRecordException.class)
        .hasMessage("Record of 10 bytes does not begin with C3 01 and a fingerprint");
  }

  @Test
  void refusesABodyThatIsCutShort() {
    byte[] bytes = codec.encode(new Tick("instance-1"));

    assertThatThrownBy(() -> codec.decode(Arrays.copyOf(bytes, bytes.length - 3)))
        .isInstanceOf(MalformedRecordException.class)
        .hasMessageContaining("is no dev.lockstep.schema.kernel.Tick");
  }

  @Test
  void refusesBytesThatAreLeftOver() {
    byte[] bytes = codec.encode(new Tick("instance-1"));

    assertThatThrownBy(() -> codec.decode(Arrays.copyOf(bytes, bytes.length + 1)))
        .isInstanceOf(MalformedRecordException.class)
        .hasMessageContaining("left over");
  }

  @Test
  void tellsAnUnknownSchemaFromABadRecord() {
    byte[] bytes = new SingleObjectCodec(SchemaCatalog.of(Other.class)).encode(new Other("1"));

    assertThatThrownBy(() -> codec.decode(bytes))
        .isInstanceOf(UnknownSchemaException.class)
        .hasMessageContaining("run the release that has it");
  }

  @Test
  void namesTheTypeThatIsNotRegistered() {
    assertThatThrownBy(() -> codec.encode(new Other("1")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("SchemaCatalog.and(Other.class)");
  }
}

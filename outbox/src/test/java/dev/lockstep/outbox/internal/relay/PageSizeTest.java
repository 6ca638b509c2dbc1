package dev.lockstep.outbox.internal.relay;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PageSizeTest {

  private static final long LONGEST = 1_000;

  private final PageSize page = new PageSize(10_000, LONGEST);

  @Test
  void growsWhilePagesAreFullAndQuick() {
    for (int i = 0; i < 10; i++) {
      page.sent(page.rows(), 1);
    }

    assertThat(page.rows()).isEqualTo(10_000);
  }

  @Test
  void staysWhereAPageWasNotFullOrNotQuick() {
    int before = page.rows();
    page.sent(before - 1, 1);
    page.sent(before, LONGEST / 2);

    assertThat(page.rows()).isEqualTo(before);
  }

  @Test
  void shrinksDownToOneRowAndNoFurther() {
    page.sent(page.rows(), LONGEST + 1);
    assertThat(page.rows()).isEqualTo(250);
    for (int i = 0; i < 20; i++) {
      page.shrink();
    }

    assertThat(page.rows()).isEqualTo(1);
    page.sent(1, 1);
    assertThat(page.rows()).isEqualTo(2);
  }

  @Test
  void beginsSmallWhereThatIsAllItMay() {
    assertThat(new PageSize(7, LONGEST).rows()).isEqualTo(7);
  }
}

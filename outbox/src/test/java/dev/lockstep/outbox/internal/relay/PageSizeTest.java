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

  @Test
  void pagesShareATransactionWhenTheyDoNotGrowAnyMore() {
    PageSize single = new PageSize(1, LONGEST);
    assertThat(pages(single)).isEqualTo(1);
    for (int i = 0; i < 5; i++) {
      single.sent(pages(single), 1);
    }
    assertThat(single.rows()).isEqualTo(1);
    assertThat(pages(single)).isEqualTo(PageSize.MOST_PAGES);

    single.shrink();
    assertThat(pages(single)).as("or a refused row would never be found").isEqualTo(1);
    page.sent(page.rows(), 1);
    assertThat(pages(page)).isEqualTo(1);
  }

  /** Found by a critic: eight pages of eight MiB each were one transaction. */
  @Test
  void pagesOfLargeRowsShareNone() {
    for (int i = 0; i < 20; i++) {
      page.sent(page.rows(), 1);
    }

    assertThat(page.hasRoom(1, PageSize.BYTES)).isTrue();
    assertThat(page.hasRoom(2, 2 * PageSize.BYTES)).isFalse();
  }

  private static int pages(PageSize page) {
    int pages = 1;
    while (page.hasRoom(pages, 0)) {
      pages++;
    }
    return pages;
  }
}

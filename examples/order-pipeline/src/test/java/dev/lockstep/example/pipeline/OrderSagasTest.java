package dev.lockstep.example.pipeline;

import dev.lockstep.example.pipeline.service.OrderSagas;
import dev.lockstep.example.pipeline.service.OrderSagas.AcceptOrder;
import dev.lockstep.example.pipeline.service.OrderSagas.Charge;
import dev.lockstep.example.pipeline.service.OrderSagas.CompleteOrder;
import dev.lockstep.example.pipeline.service.OrderSagas.Item;
import dev.lockstep.example.pipeline.service.OrderSagas.OrderState;
import dev.lockstep.example.pipeline.service.OrderSagas.RefundCharge;
import dev.lockstep.example.pipeline.service.OrderSagas.RefundReturn;
import dev.lockstep.example.pipeline.service.OrderSagas.RejectOrder;
import dev.lockstep.example.pipeline.service.OrderSagas.ReleaseStock;
import dev.lockstep.example.pipeline.service.OrderSagas.ReserveStock;
import dev.lockstep.example.pipeline.service.OrderSagas.Restock;
import dev.lockstep.example.pipeline.service.OrderSagas.Ship;
import dev.lockstep.testkit.saga.SagaScenario;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The two sagas of the shop in virtual time: no broker, no database. */
class OrderSagasTest {

  private static final List<Item> ITEMS = List.of(new Item("85123A", 2), new Item("22423", 1));
  private static final OrderState ORDER = new OrderState("536365", "17850", ITEMS, 3060);

  private static SagaScenario<OrderState> charged() {
    return SagaScenario.of(OrderSagas.PLACE)
        .start("536365", ORDER)
        .expectCommand("accept", new AcceptOrder("536365"))
        .succeed()
        .expectLocks("22423", "85123A")
        .grant()
        .expectCommand("reserve", new ReserveStock("536365", ITEMS))
        .succeed()
        .expectCommand("charge", new Charge("536365", "17850", 3060));
  }

  @Test
  void saleCompletes() {
    charged()
        .succeed()
        .expectCommand("ship", new Ship("536365", 3))
        .succeed()
        .expectCommand("complete", new CompleteOrder("536365"))
        .succeed()
        .expectCompleted();
  }

  @Test
  void declinedCardPutsTheStockBack() {
    charged()
        .fail("over the credit limit")
        .expectCompensation("reserve", new ReleaseStock("536365", ITEMS))
        .succeed()
        .expectCompensation("accept", new RejectOrder("536365"))
        .succeed()
        .expectCompensated("charge", "over the credit limit");
  }

  @Test
  void silentCarrierIsAskedBeforeTheMoneyGoesBack() {
    charged()
        .succeed()
        .expectCommand("ship", new Ship("536365", 3))
        .retry(Duration.ofSeconds(1), "no lorry")
        .after(Duration.ofSeconds(2))
        .expectCommand("ship", new Ship("536365", 3))
        .retry(Duration.ofSeconds(1), "no lorry")
        .after(Duration.ofSeconds(2))
        .expectCommand("ship", new Ship("536365", 3))
        .retry(Duration.ofSeconds(1), "no lorry")
        .after(Duration.ofSeconds(2))
        .expectCommand("ship", new Ship("536365", 3))
        .retry(Duration.ofSeconds(1), "no lorry")
        .after(Duration.ofSeconds(3))
        .expectCommand("ship", new Ship("536365", 3))
        .retry(Duration.ofSeconds(1), "no lorry")
        .expectCancel("ship")
        .cancelled()
        .expectCompensation("charge", new RefundCharge("536365", "17850", 3060))
        .succeed()
        .expectCompensation("reserve", new ReleaseStock("536365", ITEMS))
        .succeed()
        .expectCompensation("accept", new RejectOrder("536365"))
        .succeed()
        .expectCompensated("ship", "no lorry");
  }

  @Test
  void returnRestocksAndRefunds() {
    SagaScenario.of(OrderSagas.RETURN)
        .start("C536379", new OrderState("C536379", "14527", ITEMS, 2750))
        .expectCommand("accept", new AcceptOrder("C536379"))
        .succeed()
        .expectLocks("22423", "85123A")
        .grant()
        .expectCommand("restock", new Restock("C536379", ITEMS))
        .succeed()
        .expectCommand("refund", new RefundReturn("C536379", "14527", 2750))
        .succeed()
        .expectCommand("complete", new CompleteOrder("C536379"))
        .succeed()
        .expectCompleted();
  }
}

package dev.lockstep.outbox;

import dev.lockstep.outbox.TestDatabase.Kind;

class PoisonWalIT extends PoisonScenarios {

  PoisonWalIT() {
    super(Kind.POSTGRESQL, true);
  }
}

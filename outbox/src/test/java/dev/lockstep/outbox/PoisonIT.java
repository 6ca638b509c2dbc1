package dev.lockstep.outbox;

import dev.lockstep.outbox.TestDatabase.Kind;

class PoisonIT extends PoisonScenarios {

  PoisonIT() {
    super(Kind.POSTGRESQL);
  }
}

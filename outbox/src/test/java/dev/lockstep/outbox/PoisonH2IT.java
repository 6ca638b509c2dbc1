package dev.lockstep.outbox;

import dev.lockstep.outbox.TestDatabase.Kind;

class PoisonH2IT extends PoisonScenarios {

  PoisonH2IT() {
    super(Kind.H2);
  }
}

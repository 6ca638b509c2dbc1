package dev.lockstep.outbox;

import dev.lockstep.outbox.TestDatabase.Kind;

class PoisonMariaDbIT extends PoisonScenarios {

  PoisonMariaDbIT() {
    super(Kind.MARIADB);
  }
}

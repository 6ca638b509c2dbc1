package dev.lockstep.outbox;

import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.PostUpdate;
import jakarta.persistence.Table;
import jakarta.persistence.Transient;

/** An entity that can publish when it is written. */
@Entity
@Table(name = "account")
class Account {

  @Id String id;
  long balance;
  @Transient Runnable whenWritten = () -> {};

  void add(long amount) {
    balance += amount;
  }

  @PostUpdate
  void written() {
    whenWritten.run();
  }
}

package dev.lockstep.kernel;

/**
 * Collects what a turn announces. Checked here, before it exists: what is accepted never fails a
 * send for a reason that lies in the record (rule 10).
 */
public interface Effects {

  /**
   * Announces a record to whoever reads the topic, its partition chosen by the key. It carries its
   * position, and the attributes of CloudEvents.
   *
   * @param topic a destination that the Layout lists
   * @param key record key, UTF-8
   * @param record value, of a type in the machine's catalog
   * @throws EffectRefusedException when the topic is not listed or the record is too large: deny
   *     the request that caused it
   */
  void send(String topic, String key, Object record) throws EffectRefusedException;

  /**
   * Announces a record to the one who reads that partition for it. It carries its position only.
   *
   * @param topic a destination that the Layout lists
   * @param partition 0 to the Layout's count - 1
   * @param key record key, UTF-8
   * @param record value, of a type in the machine's catalog
   * @throws EffectRefusedException when the topic is not listed, has no such partition, or the
   *     record is too large: deny the request that caused it
   */
  void send(String topic, int partition, String key, Object record) throws EffectRefusedException;

  /**
   * Announces what nobody waits for: the host may send it some milliseconds later, with others, so
   * that both cost less. Order stays as it is: an effect never overtakes an earlier one of its turn
   * or of an earlier turn.
   *
   * @return another way into the same effects
   */
  Effects atLeisure();
}

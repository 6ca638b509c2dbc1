-- Least rights for the users of an outbox. Run it once, as the owner of its tables, then grant:
--   GRANT lockstep_writer, lockstep_consumer TO <user of your service>;
--   GRANT lockstep_relay TO <user of the relay>;
--   GRANT lockstep_operator TO <user of your operators>;
--   GRANT lockstep_reconciler TO <user of those who may reconcile>;

DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['lockstep_writer', 'lockstep_consumer', 'lockstep_relay', 'lockstep_operator', 'lockstep_reconciler'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    END IF;
  END LOOP;
END $$;

-- A service that publishes, and registers its topics. It reads, changes and deletes no message, and
-- sets neither the place of a row nor its time.
GRANT SELECT ON lockstep_outbox_topic, lockstep_outbox_meta TO lockstep_writer;
GRANT INSERT (topic, lane, partitions, on_poison), UPDATE (on_poison) ON lockstep_outbox_topic
  TO lockstep_writer;
GRANT INSERT (lane, id, topic, part, msg_key, payload, headers) ON lockstep_outbox TO lockstep_writer;
GRANT INSERT (not_before, lane, id, topic, part, msg_key, payload, headers) ON lockstep_outbox_scheduled
  TO lockstep_writer;
GRANT USAGE ON SEQUENCE lockstep_outbox_seq TO lockstep_writer;

-- A service that takes messages.
GRANT SELECT ON lockstep_outbox_topic TO lockstep_consumer;
GRANT SELECT, INSERT ON lockstep_inbox TO lockstep_consumer;
GRANT SELECT, INSERT, UPDATE (next_offset, epoch) ON lockstep_inbox_offset TO lockstep_consumer;
GRANT SELECT, INSERT, UPDATE (epoch, n) ON lockstep_inbox_sequence TO lockstep_consumer;
GRANT SELECT, INSERT, UPDATE (released, reason), DELETE ON lockstep_inbox_parked TO lockstep_consumer;
-- ids of days that are over are forgotten
DO $$
DECLARE
  slot regclass;
BEGIN
  FOR slot IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'lockstep_inbox'::regclass LOOP
    EXECUTE format('GRANT SELECT, TRUNCATE ON %s TO lockstep_consumer', slot);
  END LOOP;
END $$;

-- A relay: reads the ledger and truncates its segments, but changes no row of it.
GRANT SELECT ON lockstep_outbox, lockstep_outbox_seq TO lockstep_relay;
GRANT SELECT, UPDATE (cluster_id, positions_topic_id) ON lockstep_outbox_meta TO lockstep_relay;
GRANT SELECT, UPDATE (max_bytes, seen) ON lockstep_outbox_topic TO lockstep_relay;
GRANT SELECT, INSERT, UPDATE, DELETE
  ON lockstep_outbox_parked, lockstep_outbox_blocked, lockstep_outbox_owner TO lockstep_relay;
-- messages that are due move into the ledger
GRANT SELECT, UPDATE, DELETE ON lockstep_outbox_scheduled TO lockstep_relay;
GRANT INSERT (lane, id, topic, part, msg_key, payload, headers) ON lockstep_outbox TO lockstep_relay;
GRANT USAGE ON SEQUENCE lockstep_outbox_seq TO lockstep_relay;
DO $$
DECLARE
  segment regclass;
BEGIN
  FOR segment IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'lockstep_outbox'::regclass LOOP
    EXECUTE format('GRANT TRUNCATE ON %s TO lockstep_relay', segment);
  END LOOP;
END $$;

-- An operator: looks, pauses, unblocks, drops what is parked or lets it go on. What he did stays
-- written down.
GRANT SELECT ON lockstep_outbox, lockstep_outbox_meta, lockstep_outbox_topic, lockstep_outbox_parked,
  lockstep_outbox_blocked, lockstep_outbox_scheduled, lockstep_outbox_operation, lockstep_outbox_seq TO lockstep_operator;
GRANT UPDATE (paused_by) ON lockstep_outbox_meta TO lockstep_operator;
GRANT UPDATE (unblock_requested) ON lockstep_outbox_blocked TO lockstep_operator;
GRANT UPDATE (released), DELETE ON lockstep_outbox_parked TO lockstep_operator;
GRANT SELECT, UPDATE (released), DELETE ON lockstep_inbox_parked TO lockstep_operator;
GRANT SELECT, UPDATE (next_offset, epoch) ON lockstep_inbox_offset TO lockstep_operator;
GRANT INSERT ON lockstep_outbox_operation TO lockstep_operator;

-- An operator who may reconcile: gives the outbox a new id and positions, as a relay that takes every
-- shard over. Rows of a dump get transaction ids of this cluster; nothing else of the ledger changes.
GRANT lockstep_operator TO lockstep_reconciler;
GRANT UPDATE (source, former_sources, cluster_id, positions_topic_id) ON lockstep_outbox_meta TO lockstep_reconciler;
GRANT UPDATE ON SEQUENCE lockstep_outbox_seq TO lockstep_reconciler;
GRANT UPDATE (xid) ON lockstep_outbox TO lockstep_reconciler;
GRANT SELECT, INSERT, UPDATE, DELETE
  ON lockstep_outbox_parked, lockstep_outbox_blocked, lockstep_outbox_owner TO lockstep_reconciler;
GRANT DELETE ON lockstep_outbox_scheduled TO lockstep_reconciler;

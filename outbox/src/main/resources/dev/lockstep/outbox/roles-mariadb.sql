-- Least rights for the users of an outbox on MariaDB. Run it once in its database, as a user who may
-- create roles and grant, then:
--   GRANT lockstep_writer TO <user>; SET DEFAULT ROLE lockstep_writer FOR <user>;
-- A session has one role. A service that publishes and takes messages gets one of its own with both:
--   CREATE ROLE shop; GRANT lockstep_writer TO shop; GRANT lockstep_consumer TO shop;
-- Roles belong to the server, rights to the database in which this was run.

CREATE ROLE IF NOT EXISTS lockstep_writer;
CREATE ROLE IF NOT EXISTS lockstep_consumer;
CREATE ROLE IF NOT EXISTS lockstep_relay;
CREATE ROLE IF NOT EXISTS lockstep_operator;

-- A service that publishes, and registers its topics. It reads, changes and deletes no message, and
-- sets neither the place of a row nor its time.
GRANT SELECT ON lockstep_outbox_meta TO lockstep_writer;
GRANT SELECT, INSERT (topic, lane, partitions, on_poison), UPDATE (on_poison) ON lockstep_outbox_topic
  TO lockstep_writer;
GRANT INSERT (lane, id, topic, part, msg_key, payload, headers) ON lockstep_outbox TO lockstep_writer;
GRANT INSERT (not_before, lane, id, topic, part, msg_key, payload, headers) ON lockstep_outbox_scheduled
  TO lockstep_writer;
-- KeyOrder.ADVISORY_LOCK locks its rows
GRANT SELECT ON lockstep_outbox_key TO lockstep_writer;

-- A service that takes messages.
GRANT SELECT ON lockstep_outbox_topic TO lockstep_consumer;
GRANT SELECT, INSERT, DELETE ON lockstep_inbox TO lockstep_consumer;
GRANT SELECT, INSERT, UPDATE (next_offset, epoch) ON lockstep_inbox_offset TO lockstep_consumer;
GRANT SELECT, INSERT, UPDATE (epoch, n) ON lockstep_inbox_sequence TO lockstep_consumer;
GRANT SELECT, INSERT, UPDATE (released, reason), DELETE ON lockstep_inbox_parked TO lockstep_consumer;

-- A relay: reads and deletes messages, moves those that are due, but changes none.
GRANT SELECT, DELETE, INSERT (lane, id, topic, part, msg_key, payload, headers) ON lockstep_outbox
  TO lockstep_relay;
GRANT SELECT, DELETE ON lockstep_outbox_scheduled TO lockstep_relay;
GRANT SELECT, UPDATE (cluster_id, positions_topic_id) ON lockstep_outbox_meta TO lockstep_relay;
GRANT SELECT, UPDATE (max_bytes, seen) ON lockstep_outbox_topic TO lockstep_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON lockstep_outbox_parked TO lockstep_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON lockstep_outbox_blocked TO lockstep_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON lockstep_outbox_owner TO lockstep_relay;

-- An operator: looks, pauses, unblocks, drops what is parked or lets it go on. What he did stays
-- written down.
GRANT SELECT ON lockstep_outbox TO lockstep_operator;
GRANT SELECT ON lockstep_outbox_topic TO lockstep_operator;
GRANT SELECT ON lockstep_outbox_scheduled TO lockstep_operator;
GRANT SELECT, UPDATE (paused_by) ON lockstep_outbox_meta TO lockstep_operator;
GRANT SELECT, UPDATE (unblock_requested) ON lockstep_outbox_blocked TO lockstep_operator;
GRANT SELECT, UPDATE (released), DELETE ON lockstep_outbox_parked TO lockstep_operator;
GRANT SELECT, UPDATE (released), DELETE ON lockstep_inbox_parked TO lockstep_operator;
GRANT SELECT, UPDATE (next_offset, epoch) ON lockstep_inbox_offset TO lockstep_operator;
GRANT SELECT, INSERT (principal, reason, operation) ON lockstep_outbox_operation TO lockstep_operator;

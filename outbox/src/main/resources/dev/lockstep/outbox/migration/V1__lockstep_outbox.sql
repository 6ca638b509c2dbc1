-- Lockstep outbox: an append-only ledger. The relay never updates or deletes its rows.

CREATE TABLE lockstep_outbox_meta (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- names this outbox to receivers; a database that was made anew has another one
  source uuid NOT NULL DEFAULT gen_random_uuid(),
  -- set by the first relay: another Kafka cluster, or a position topic that was lost, must not start silently
  cluster_id text,
  positions_topic_id text
);
INSERT INTO lockstep_outbox_meta DEFAULT VALUES;

-- A lane belongs to a topic. Lane 0: exactly once, inside the relay's Kafka transaction.
-- Lane 1: express, at once; for topics that are read by machines or inboxes.
CREATE TABLE lockstep_outbox_topic (
  topic text PRIMARY KEY,
  lane smallint NOT NULL CHECK (lane IN (0, 1)),
  partitions integer CHECK (partitions > 0),
  max_bytes integer NOT NULL DEFAULT 1000000
);

-- CACHE 1: a larger one destroys the order of commits on one key.
CREATE SEQUENCE lockstep_outbox_seq CACHE 1;

CREATE TABLE lockstep_outbox (
  -- first column: the transaction has its id before seq is drawn
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq bigint NOT NULL DEFAULT nextval('lockstep_outbox_seq'),
  -- a quarter of an hour by the database's clock
  segment smallint NOT NULL DEFAULT ((extract(epoch FROM now())::bigint / 900) % 4),
  lane smallint NOT NULL,
  ordering_key bytea NOT NULL,
  -- two shards per lane, by the first bytes of md5: writers in any language agree
  shard smallint NOT NULL GENERATED ALWAYS AS
    ((lane * 2 + get_byte(decode(md5(ordering_key), 'hex'), 0) % 2)::smallint) STORED,
  id uuid NOT NULL,
  topic text NOT NULL,
  part integer,
  msg_key bytea,
  payload bytea,
  -- names and values in turn
  headers text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (shard, seq, segment)
) PARTITION BY LIST (segment);

CREATE TABLE lockstep_outbox_0 PARTITION OF lockstep_outbox FOR VALUES IN (0);
CREATE TABLE lockstep_outbox_1 PARTITION OF lockstep_outbox FOR VALUES IN (1);
CREATE TABLE lockstep_outbox_2 PARTITION OF lockstep_outbox FOR VALUES IN (2);
CREATE TABLE lockstep_outbox_3 PARTITION OF lockstep_outbox FOR VALUES IN (3);

CREATE INDEX lockstep_outbox_window ON lockstep_outbox (shard, xid, seq);

-- Ids of messages that a consumer has taken, by the time of the message.
CREATE TABLE lockstep_inbox (
  consumer text NOT NULL,
  message_id text NOT NULL,
  message_at timestamptz NOT NULL,
  PRIMARY KEY (consumer, message_id)
);
CREATE INDEX lockstep_inbox_age ON lockstep_inbox (message_at);

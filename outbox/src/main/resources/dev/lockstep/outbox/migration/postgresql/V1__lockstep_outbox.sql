-- Lockstep outbox: an append-only ledger. The relay never updates or deletes its rows, it only
-- truncates segments that are published.

CREATE TABLE lockstep_outbox_meta (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  schema_version integer NOT NULL DEFAULT 1,
  -- names this outbox to receivers; a database that was made anew has another one, and reconcile gives a new one
  source uuid NOT NULL DEFAULT gen_random_uuid(),
  former_sources uuid[] NOT NULL DEFAULT '{}',
  -- set by the first relay: another Kafka cluster, or a position topic that was lost, must not start silently.
  -- positions_topic_id is 'reconciling' while no relay may start
  cluster_id text,
  positions_topic_id text,
  -- set by lockstep_outbox_configure
  shards integer NOT NULL DEFAULT 0,
  segments integer NOT NULL DEFAULT 0,
  segment_seconds integer NOT NULL DEFAULT 0,
  -- while it is set, relays publish nothing
  paused_by text
);
INSERT INTO lockstep_outbox_meta DEFAULT VALUES;

-- A lane belongs to a topic. Lane 0: exactly once, inside the relay's Kafka transaction.
-- Lane 1: express, at once; for topics that are read by machines or inboxes.
CREATE TABLE lockstep_outbox_topic (
  topic text PRIMARY KEY,
  lane smallint NOT NULL CHECK (lane IN (0, 1)),
  partitions integer CHECK (partitions > 0),
  -- kept by the relay: what the topic takes
  max_bytes integer NOT NULL DEFAULT 1000000,
  -- kept by the relay: it was there once. A topic that never was is a mistake that stops a relay's start
  seen boolean NOT NULL DEFAULT false,
  -- what becomes of a row that Kafka refuses. 0: its key waits, 1: it is parked, 2: the shard waits
  on_poison smallint NOT NULL DEFAULT 0 CHECK (on_poison IN (0, 1, 2))
);

-- CACHE 1: a larger one destroys the order of commits on one key.
CREATE SEQUENCE lockstep_outbox_seq CACHE 1;

-- Replaced by lockstep_outbox_configure, which knows the numbers.
CREATE FUNCTION lockstep_outbox_shard(lane smallint, hash text) RETURNS smallint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT lane';
CREATE FUNCTION lockstep_outbox_segment() RETURNS smallint
  LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT 0::smallint';

CREATE FUNCTION lockstep_outbox_headers_fit(headers text[]) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  'SELECT coalesce(array_ndims(headers), 1) = 1 AND array_position(headers, NULL) IS NULL AND cardinality(headers) % 2 = 0';

CREATE TABLE lockstep_outbox (
  -- first column: the transaction has its id before seq is drawn
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq bigint NOT NULL DEFAULT nextval('lockstep_outbox_seq'),
  -- a stretch of time by the database's clock
  segment smallint NOT NULL DEFAULT lockstep_outbox_segment(),
  lane smallint NOT NULL CHECK (lane IN (0, 1)),
  id uuid NOT NULL,
  topic text NOT NULL,
  part integer CHECK (part >= 0),
  msg_key bytea,
  -- NULL is a tombstone
  payload bytea,
  -- names and values in turn
  headers text[] NOT NULL DEFAULT '{}' CHECK (lockstep_outbox_headers_fit(headers)),
  created_at timestamptz NOT NULL DEFAULT now(),
  -- order is kept by key, else by partition if one is asked for, else not at all. By md5, so that
  -- writers in any language agree
  shard smallint NOT NULL GENERATED ALWAYS AS (lockstep_outbox_shard(lane,
    CASE WHEN msg_key IS NOT NULL THEN md5(msg_key)
         WHEN part IS NOT NULL THEN md5(topic || '/' || part::text)
         ELSE md5(id::text) END)) STORED,
  PRIMARY KEY (shard, seq, segment)
) PARTITION BY LIST (segment);
CREATE INDEX lockstep_outbox_window ON lockstep_outbox (shard, xid, seq);

-- Makes shards (of each lane) and segments. The ledger must be empty: a key may change its shard.
CREATE FUNCTION lockstep_outbox_configure(new_shards integer, new_segments integer, new_seconds integer)
  RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  old_segments integer;
BEGIN
  IF new_shards NOT BETWEEN 1 AND 64 OR new_segments NOT BETWEEN 3 AND 96 OR new_seconds NOT BETWEEN 1 AND 86400 THEN
    RAISE EXCEPTION 'lockstep_outbox_configure: shards must be 1 to 64, segments 3 to 96, seconds 1 to 86400';
  END IF;
  LOCK TABLE lockstep_outbox IN ACCESS EXCLUSIVE MODE;
  SELECT segments INTO old_segments FROM lockstep_outbox_meta FOR UPDATE;
  IF EXISTS (SELECT FROM lockstep_outbox) THEN
    RAISE EXCEPTION 'lockstep_outbox has rows: let a relay publish and truncate them, while nobody writes, and try again';
  END IF;
  EXECUTE format('CREATE OR REPLACE FUNCTION lockstep_outbox_shard(lane smallint, hash text) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    ''SELECT (lane * %1$s + (''''x'''' || substr(hash, 1, 8))::bit(32)::bigint %% %1$s)::smallint''', new_shards);
  EXECUTE format('CREATE OR REPLACE FUNCTION lockstep_outbox_segment() RETURNS smallint
    LANGUAGE sql STABLE PARALLEL SAFE AS
    ''SELECT ((extract(epoch FROM now())::bigint / %s) %% %s)::smallint''', new_seconds, new_segments);
  IF to_regclass('lockstep_outbox_parked') IS NOT NULL THEN
    IF EXISTS (SELECT FROM lockstep_outbox_parked) OR EXISTS (SELECT FROM lockstep_outbox_blocked) THEN
      RAISE EXCEPTION 'lockstep_outbox_parked or lockstep_outbox_blocked has rows: unblock or discard them first';
    END IF;
  END IF;
  FOR i IN 0 .. old_segments - 1 LOOP
    EXECUTE format('DROP TABLE lockstep_outbox_%s', i);
  END LOOP;
  FOR i IN 0 .. new_segments - 1 LOOP
    -- rows go by TRUNCATE: there is nothing to vacuum
    EXECUTE format('CREATE TABLE lockstep_outbox_%1$s PARTITION OF lockstep_outbox FOR VALUES IN (%1$s)
      WITH (autovacuum_vacuum_insert_threshold = -1)', i);
  END LOOP;
  UPDATE lockstep_outbox_meta SET shards = new_shards, segments = new_segments, segment_seconds = new_seconds;
END $$;
SELECT lockstep_outbox_configure(2, 4, 900);

-- What a shard does not publish for now: rows of blocked keys and topics, and parked ones.
CREATE TABLE lockstep_outbox_parked (
  shard smallint NOT NULL,
  seq bigint NOT NULL,
  xid xid8 NOT NULL,
  id uuid NOT NULL,
  topic text NOT NULL,
  part integer,
  msg_key bytea,
  payload bytea,
  headers text[] NOT NULL,
  created_at timestamptz NOT NULL,
  reason text NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT now(),
  -- true: goes out in its order when its key or topic is unblocked
  blocked boolean NOT NULL,
  -- set by an operator: publish it now
  released boolean NOT NULL DEFAULT false,
  PRIMARY KEY (shard, seq)
);
CREATE INDEX lockstep_outbox_parked_released ON lockstep_outbox_parked (shard, seq) WHERE released;
CREATE INDEX lockstep_outbox_parked_key ON lockstep_outbox_parked (shard, topic, msg_key, seq);

-- What waits in lockstep_outbox_parked: a key of a topic, or a whole topic.
CREATE TABLE lockstep_outbox_blocked (
  shard smallint NOT NULL,
  topic text NOT NULL,
  whole_topic boolean NOT NULL,
  msg_key bytea NOT NULL,
  reason text NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  -- true: ends by itself when the topic can be reached again
  probed boolean NOT NULL,
  unblock_requested boolean NOT NULL DEFAULT false,
  PRIMARY KEY (shard, topic, whole_topic, msg_key)
);

-- The relay epoch that may write to the two tables above: a relay that stood still and was replaced
-- must not, and Kafka's fencing does not reach here.
CREATE TABLE lockstep_outbox_owner (
  shard smallint PRIMARY KEY,
  epoch bigint NOT NULL
);

-- What operators did: who, why, what.
CREATE TABLE lockstep_outbox_operation (
  at timestamptz NOT NULL DEFAULT now(),
  principal text NOT NULL,
  reason text NOT NULL,
  operation text NOT NULL
);

-- Messages that must not leave before a time; the relay moves them into the ledger then.
CREATE TABLE lockstep_outbox_scheduled (
  not_before timestamptz NOT NULL,
  id uuid NOT NULL,
  lane smallint NOT NULL CHECK (lane IN (0, 1)),
  topic text NOT NULL,
  part integer CHECK (part >= 0),
  msg_key bytea,
  payload bytea,
  headers text[] NOT NULL DEFAULT '{}' CHECK (lockstep_outbox_headers_fit(headers)),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (not_before, id)
);

-- For writers without the library: one call publishes with the caller's transaction.
CREATE FUNCTION lockstep_outbox_publish(to_topic text, key bytea, value bytea,
    with_headers text[] DEFAULT '{}', not_before timestamptz DEFAULT NULL)
  RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  known lockstep_outbox_topic;
  message uuid := gen_random_uuid();
BEGIN
  SELECT * INTO known FROM lockstep_outbox_topic t WHERE t.topic = to_topic;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Topic ''%'' is not registered with this outbox', to_topic;
  END IF;
  IF coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)
      + (SELECT coalesce(sum(octet_length(h)), 0) FROM unnest(with_headers) h) > known.max_bytes THEN
    RAISE EXCEPTION 'Message to ''%'' is too large: the topic takes % bytes', to_topic, known.max_bytes;
  END IF;
  -- a relay may publish what a crash of the database would otherwise take back
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  IF not_before IS NULL THEN
    INSERT INTO lockstep_outbox (lane, id, topic, msg_key, payload, headers)
      VALUES (known.lane, message, to_topic, key, value, with_headers);
  ELSE
    INSERT INTO lockstep_outbox_scheduled (not_before, lane, id, topic, msg_key, payload, headers)
      VALUES (not_before, known.lane, message, to_topic, key, value, with_headers);
  END IF;
  RETURN message;
END $$;

-- Ids of messages that a consumer has taken. A slot is a day by the message's own time, so that a
-- repeat meets its first; slots of days that are over are truncated.
CREATE TABLE lockstep_inbox (
  consumer text NOT NULL,
  message_id text NOT NULL,
  slot smallint NOT NULL,
  message_at timestamptz NOT NULL,
  PRIMARY KEY (consumer, message_id, slot)
) PARTITION BY LIST (slot);
DO $$ BEGIN
  FOR i IN 0 .. 15 LOOP
    EXECUTE format('CREATE TABLE lockstep_inbox_%1$s PARTITION OF lockstep_inbox FOR VALUES IN (%1$s)', i);
  END LOOP;
END $$;

-- How far a consumer has handled a partition of an exactly-once topic. The epoch is the row's own:
-- a consumer group's begins again when the group is forgotten.
CREATE TABLE lockstep_inbox_offset (
  consumer text NOT NULL,
  topic_id text NOT NULL,
  part integer NOT NULL,
  topic text NOT NULL,
  next_offset bigint NOT NULL,
  epoch bigint NOT NULL,
  PRIMARY KEY (consumer, topic_id, part)
) WITH (fillfactor = 50);

-- The last number that a consumer took of each shard of an outbox, by partition of a topic.
CREATE TABLE lockstep_inbox_sequence (
  consumer text NOT NULL,
  topic text NOT NULL,
  part integer NOT NULL,
  source text NOT NULL,
  shard integer NOT NULL,
  epoch bigint NOT NULL,
  n bigint NOT NULL,
  PRIMARY KEY (consumer, topic, part, source, shard)
) WITH (fillfactor = 50);

-- Messages that a handler refused, until it takes them again or an operator drops them.
CREATE TABLE lockstep_inbox_parked (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer text NOT NULL,
  topic text NOT NULL,
  part integer NOT NULL,
  record_offset bigint NOT NULL,
  -- as Kafka has it: ms since the epoch, and whose clock it was
  record_time bigint NOT NULL,
  time_type text NOT NULL,
  msg_key bytea,
  payload bytea,
  -- JSON list of names and values, values in base64
  headers text NOT NULL,
  reason text NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT now(),
  -- set by an operator: handle it again
  released boolean NOT NULL DEFAULT false
);
CREATE INDEX lockstep_inbox_parked_released ON lockstep_inbox_parked (consumer, topic, part, n) WHERE released;

-- Lockstep outbox for MariaDB 10.6 and MySQL 8.0.16 or newer. A row that is there is not published;
-- the relay deletes rows behind the commit of their Kafka transaction. Times are ms since the epoch.
-- Each statement can be run again.

CREATE TABLE IF NOT EXISTS lockstep_outbox_topic (
  topic varchar(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  -- 0: exactly once, inside the relay's Kafka transaction. 1: express, at once
  lane smallint NOT NULL CHECK (lane IN (0, 1)),
  partitions integer CHECK (partitions > 0),
  -- kept by the relay: what the topic takes
  max_bytes integer NOT NULL DEFAULT 1000000,
  -- kept by the relay: it was there once
  seen boolean NOT NULL DEFAULT false,
  -- what becomes of a row that Kafka refuses. 0: its key waits, 1: it is parked, 2: the shard waits
  on_poison smallint NOT NULL DEFAULT 0 CHECK (on_poison IN (0, 1, 2))
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS lockstep_outbox (
  seq bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  lane smallint NOT NULL CHECK (lane IN (0, 1)),
  id varchar(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
    CHECK (id REGEXP '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'),
  topic varchar(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  part integer CHECK (part >= 0),
  msg_key longblob,
  -- NULL is a tombstone
  payload longblob,
  -- JSON object, names and texts
  headers longtext CHARACTER SET utf8mb4 NOT NULL DEFAULT ('{}'),
  created_at bigint NOT NULL DEFAULT (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(3)) DIV 1000),
  -- order is kept by key, else by partition if one is asked for, else not at all
  hash bigint AS (CASE WHEN msg_key IS NOT NULL THEN crc32(msg_key)
                       WHEN part IS NOT NULL THEN crc32(topic) + part
                       ELSE crc32(id) END) STORED,
  shard smallint AS (lane * 2 + mod(hash, 2)) STORED,
  KEY lockstep_outbox_next (shard, seq)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS lockstep_outbox_parked (
  shard smallint NOT NULL,
  seq bigint NOT NULL,
  id varchar(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  topic varchar(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  part integer,
  msg_key longblob,
  payload longblob,
  headers longtext CHARACTER SET utf8mb4 NOT NULL DEFAULT ('{}'),
  created_at bigint NOT NULL,
  reason text CHARACTER SET utf8mb4 NOT NULL,
  parked_at bigint NOT NULL DEFAULT (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(3)) DIV 1000),
  -- true: goes out in its order when its key or topic is unblocked
  blocked boolean NOT NULL,
  -- set by an operator: publish it now
  released boolean NOT NULL DEFAULT false,
  PRIMARY KEY (shard, seq, id)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS lockstep_outbox_blocked (
  n bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  shard smallint NOT NULL,
  topic varchar(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  whole_topic boolean NOT NULL,
  msg_key longblob NOT NULL,
  reason text CHARACTER SET utf8mb4 NOT NULL,
  since bigint NOT NULL DEFAULT (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(3)) DIV 1000),
  -- true: ends by itself when the topic can be reached again
  probed boolean NOT NULL,
  unblock_requested boolean NOT NULL DEFAULT false,
  KEY lockstep_outbox_blocked_key (shard, topic, whole_topic)
) ENGINE=InnoDB;

-- The relay epoch that may write to the two tables above.
CREATE TABLE IF NOT EXISTS lockstep_outbox_owner (
  shard smallint NOT NULL PRIMARY KEY,
  epoch bigint NOT NULL
) ENGINE=InnoDB;

-- What operators did: who, why, what.
CREATE TABLE IF NOT EXISTS lockstep_outbox_operation (
  n bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  at bigint NOT NULL DEFAULT (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(3)) DIV 1000),
  principal varchar(256) CHARACTER SET utf8mb4 NOT NULL,
  reason text CHARACTER SET utf8mb4 NOT NULL,
  operation text CHARACTER SET utf8mb4 NOT NULL
) ENGINE=InnoDB;

-- Messages that must not leave before a time; the relay moves them into the outbox then.
CREATE TABLE IF NOT EXISTS lockstep_outbox_scheduled (
  not_before bigint NOT NULL,
  id varchar(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  lane smallint NOT NULL CHECK (lane IN (0, 1)),
  topic varchar(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  part integer CHECK (part >= 0),
  msg_key longblob,
  payload longblob,
  headers longtext CHARACTER SET utf8mb4 NOT NULL DEFAULT ('{}'),
  created_at bigint NOT NULL DEFAULT (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(3)) DIV 1000),
  PRIMARY KEY (not_before, id)
) ENGINE=InnoDB;

-- Rows to lock for keys that no row of the application stands for: KeyOrder.ADVISORY_LOCK.
CREATE TABLE IF NOT EXISTS lockstep_outbox_key (
  bucket smallint NOT NULL PRIMARY KEY
) ENGINE=InnoDB;

INSERT IGNORE INTO lockstep_outbox_key
  WITH RECURSIVE n (bucket) AS (SELECT 0 UNION ALL SELECT bucket + 1 FROM n WHERE bucket < 255)
  SELECT bucket FROM n;

-- Ids of messages that a consumer has taken. A slot is a day by the message's own time.
CREATE TABLE IF NOT EXISTS lockstep_inbox (
  consumer varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  message_id varchar(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  slot smallint NOT NULL,
  message_at bigint NOT NULL,
  PRIMARY KEY (consumer, message_id, slot),
  KEY lockstep_inbox_age (message_at)
) ENGINE=InnoDB;

-- How far a consumer has handled a partition of an exactly-once topic. The epoch is the row's own.
CREATE TABLE IF NOT EXISTS lockstep_inbox_offset (
  consumer varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  topic_id varchar(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  part integer NOT NULL,
  topic varchar(249) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  next_offset bigint NOT NULL,
  epoch bigint NOT NULL,
  PRIMARY KEY (consumer, topic_id, part)
) ENGINE=InnoDB;

-- The last number that a consumer took of each shard of an outbox, by partition of a topic.
CREATE TABLE IF NOT EXISTS lockstep_inbox_sequence (
  consumer varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  topic varchar(249) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  part integer NOT NULL,
  source varchar(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  shard integer NOT NULL,
  epoch bigint NOT NULL,
  n bigint NOT NULL,
  PRIMARY KEY (consumer, topic, part, source, shard)
) ENGINE=InnoDB;

-- Messages that a handler refused, until it takes them again or an operator drops them.
CREATE TABLE IF NOT EXISTS lockstep_inbox_parked (
  n bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  consumer varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  topic varchar(249) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  part integer NOT NULL,
  record_offset bigint NOT NULL,
  -- as Kafka has it: ms since the epoch, and whose clock it was
  record_time bigint NOT NULL,
  time_type varchar(20) CHARACTER SET ascii NOT NULL,
  msg_key longblob,
  payload longblob,
  -- JSON list of names and values, values in base64
  headers longtext CHARACTER SET utf8mb4 NOT NULL,
  reason longtext CHARACTER SET utf8mb4 NOT NULL,
  parked_at bigint NOT NULL DEFAULT (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(3)) DIV 1000),
  -- set by an operator: handle it again
  released boolean NOT NULL DEFAULT false,
  KEY lockstep_inbox_parked_released (consumer, released, topic, part)
) ENGINE=InnoDB;

-- Last: a database that has it has all of them.
CREATE TABLE IF NOT EXISTS lockstep_outbox_meta (
  only_row boolean NOT NULL DEFAULT true PRIMARY KEY CHECK (only_row = true),
  schema_version integer NOT NULL DEFAULT 1,
  -- names this outbox to receivers; a database that was made anew has another one
  source varchar(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- set by the first relay
  cluster_id varchar(100) CHARACTER SET ascii,
  positions_topic_id varchar(100) CHARACTER SET ascii,
  shards integer NOT NULL DEFAULT 2,
  -- while it is set, relays publish nothing
  paused_by text CHARACTER SET utf8mb4
) ENGINE=InnoDB;

INSERT IGNORE INTO lockstep_outbox_meta (source) VALUES (uuid());

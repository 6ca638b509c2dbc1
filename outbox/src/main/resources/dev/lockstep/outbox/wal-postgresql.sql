-- For relays that follow the write-ahead log (RelayOptions.withWal): once, by the owner of the
-- tables, who needs CREATE on the database. The server needs wal_level = logical.
CREATE PUBLICATION lockstep_outbox FOR TABLE lockstep_outbox
  WITH (publish = 'insert', publish_via_partition_root = true);

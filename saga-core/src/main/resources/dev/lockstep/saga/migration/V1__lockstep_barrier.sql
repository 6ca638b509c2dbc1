-- What a participant did and answered, once per saga, step and direction (A: action, C: compensation).
CREATE TABLE lockstep_barrier (
  saga_id text NOT NULL,
  step text NOT NULL,
  direction char(1) NOT NULL CHECK (direction IN ('A', 'C')),
  -- SUCCESS, FAILURE: final replies. CANCELLED, REFUSED: the action may never happen.
  outcome text NOT NULL,
  content_hash bigint NOT NULL,
  reason text NOT NULL DEFAULT '',
  payload bytea NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (saga_id, step, direction)
);
CREATE INDEX lockstep_barrier_age ON lockstep_barrier (created_at);

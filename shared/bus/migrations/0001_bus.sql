-- migrate:up

-- What was said in a transaction and has not been confirmed by the transport yet.
-- Claimed by lease and by state, never by "id >": a row may commit after a higher id.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('event', 'command', 'effect')),
    topic text NOT NULL,
    subject text NOT NULL DEFAULT '',
    sequence bigint NOT NULL DEFAULT 0,
    body bytea NOT NULL,
    merchant_id text NOT NULL DEFAULT '',
    mode text NOT NULL,
    request_id text NOT NULL DEFAULT '',
    traceparent text NOT NULL DEFAULT '',
    said_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    lease_by text,
    CHECK ((lease_until IS NULL) = (lease_by IS NULL))
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX outbox_due ON outbox (next_at);

-- What was handled, and what was answered. A reply is kept 24 h, the rest 30 days: longer than
-- any redelivery can take.
CREATE TABLE inbox (
    message_id text NOT NULL,
    handler text NOT NULL,
    body_hash text NOT NULL DEFAULT '',
    reply bytea,
    is_refusal boolean NOT NULL DEFAULT false,
    handled_at timestamptz NOT NULL,
    PRIMARY KEY (message_id, handler)
);

CREATE INDEX inbox_age ON inbox (handled_at);
CREATE INDEX inbox_replies ON inbox (handled_at) WHERE reply IS NOT NULL;

-- The number of facts said about each subject: `sequence` is gapless per source and subject.
CREATE TABLE subject_sequences (
    subject text PRIMARY KEY,
    last bigint NOT NULL CHECK (last > 0)
);

-- Messages nobody could handle, with the reason; the broker's parking queues hold the rest.
CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL,
    queue text NOT NULL,
    topic text NOT NULL,
    envelope jsonb NOT NULL,
    reason text NOT NULL,
    buried_at timestamptz NOT NULL DEFAULT now()
);

-- migrate:down
DROP TABLE dead_letters, subject_sequences, inbox, outbox;

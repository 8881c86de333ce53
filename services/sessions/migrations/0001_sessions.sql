-- migrate:up

-- `frozen` is what never changes once the session is open: configs, questions, answers.
-- `pay_order` is the request that orders has not confirmed yet; it holds what the buyer typed, so
-- it is emptied as soon as it is not needed.
CREATE TABLE sessions (
    merchant_id text NOT NULL,
    checkout_session_id text NOT NULL,
    mode_environment text NOT NULL CHECK (mode_environment IN ('test', 'live')),
    order_id text NOT NULL,
    payment_link_id text,
    source text NOT NULL,
    name text NOT NULL DEFAULT '',
    status text NOT NULL CHECK (status IN ('open', 'paid', 'expired', 'closed', 'invalidated')),
    terminal_reason text,
    closed_reason text,
    amount bigint NOT NULL CHECK (amount BETWEEN 0 AND 9999999999),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    order_revision integer NOT NULL DEFAULT 0,
    client_reference_id text,
    payment_intent_ids text[] NOT NULL DEFAULT '{}',
    frozen jsonb NOT NULL,
    metadata jsonb NOT NULL,
    attempt jsonb,
    attempt_moved_at timestamptz,
    live_attempt_id text GENERATED ALWAYS AS (
        CASE WHEN attempt ->> 'status' IN ('processing', 'requires_action')
             THEN attempt ->> 'attempt_id' END) STORED,
    pay_order jsonb,
    ask_again_at timestamptz,
    asked integer NOT NULL DEFAULT 0,
    failed_attempts integer NOT NULL DEFAULT 0 CHECK (failed_attempts >= 0),
    owed_end text,
    expires_at timestamptz NOT NULL,
    expired_at timestamptz,
    completed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 1,
    PRIMARY KEY (merchant_id, checkout_session_id),
    CONSTRAINT terminal_has_no_live_attempt CHECK (status = 'open' OR live_attempt_id IS NULL),
    CONSTRAINT terminal_has_a_reason CHECK ((status = 'open') = (terminal_reason IS NULL)),
    CHECK ((status = 'expired') = (expired_at IS NOT NULL)),
    CHECK ((status = 'paid') = (completed_at IS NOT NULL)),
    CHECK ((pay_order IS NULL) = (ask_again_at IS NULL)),
    CHECK (pay_order IS NULL OR live_attempt_id IS NOT NULL),
    CHECK (owed_end IS NULL OR live_attempt_id IS NOT NULL)
) WITH (fillfactor = 85);

CREATE UNIQUE INDEX sessions_one_open_per_order ON sessions (merchant_id, order_id)
    WHERE status = 'open';
CREATE INDEX sessions_by_id ON sessions (checkout_session_id);
CREATE INDEX sessions_by_order ON sessions (merchant_id, order_id);
CREATE INDEX sessions_by_link ON sessions (merchant_id, payment_link_id, created_at)
    WHERE payment_link_id IS NOT NULL;
CREATE INDEX sessions_by_creation
    ON sessions (merchant_id, mode_environment, created_at, checkout_session_id);
CREATE INDEX sessions_by_update
    ON sessions (merchant_id, mode_environment, updated_at, checkout_session_id);

-- Only what a sweep may take is in its index: with a million open sessions it reads the first few.
CREATE INDEX sessions_to_expire ON sessions (expires_at)
    WHERE status = 'open' AND live_attempt_id IS NULL;
CREATE INDEX sessions_to_ask_again ON sessions (ask_again_at) WHERE ask_again_at IS NOT NULL;

-- Links whose open sessions are being closed, a hundred at a time: those opened until `closed_at`.
CREATE TABLE closed_links (
    merchant_id text NOT NULL,
    payment_link_id text NOT NULL,
    closed_at timestamptz NOT NULL,
    heard_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, payment_link_id)
);

-- migrate:down
DROP TABLE closed_links, sessions;

-- migrate:up

-- A payment of the sandbox: held or taken money, in one row.
CREATE TABLE sandbox_payments (
    provider_ref text PRIMARY KEY,
    attempt_id text NOT NULL,
    merchant_id text NOT NULL,
    mode text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('charge', 'authorize')),
    state text NOT NULL CHECK (
        state IN ('action_required', 'pending', 'authorized', 'captured', 'declined', 'voided')
    ),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 9999999999),
    captured_minor bigint NOT NULL DEFAULT 0 CHECK (captured_minor BETWEEN 0 AND amount_minor),
    currency text NOT NULL,
    token text NOT NULL,
    failure_code text,
    return_url text,
    settles_at timestamptz, -- A pending one succeeds then, by this clock, without anybody's help.
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'pending') = (settles_at IS NOT NULL)),
    CHECK ((state = 'declined') = (failure_code IS NOT NULL))
);

-- Every call by its idempotency key, with the answer it gets for ever.
CREATE TABLE sandbox_calls (
    key text PRIMARY KEY,
    step text NOT NULL CHECK (step IN ('charge', 'authorize', 'capture', 'void')),
    provider_ref text NOT NULL REFERENCES sandbox_payments,
    amount_minor bigint NOT NULL,
    outcome text NOT NULL,
    failure_code text,
    at timestamptz NOT NULL DEFAULT now()
);

-- What really happened to money. A pending payment's entry bears the time at which it succeeds.
CREATE TABLE sandbox_ledger (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_ref text NOT NULL REFERENCES sandbox_payments,
    attempt_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('charge', 'authorize', 'capture', 'void')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    at timestamptz NOT NULL,
    UNIQUE (provider_ref, kind)
);

CREATE FUNCTION sandbox_ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % is refused', TG_OP;
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON sandbox_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION sandbox_ledger_is_append_only();

-- migrate:down

-- migrate:up

CREATE TABLE merchants (
    merchant_id text PRIMARY KEY CHECK (merchant_id LIKE 'mer\_%'),
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 250),
    created_at  timestamptz NOT NULL
);

-- Only the hash of a key is stored; the prefix is what a person recognises it by.
CREATE TABLE api_keys (
    merchant_id      text NOT NULL REFERENCES merchants,
    api_key_id       text NOT NULL CHECK (api_key_id LIKE 'key\_%'),
    secret_hash      bytea NOT NULL CHECK (length(secret_hash) = 32),
    key_prefix       text NOT NULL,
    mode_environment text NOT NULL CHECK (mode_environment IN ('test', 'live')),
    name             text NOT NULL,
    scopes           text[] NOT NULL,
    key_type         text NOT NULL DEFAULT 'external' CHECK (key_type IN ('internal', 'external')),
    status           text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'revoked')),
    expires_at       timestamptz,
    last_used_at     timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, api_key_id)
);

CREATE UNIQUE INDEX api_keys_by_secret ON api_keys (secret_hash);

-- migrate:down

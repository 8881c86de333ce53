-- migrate:up

-- Why the last try to publish it failed, for `flint outbox`.
ALTER TABLE outbox ADD COLUMN reason text NOT NULL DEFAULT '';

-- migrate:down
ALTER TABLE outbox DROP COLUMN reason;

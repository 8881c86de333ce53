-- migrate:up

-- When somebody has to be told that nobody knows whether the money moved.
ALTER TABLE payment_intents ADD COLUMN tell_at timestamptz;

-- migrate:down
ALTER TABLE payment_intents DROP COLUMN tell_at;

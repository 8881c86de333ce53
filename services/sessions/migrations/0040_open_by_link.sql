-- migrate:up transaction:false

-- Closing a link's sessions reads its open ones only, not the million that ended before.
CREATE INDEX CONCURRENTLY IF NOT EXISTS sessions_open_by_link
    ON sessions (merchant_id, payment_link_id, created_at)
    WHERE status = 'open' AND payment_link_id IS NOT NULL;

-- migrate:down transaction:false
DROP INDEX IF EXISTS sessions_open_by_link;

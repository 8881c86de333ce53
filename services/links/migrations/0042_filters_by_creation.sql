-- migrate:up transaction:false

-- A filtered list is merged from the runs of this index that it asks for, whatever is asked for.
CREATE INDEX CONCURRENTLY IF NOT EXISTS links_filtered_by_creation
    ON links (merchant_id, mode_environment, status, mode, (plan_id IS NOT NULL),
              created_at, payment_link_id);

-- migrate:down transaction:false
DROP INDEX IF EXISTS links_filtered_by_creation;

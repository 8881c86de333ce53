-- migrate:up transaction:false

CREATE INDEX CONCURRENTLY IF NOT EXISTS links_by_text
    ON links USING gin (link_grams(merchant_id, mode_environment, name, description));

-- migrate:down transaction:false
DROP INDEX IF EXISTS links_by_text;

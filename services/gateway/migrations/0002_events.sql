-- migrate:up

-- Every public fact of every service, as it was said. `data` is kept as text: nobody queries
-- inside it, and the audit needs only who said how many about what.
CREATE TABLE events (
    merchant_id text NOT NULL,
    event_id text NOT NULL,
    mode text NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    subject text NOT NULL,
    sequence bigint NOT NULL,
    request_id text NOT NULL,
    said_at timestamptz NOT NULL,
    data json NOT NULL,
    PRIMARY KEY (merchant_id, event_id)
);

CREATE INDEX events_by_age ON events (said_at);

-- migrate:down
DROP TABLE events;

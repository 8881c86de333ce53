-- migrate:up

-- One row per page of a link on which somebody did something: never one per page that was fetched.
CREATE TABLE link_views (
    merchant_id text NOT NULL,
    payment_link_id text NOT NULL,
    view_id text NOT NULL,  -- the page's own nonce: a view is one view however often it is told
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, view_id)
);

CREATE INDEX link_views_by_age ON link_views (seen_at);

-- What happened to a link on one day (UTC), added up. `currency` is '' where no money is counted.
CREATE TABLE link_counts (
    merchant_id text NOT NULL,
    payment_link_id text NOT NULL,
    day date NOT NULL,
    measure text NOT NULL CHECK (measure IN ('view', 'resolve', 'attempt', 'sale', 'refund')),
    currency text NOT NULL,
    count bigint NOT NULL CHECK (count >= 0),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    PRIMARY KEY (merchant_id, payment_link_id, day, measure, currency)
) WITH (fillfactor = 80);  -- Room on the page: a hot link's rows change in place.

CREATE INDEX link_counts_by_day ON link_counts (day);

-- migrate:down
DROP TABLE link_counts, link_views;

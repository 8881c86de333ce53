-- migrate:up

-- `template` is what the merchant wrote, whole; what is filtered on or guarded is derived from it
-- by the database, so that the two can never differ. `overbooked_*` is what was sold beyond a cap
-- that came later or was lowered: never by a claim, which is why no claim touches it.
CREATE TABLE links (
    merchant_id text NOT NULL,
    payment_link_id text NOT NULL,
    mode_environment text NOT NULL CHECK (mode_environment IN ('test', 'live')),
    template jsonb NOT NULL,
    name text NOT NULL GENERATED ALWAYS AS (template ->> 'name') STORED,
    description text GENERATED ALWAYS AS (template ->> 'description') STORED,
    mode text NOT NULL GENERATED ALWAYS AS (template ->> 'mode') STORED
        CHECK (mode IN ('standard', 'donation', 'event')),
    plan_id text GENERATED ALWAYS AS (template ->> 'plan_id') STORED,
    max_completions bigint
        GENERATED ALWAYS AS ((template ->> 'max_completions')::bigint) STORED
        CHECK (max_completions > 0),
    max_quantity bigint
        GENERATED ALWAYS AS ((template -> 'event_config' ->> 'max_total_quantity')::bigint) STORED
        CHECK (max_quantity > 0),
    status text NOT NULL CHECK (status IN ('active', 'inactive')),
    slugs text[] NOT NULL CHECK (cardinality(slugs) > 0),
    completed_count bigint NOT NULL DEFAULT 0 CHECK (completed_count >= 0),
    claimed_count bigint NOT NULL DEFAULT 0 CHECK (claimed_count >= 0),
    total_quantity_sold bigint NOT NULL DEFAULT 0 CHECK (total_quantity_sold >= 0),
    claimed_quantity bigint NOT NULL DEFAULT 0 CHECK (claimed_quantity >= 0),
    overbooked_places bigint NOT NULL DEFAULT 0 CHECK (overbooked_places >= 0),
    overbooked_quantity bigint NOT NULL DEFAULT 0 CHECK (overbooked_quantity >= 0),
    version integer NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, payment_link_id),
    CONSTRAINT no_place_twice
        CHECK (completed_count + claimed_count <= max_completions + overbooked_places),
    CONSTRAINT no_seat_twice
        CHECK (total_quantity_sold + claimed_quantity <= max_quantity + overbooked_quantity)
) WITH (fillfactor = 80);  -- Room on the page: counters of a hot link change in place.

CREATE INDEX links_by_id ON links (payment_link_id);
CREATE INDEX links_by_creation
    ON links (merchant_id, mode_environment, created_at, payment_link_id);
CREATE INDEX links_by_update
    ON links (merchant_id, mode_environment, updated_at, payment_link_id);

-- A slug is a name in the whole installation, so it is the key alone. A removed one stays, and
-- stays its merchant's.
CREATE TABLE slugs (
    slug text PRIMARY KEY,
    merchant_id text NOT NULL,
    payment_link_id text NOT NULL,
    created_at timestamptz NOT NULL,
    removed_at timestamptz
);

-- One page and one set of choices is one session, however often it is posted.
CREATE TABLE resolutions (
    merchant_id text NOT NULL,
    context_id text NOT NULL,
    choices_hash bytea NOT NULL CHECK (length(choices_hash) = 32),
    payment_link_id text NOT NULL,
    checkout_session_id text NOT NULL,
    order_id text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, context_id, choices_hash)
);

-- The answer to each attempt that asked for a place, for ever. `places` and `quantity` are what
-- it took from the link's counters: nothing, if it was refused or given back before it was asked.
CREATE TABLE claims (
    merchant_id text NOT NULL,
    attempt_id text NOT NULL,
    order_id text NOT NULL,
    payment_link_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('held', 'final', 'released', 'refused')),
    refusal_code text,
    places integer NOT NULL CHECK (places IN (0, 1)),
    quantity bigint NOT NULL CHECK (quantity >= 0),
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, attempt_id),
    CHECK ((state = 'refused') = (refusal_code IS NOT NULL)),
    CHECK (state NOT IN ('held', 'final') OR places = 1)
);

CREATE UNIQUE INDEX claims_one_live_per_order ON claims (merchant_id, order_id)
    WHERE state IN ('held', 'final');
CREATE INDEX claims_by_link ON claims (merchant_id, payment_link_id);

-- migrate:down
DROP TABLE claims, resolutions, slugs, links;

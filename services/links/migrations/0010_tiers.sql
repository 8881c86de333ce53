-- migrate:up

-- How much of each tier of an event is sold, held and given back, by line key. In the link's own
-- row: all its counters are then locked, looked at and changed as one.
ALTER TABLE links
    ADD COLUMN returned_count bigint NOT NULL DEFAULT 0 CHECK (returned_count >= 0),
    ADD COLUMN returned_quantity bigint NOT NULL DEFAULT 0 CHECK (returned_quantity >= 0),
    ADD COLUMN tiers_sold jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN tiers_claimed jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN tiers_returned jsonb NOT NULL DEFAULT '{}';

-- What came back is no longer there to be capped; the history of what was sold keeps it. The rows
-- that are there are looked at by 0011, without keeping buyers out.
ALTER TABLE links
    DROP CONSTRAINT no_place_twice,
    DROP CONSTRAINT no_seat_twice,
    ADD CONSTRAINT no_place_twice CHECK (
        completed_count - returned_count + claimed_count <= max_completions + overbooked_places
    ) NOT VALID,
    ADD CONSTRAINT no_seat_twice CHECK (
        total_quantity_sold - returned_quantity + claimed_quantity
        <= max_quantity + overbooked_quantity
    ) NOT VALID;

-- What an attempt took of each tier.
ALTER TABLE claims ADD COLUMN quantities jsonb NOT NULL DEFAULT '{}';

-- A sale whose place was given back by its refund, once.
CREATE TABLE returns (
    merchant_id text NOT NULL,
    order_id text NOT NULL,
    payment_link_id text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    quantities jsonb NOT NULL,
    returned_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, order_id)
);
CREATE INDEX returns_by_link ON returns (merchant_id, payment_link_id);

-- migrate:down
DROP TABLE returns;
ALTER TABLE claims DROP COLUMN quantities;
ALTER TABLE links
    DROP CONSTRAINT no_place_twice,
    DROP CONSTRAINT no_seat_twice,
    DROP COLUMN returned_count,
    DROP COLUMN returned_quantity,
    DROP COLUMN tiers_sold,
    DROP COLUMN tiers_claimed,
    DROP COLUMN tiers_returned,
    ADD CONSTRAINT no_place_twice
        CHECK (completed_count + claimed_count <= max_completions + overbooked_places) NOT VALID,
    ADD CONSTRAINT no_seat_twice
        CHECK (total_quantity_sold + claimed_quantity <= max_quantity + overbooked_quantity)
        NOT VALID;

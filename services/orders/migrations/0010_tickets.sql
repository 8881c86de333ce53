-- migrate:up

-- The order shows its tickets as it shows its lines: in its own row.
ALTER TABLE orders ADD COLUMN tickets jsonb NOT NULL DEFAULT '[]';

-- The register: one number of a link is one ticket, for ever. The counter's row is locked until
-- the order is paid, so that a number is never left out.
CREATE TABLE ticket_counters (
    merchant_id text NOT NULL,
    payment_link_id text NOT NULL,
    issued bigint NOT NULL CHECK (issued > 0),
    PRIMARY KEY (merchant_id, payment_link_id)
) WITH (fillfactor = 50);

CREATE TABLE tickets (
    merchant_id text NOT NULL,
    payment_link_id text NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    ticket_id text NOT NULL,
    order_id text NOT NULL,
    issued_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, payment_link_id, number),
    FOREIGN KEY (merchant_id, order_id) REFERENCES orders (merchant_id, id)
);
CREATE INDEX tickets_by_order ON tickets (merchant_id, order_id);

-- migrate:down
DROP TABLE tickets, ticket_counters;
ALTER TABLE orders DROP COLUMN tickets;

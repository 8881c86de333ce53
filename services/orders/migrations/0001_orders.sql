-- migrate:up

CREATE TABLE orders (
    merchant_id text NOT NULL,
    id text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('test', 'live')),
    order_number text NOT NULL,
    status text NOT NULL CHECK (
        status IN ('open', 'closed', 'paid', 'partially_refunded', 'refunded')
    ),
    closed_reason text,
    source text NOT NULL,
    customer_id text,
    buyer_email text,
    payment_link_id text,
    subscription_id text,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    subtotal_minor bigint NOT NULL CHECK (subtotal_minor BETWEEN 0 AND 9999999999),
    discount_minor bigint NOT NULL CHECK (discount_minor BETWEEN 0 AND subtotal_minor),
    tax_minor bigint NOT NULL CHECK (tax_minor >= 0),
    tip_minor bigint NOT NULL CHECK (tip_minor >= 0),
    total_minor bigint NOT NULL CHECK (total_minor BETWEEN 0 AND 9999999999),
    paid_minor bigint NOT NULL CHECK (paid_minor >= 0),
    refunded_minor bigint NOT NULL CHECK (refunded_minor BETWEEN 0 AND paid_minor),
    balance_minor bigint NOT NULL,
    line_items jsonb NOT NULL,
    discounts jsonb NOT NULL,
    tips jsonb NOT NULL,
    activities jsonb NOT NULL,
    details jsonb NOT NULL, -- what nobody filters by: notes, metadata, answers, line keys …
    payment_intent_ids text[] NOT NULL,
    refund_ids text[] NOT NULL,
    checkout_session_ids text[] NOT NULL,
    search_text text NOT NULL,
    is_limited boolean NOT NULL, -- a place of its link is claimed before money is taken
    live_attempt_id text,        -- the one payment that may be under way
    paid_attempt_id text,
    free_attempt_ids text[] NOT NULL, -- tries that moved no money and have no intent
    is_closing boolean NOT NULL, -- its page has ended: closed as soon as no payment is under way
    revision integer NOT NULL CHECK (revision >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    CONSTRAINT amounts_add_up CHECK (
        total_minor = subtotal_minor - discount_minor + tax_minor + tip_minor
    ),
    CONSTRAINT balance_is_what_is_left CHECK (
        balance_minor = GREATEST(total_minor - paid_minor, 0)
    ),
    CONSTRAINT history_ends_at_the_balance CHECK (
        COALESCE((activities -> -1 -> 'running_balance' ->> 'amount')::bigint, -1) = balance_minor
    ),
    CONSTRAINT paid_is_settled CHECK (status <> 'paid' OR balance_minor = 0),
    CONSTRAINT paid_names_its_attempt CHECK (
        (paid_attempt_id IS NULL) = (status IN ('open', 'closed'))
    ),
    CONSTRAINT only_an_open_order_closes CHECK (NOT is_closing OR status = 'open')
);

CREATE INDEX orders_by_id ON orders (id); -- the buyer's door does not know the merchant
CREATE INDEX orders_by_created ON orders (merchant_id, mode, created_at, id);
CREATE INDEX orders_by_updated ON orders (merchant_id, mode, updated_at, id);

CREATE TABLE payment_intents (
    merchant_id text NOT NULL,
    id text NOT NULL, -- the attempt's id, and the first half of every idempotency key
    mode text NOT NULL CHECK (mode IN ('test', 'live')),
    order_id text NOT NULL,
    checkout_session_id text,
    payment_link_id text,
    customer_id text,
    source text NOT NULL,
    phase text NOT NULL CHECK (
        phase IN ('charge', 'authorize', 'claim', 'capture', 'void',
                  'succeeded', 'failed', 'canceled', 'expired')
    ),
    status text NOT NULL CHECK (
        status IN ('requires_payment_method', 'requires_confirmation', 'requires_action',
                   'processing', 'requires_capture', 'canceled', 'succeeded', 'expired')
    ),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 0 AND 9999999999), -- 0: only a claim
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    provider text NOT NULL,
    provider_ref text,
    payment_source_token text, -- forgotten as soon as the payment has ended
    return_url text,
    failure_code text,
    failure_message text,
    next_action_url text,
    card_brand text,
    card_last_four text,
    receipt_email text,
    quantities jsonb NOT NULL, -- what is claimed: the link's line key → how many
    is_claimed boolean NOT NULL,
    void_reason text CHECK (void_reason IN ('refused', 'expired', 'uncapturable')),
    next_action_at timestamptz, -- live: when somebody has to ask again
    give_up_at timestamptz,
    asked integer NOT NULL CHECK (asked >= 0), -- answers in a row that decided nothing
    activities jsonb NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, order_id) REFERENCES orders (merchant_id, id),
    CONSTRAINT live_ones_are_asked_about CHECK (
        (next_action_at IS NULL)
        = (phase IN ('succeeded', 'failed', 'canceled', 'expired'))
    ),
    CONSTRAINT succeeded_means_taken CHECK ((phase = 'succeeded') = (status = 'succeeded')),
    CONSTRAINT tokens_are_forgotten CHECK (
        payment_source_token IS NULL OR next_action_at IS NOT NULL
    )
);

-- An order is charged by one payment at a time, whatever races.
CREATE UNIQUE INDEX payment_intents_one_live ON payment_intents (merchant_id, order_id)
    WHERE next_action_at IS NOT NULL;
CREATE INDEX payment_intents_due ON payment_intents (next_action_at)
    WHERE next_action_at IS NOT NULL;
CREATE INDEX payment_intents_by_id ON payment_intents (id);
CREATE INDEX payment_intents_by_order ON payment_intents (merchant_id, order_id);

-- migrate:down

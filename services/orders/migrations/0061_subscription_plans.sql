-- migrate:up

-- `content` is what the merchant wrote, whole; what lists sort by and look into is derived from it
-- by the database, in one case. Names are sorted by code point: the same on every machine.
CREATE TABLE subscription_plans (
    merchant_id text NOT NULL,
    plan_id text NOT NULL,
    mode_environment text NOT NULL CHECK (mode_environment IN ('test', 'live')),
    content jsonb NOT NULL,
    name text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(content ->> 'name')) STORED,
    description text COLLATE "C"
        GENERATED ALWAYS AS (lower(content ->> 'description')) STORED,
    status text NOT NULL CHECK (status IN ('active', 'archived')),
    version integer NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, plan_id)
);

CREATE INDEX subscription_plans_by_creation
    ON subscription_plans (merchant_id, mode_environment, created_at, plan_id);
CREATE INDEX subscription_plans_by_update
    ON subscription_plans (merchant_id, mode_environment, updated_at, plan_id);
CREATE INDEX subscription_plans_by_name
    ON subscription_plans (merchant_id, mode_environment, name, plan_id);

-- migrate:down
DROP TABLE subscription_plans;

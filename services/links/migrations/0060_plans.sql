-- migrate:up

-- Orders' plans as it says them, so that no link has to ask when it is opened. The higher version
-- is the later one, whenever it is heard.
CREATE TABLE plans (
    merchant_id text NOT NULL,
    plan_id text NOT NULL,
    mode_environment text NOT NULL CHECK (mode_environment IN ('test', 'live')),
    version integer NOT NULL CHECK (version > 0),
    content jsonb NOT NULL,
    PRIMARY KEY (merchant_id, plan_id)
);

-- migrate:down
DROP TABLE plans;

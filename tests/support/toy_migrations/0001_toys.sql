-- migrate:up
CREATE TABLE toys (toy_id text PRIMARY KEY, swept boolean NOT NULL DEFAULT false);
-- migrate:down
DROP TABLE toys;

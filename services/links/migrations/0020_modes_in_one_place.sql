-- migrate:up

-- `LinkMode` is the list of modes, and every template passes it on its way in and out. A second
-- list here would make a new mode a migration.
ALTER TABLE links DROP CONSTRAINT links_mode_check;

-- migrate:down
ALTER TABLE links ADD CONSTRAINT links_mode_check
    CHECK (mode IN ('standard', 'donation', 'event'));

-- migrate:up

-- The rows from before 0010. In a transaction of its own: it reads every link, and blocks nobody.
ALTER TABLE links
    VALIDATE CONSTRAINT no_place_twice,
    VALIDATE CONSTRAINT no_seat_twice;

-- migrate:down

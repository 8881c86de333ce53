-- migrate:up

-- Slugs that read the same have one shape; it belongs to the merchant who took it first, for ever.
CREATE TABLE slug_shapes (
    shape text PRIMARY KEY,
    merchant_id text NOT NULL
);

-- The same folding as `slugs.shape_of`; a test compares the two.
INSERT INTO slug_shapes (shape, merchant_id)
SELECT DISTINCT ON (shape) shape, merchant_id
FROM (
    SELECT replace(replace(replace(translate(slug, '01', 'ol'), 'rn', 'm'), 'vv', 'w'), '-', '')
               AS shape,
           merchant_id, created_at
    FROM slugs
) AS taken
ORDER BY shape, created_at
ON CONFLICT DO NOTHING;

-- migrate:down
DROP TABLE slug_shapes;

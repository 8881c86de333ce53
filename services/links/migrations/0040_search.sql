-- migrate:up

-- What is searched of a link, in one case. No text of ours may hold U+0001, so that nothing is ever
-- found across the border of name and description.
CREATE FUNCTION link_searched(name text, description text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(name || E'\x01' || coalesce(description, ''));

-- Whose links these are, short: it begins every key of the index, which so is one per merchant.
-- Two merchants may share it; the rows are compared again.
CREATE FUNCTION link_shelf(merchant_id text, mode_environment text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN right(merchant_id, 8) || left(mode_environment, 1);

-- Every three characters that follow each other, at the end fewer: any part of the text is a set of
-- them, and a part of one or two characters the beginning of one. Unlike pg_trgm it knows no words
-- and no letters, so that punctuation, emoji and every script are found by index too.
CREATE FUNCTION link_grams(merchant_id text, mode_environment text, name text, description text)
RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT array_to_tsvector(array_agg(
        link_shelf(merchant_id, mode_environment) || substr(searched, at, 3)))
    FROM link_searched(name, description) AS searched, generate_series(1, length(searched)) AS at
);

-- The same of what somebody looks for. Not PARALLEL SAFE on purpose: workers cost more to start
-- than such a question takes.
CREATE FUNCTION link_grams_wanted(merchant_id text, mode_environment text, wanted text)
RETURNS tsquery
LANGUAGE sql IMMUTABLE
RETURN (
    SELECT string_agg(
        '''' || replace(replace(link_shelf(merchant_id, mode_environment)
            || substr(folded, at, 3), '\', '\\'), '''', '''''') || ''''
            || CASE WHEN length(folded) < 3 THEN ':*' ELSE '' END, ' & ')::tsquery
    FROM lower(wanted) AS folded, generate_series(1, greatest(1, length(folded) - 2)) AS at
);

-- migrate:down
DROP FUNCTION link_grams_wanted, link_grams, link_shelf, link_searched;

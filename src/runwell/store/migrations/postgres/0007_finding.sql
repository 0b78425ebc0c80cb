-- What finds runs by more than their place in a list: the words of their errors, and when they ended.
--
-- Nothing here is touched by a submit: a new run has no error, has not ended and does not wait.

-- The words of an error, and one word in hex each for its owner and its agent, so that a search of some runs
-- passes over all others. Marks between letters and digits are taken out first: the parser would keep
-- `httpx.ReadTimeout` together as a host. Whatever stands in an error, it must not keep its run from ending.
CREATE FUNCTION runwell_error_words(owner text, agent text, error bytea) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    said json;
    whose tsvector := array_to_tsvector(ARRAY[
        '@' || encode(convert_to(left(owner, 250), 'UTF8'), 'hex'),
        '#' || encode(convert_to(left(agent, 250), 'UTF8'), 'hex')
    ]);
BEGIN
    said := convert_from(error, 'UTF8')::json;
    RETURN whose || to_tsvector(
        'pg_catalog.simple'::regconfig,
        regexp_replace(
            left(concat_ws(' ', said->>'code', said->>'message'), 20000), '[!-/:-@[-`{-~]+', ' ', 'g'
        )
    );
EXCEPTION WHEN OTHERS THEN
    RETURN whose;
END
$$;

-- Without a list of what is still to be sorted in: that would be walked by every search, and emptied in the
-- middle of somebody's commit.
CREATE INDEX runs_errors ON runs USING gin (runwell_error_words(owner, agent, error))
    WITH (fastupdate = off) WHERE error IS NOT NULL;

-- How many ended when, of one owner's and of all.
CREATE INDEX runs_outcomes ON runs (owner, status, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX runs_all_outcomes ON runs (status, finished_at) WHERE finished_at IS NOT NULL;

-- How many wait for an answer.
CREATE INDEX runs_waiting ON runs (agent) WHERE status = 'waiting';

-- What finds runs by more than their place in a list: the words of their errors, and when they ended.
--
-- Nothing here is touched by a submit: a new run has no error, has not ended and does not wait.

-- Which runs failed with which words: rowid is the run's pk. `whose` is its owner and its agent, each one
-- word in hex, so that a search of some runs passes over all others.
CREATE VIRTUAL TABLE run_errors USING fts5(
    whose, said, content='', contentless_delete=1, detail=column, tokenize="unicode61 remove_diacritics 0"
);

-- Kept right by the database, whatever version of a program writes.
CREATE TRIGGER runs_failed AFTER UPDATE OF error ON runs
WHEN NEW.error IS NOT NULL AND OLD.error IS NULL AND json_valid(CAST(NEW.error AS TEXT)) BEGIN
    INSERT INTO run_errors (rowid, whose, said) VALUES (
        NEW.pk, concat('o', hex(NEW.owner), ' a', hex(NEW.agent)), substr(
            concat_ws(' ', json_extract(CAST(NEW.error AS TEXT), '$.code'),
                json_extract(CAST(NEW.error AS TEXT), '$.message')),
            1, 20000
        )
    );
END;

CREATE TRIGGER runs_forgotten AFTER DELETE ON runs WHEN OLD.error IS NOT NULL BEGIN
    DELETE FROM run_errors WHERE rowid = OLD.pk;
END;

INSERT INTO run_errors (rowid, whose, said)
SELECT pk, concat('o', hex(owner), ' a', hex(agent)), substr(
    concat_ws(' ', json_extract(CAST(error AS TEXT), '$.code'), json_extract(CAST(error AS TEXT), '$.message')),
    1, 20000
) FROM runs WHERE finished_at IS NOT NULL AND error IS NOT NULL AND json_valid(CAST(error AS TEXT));

-- How many ended when, of one owner's and of all.
CREATE INDEX runs_outcomes ON runs (owner, status, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX runs_all_outcomes ON runs (status, finished_at) WHERE finished_at IS NOT NULL;

-- How many wait for an answer.
CREATE INDEX runs_waiting ON runs (agent) WHERE status = 'waiting';

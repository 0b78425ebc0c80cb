-- What is to be started when. `value` is the whole of it, JSON; the other columns are for finding it.
CREATE TABLE schedules (
    id bytea PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    -- Grows with every change: whoever saves says which version was read.
    version bigint NOT NULL,
    next_at bigint,
    value bytea NOT NULL
);

CREATE INDEX schedules_by_owner ON schedules (owner, id);
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;

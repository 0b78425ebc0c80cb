-- What is to be started when. `value` is the whole of it, JSON; the other columns are for finding it.
CREATE TABLE schedules (
    id BLOB PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    -- Grows with every change: whoever saves says which version was read.
    version INTEGER NOT NULL,
    next_at INTEGER,
    value BLOB NOT NULL
) STRICT;

CREATE INDEX schedules_by_owner ON schedules (owner, id);
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;

-- Telling the outside, being told by it, and what only a dialect knows.

-- `label` is a word that a dialect lists runs by; `extra` what it needs to show a run again; `callbacks`
-- the run's own. All three are NULL for most runs.
ALTER TABLE runs ADD COLUMN label TEXT;
ALTER TABLE runs ADD COLUMN extra BLOB;
ALTER TABLE runs ADD COLUMN callbacks BLOB;

CREATE INDEX runs_by_label ON runs (owner, label, id) WHERE label IS NOT NULL;

ALTER TABLE agents ADD COLUMN id BLOB;
UPDATE agents SET id = unhex(json_extract(CAST(spec AS TEXT), '$.id'));
CREATE INDEX agents_by_id ON agents (id);

CREATE TABLE callbacks (
    id BLOB PRIMARY KEY,
    owner TEXT NOT NULL,
    paused INTEGER NOT NULL,
    -- The whole of it, JSON.
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX callbacks_by_owner ON callbacks (owner, id);

-- What deliveries are signed with. `callback_id` is empty for the owner's own.
CREATE TABLE signing_secrets (
    owner TEXT NOT NULL,
    callback_id BLOB NOT NULL,
    id BLOB NOT NULL,
    secret BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (owner, callback_id, id)
) STRICT, WITHOUT ROWID;

-- The outbox. A row is written in the transaction of the event it tells of.
CREATE TABLE deliveries (
    pk INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    run_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    event TEXT NOT NULL,
    url TEXT NOT NULL,
    format TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    callback_id BLOB,
    next_at INTEGER,
    posts INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    -- The last post, JSON.
    last BLOB,
    body BLOB
) STRICT;

CREATE INDEX deliveries_due ON deliveries (next_at, pk) WHERE status = 'pending';
CREATE INDEX deliveries_of_run ON deliveries (run_id, pk);
CREATE INDEX deliveries_by_owner ON deliveries (owner, id);
CREATE INDEX deliveries_ended ON deliveries (created_at) WHERE status != 'pending';

CREATE TABLE posts (
    delivery_pk INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    duration REAL NOT NULL,
    status_code INTEGER,
    error TEXT,
    PRIMARY KEY (delivery_pk, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE triggers (
    id BLOB PRIMARY KEY,
    owner TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    -- All but the digest, JSON.
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX triggers_by_owner ON triggers (owner, id);

CREATE TABLE documents (
    owner TEXT NOT NULL,
    space TEXT NOT NULL,
    id TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (owner, space, id)
) STRICT, WITHOUT ROWID;

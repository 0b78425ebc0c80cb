-- Everything a run is, and what it is called by.
--
-- Ids are 16-byte blobs, instants are whole microseconds since the epoch, JSON is UTF-8 in blobs.
-- `pk` is ours alone and small: it keeps insertion order within one microsecond and makes short keys.

CREATE TABLE runs (
    pk INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    agent TEXT NOT NULL,
    status TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    queued_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    -- The newest event at the last change of this row; text-only events after it are not counted here.
    last_seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    in_order INTEGER NOT NULL,
    ran_for INTEGER NOT NULL,
    -- In order, and an earlier run of its thread is live; cleared when it has become the first live one.
    behind INTEGER NOT NULL,
    log_pruned INTEGER NOT NULL DEFAULT 0,
    thread_id BLOB,
    concurrency_key TEXT,
    timeout REAL,
    not_before INTEGER,
    expires_at INTEGER,
    started_at INTEGER,
    claimed_at INTEGER,
    first_output_at INTEGER,
    finished_at INTEGER,
    cancel_requested_at INTEGER,
    reason TEXT,
    worker TEXT,
    retry_of BLOB,
    continues BLOB,
    progress BLOB,
    usage BLOB,
    steps BLOB,
    question BLOB,
    error BLOB,
    metadata BLOB,
    definition BLOB,
    -- Last, so that what is long is not walked over to reach what is short.
    output BLOB
) STRICT;

-- Lists, newest first. A list of several statuses, or of all, is merged from one range per status.
CREATE INDEX runs_by_status ON runs (owner, status, id);
CREATE INDEX runs_by_agent ON runs (owner, agent, status, id);
CREATE INDEX runs_by_thread ON runs (thread_id, pk) WHERE thread_id IS NOT NULL;

-- The queue. What cannot start now (its time, its thread, its key) is not in the way of what can.
CREATE INDEX runs_queue ON runs (priority DESC, queued_at, pk)
    WHERE status = 'queued' AND not_before IS NULL;
CREATE INDEX runs_ready ON runs (agent, priority DESC, queued_at, pk)
    WHERE status = 'queued' AND not_before IS NULL AND behind = 0 AND concurrency_key IS NULL
        AND definition IS NULL;
-- With the agent, so that those at their limit are passed over without a look at their rows.
CREATE INDEX runs_ready_defined ON runs (priority DESC, queued_at, pk, agent)
    WHERE status = 'queued' AND not_before IS NULL AND behind = 0 AND concurrency_key IS NULL
        AND definition IS NOT NULL;
CREATE INDEX runs_keyed ON runs (priority DESC, queued_at, pk)
    WHERE status = 'queued' AND not_before IS NULL AND behind = 0 AND concurrency_key IS NOT NULL;
CREATE INDEX runs_lanes ON runs (owner, concurrency_key, priority DESC, queued_at, pk)
    WHERE status = 'queued' AND not_before IS NULL AND behind = 0 AND concurrency_key IS NOT NULL;
CREATE INDEX runs_delayed ON runs (not_before)
    WHERE status = 'queued' AND behind = 0 AND not_before IS NOT NULL;
CREATE INDEX runs_expiring ON runs (expires_at)
    WHERE status IN ('queued', 'waiting') AND expires_at IS NOT NULL;
CREATE INDEX runs_queued_by_agent ON runs (agent, queued_at) WHERE status = 'queued';

-- What is at work, and what stands in the way of others.
CREATE INDEX runs_held ON runs (agent, worker) WHERE status = 'running';
CREATE INDEX runs_holding_key ON runs (owner, concurrency_key)
    WHERE status = 'running' AND concurrency_key IS NOT NULL;
CREATE INDEX runs_live_in_thread ON runs (thread_id, pk)
    WHERE status IN ('queued', 'running', 'waiting') AND thread_id IS NOT NULL;

-- The log. key = run pk << 24 | seq, so that a run's events lie together in their order, and a long
-- event stays in the leaf (a two-column key would put it into an index tree, which spills early).
-- `kind` is the event's type by number, `at` is µs since the run's created_at, `data` the JSON.
CREATE TABLE events (
    key INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

-- A projection of step.* and usage events. `ended_seq` is the event that holds the output or the error.
CREATE TABLE steps (
    run_pk INTEGER NOT NULL,
    key TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    parent TEXT,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    ended_seq INTEGER,
    inherited INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens INTEGER NOT NULL DEFAULT 0,
    model_calls INTEGER NOT NULL DEFAULT 0,
    tool_calls INTEGER NOT NULL DEFAULT 0,
    cost REAL NOT NULL DEFAULT 0,
    credits REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (run_pk, key)
) STRICT, WITHOUT ROWID;

-- A submit that is repeated finds the run it made the first time.
CREATE TABLE idempotency (
    owner TEXT NOT NULL,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    run_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE threads (
    pk INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    messages INTEGER NOT NULL DEFAULT 0,
    title TEXT,
    metadata BLOB
) STRICT;

CREATE INDEX threads_by_owner ON threads (owner, id);

-- key = thread pk << 24 | position, for the reasons given at `events`.
CREATE TABLE messages (
    key INTEGER PRIMARY KEY,
    role TEXT NOT NULL,
    at INTEGER NOT NULL,
    run_id BLOB,
    content BLOB NOT NULL
) STRICT;

CREATE TABLE keys (
    id BLOB PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- owner '' is everybody's: an agent made in code.
CREATE TABLE agents (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    spec BLOB NOT NULL,
    output_schema BLOB,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

-- One row that the readiness check writes and reads back.
CREATE TABLE pulse (id INTEGER PRIMARY KEY CHECK (id = 1), beats INTEGER NOT NULL) STRICT;

INSERT INTO pulse (id, beats) VALUES (1, 0);

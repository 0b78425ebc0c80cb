-- Who is at work, and who does what only one may do at a time.

-- Each process that serves or works writes its row again and again; `value` is the whole of it, JSON.
CREATE TABLE workers (
    name text COLLATE "C" PRIMARY KEY,
    seen_at bigint NOT NULL,
    value bytea NOT NULL
) WITH (fillfactor = 50);

-- A duty belongs to its holder until it runs out, and to whoever takes it after that.
CREATE TABLE leases (
    duty text COLLATE "C" PRIMARY KEY,
    holder text COLLATE "C" NOT NULL,
    until bigint NOT NULL
) WITH (fillfactor = 50);

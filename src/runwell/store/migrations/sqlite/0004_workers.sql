-- Who is at work, and who does what only one may do at a time.

-- Each process that serves or works writes its row again and again; `value` is the whole of it, JSON.
CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    seen_at INTEGER NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A duty belongs to its holder until it runs out, and to whoever takes it after that.
CREATE TABLE leases (
    duty TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- People who sign in, and the sessions they are signed in with.

CREATE TABLE users (
    id BLOB PRIMARY KEY,
    -- As it was given; `email_key` is what all its spellings have in common.
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    admin INTEGER NOT NULL,
    -- Grows when all earlier sign-ins become void.
    generation INTEGER NOT NULL,
    disabled_at INTEGER,
    password_hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `digest` is the SHA-256 of the token, which only the browser has.
CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    user_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    user_agent TEXT NOT NULL,
    address TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

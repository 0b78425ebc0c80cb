-- People who sign in, and the sessions they are signed in with.

CREATE TABLE users (
    id bytea PRIMARY KEY,
    -- As it was given; `email_key` is what all its spellings have in common.
    email text COLLATE "C" NOT NULL,
    email_key text COLLATE "C" NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    admin smallint NOT NULL,
    -- Grows when all earlier sign-ins become void.
    generation bigint NOT NULL,
    disabled_at bigint,
    password_hash text COLLATE "C" NOT NULL
);

-- `digest` is the SHA-256 of the token, which only the browser has.
CREATE TABLE sessions (
    id bytea PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    user_id bytea NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    user_agent text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL
);

CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE users (
    -- AUTOINCREMENT: the id of a deleted user is never used again.
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name       TEXT NOT NULL,
    -- The folded keys are computed by the service, so that both databases agree on what "regardless of case" means.
    name_key   TEXT NOT NULL,
    email      TEXT NOT NULL,
    email_key  TEXT NOT NULL,
    version    BIGINT NOT NULL,
    -- Always UTC.
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX users_email_key ON users (email_key);
CREATE INDEX users_name_key_id ON users (name_key, id);

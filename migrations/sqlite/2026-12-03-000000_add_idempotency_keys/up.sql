-- The answers of writes that carried an idempotency key, each stored by the transaction that made the change.
CREATE TABLE idempotency_keys (
    -- In the order of arrival, so that the oldest are found without a second index.
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- The caller, as the SHA-256 of its issuer and subject, and its key.
    key        BLOB NOT NULL,
    -- The SHA-256 of what was asked for.
    request    BLOB NOT NULL,
    -- Always UTC.
    stored_at  TIMESTAMP NOT NULL,
    -- The offset of an event of the same transaction, or of a later one.
    position   BIGINT NOT NULL,
    -- The user as the change left it; of a deleted one only what names no person.
    user_id    BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    name       TEXT,
    email      TEXT,
    created_at TIMESTAMP,
    updated_at TIMESTAMP
);
CREATE UNIQUE INDEX idempotency_keys_key ON idempotency_keys (key);

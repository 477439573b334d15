-- How far imports of users have come. Written by the transactions that store the users.
CREATE TABLE imports (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- The caller, as the SHA-256 of its issuer and subject, and the name that it has given to the import.
    key         BLOB NOT NULL,
    -- 1: NDJSON, 2: CSV.
    format      SMALLINT NOT NULL,
    -- What becomes of users whose email another one has. 1: they fail, 2: they are skipped, 3: the other is updated.
    on_conflict SMALLINT NOT NULL,
    -- All records that begin before this line are done.
    next_line   BIGINT NOT NULL,
    records     BIGINT NOT NULL,
    -- A chain of SHA-256 over these records.
    hash        BLOB NOT NULL,
    created     BIGINT NOT NULL,
    updated     BIGINT NOT NULL,
    skipped     BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    -- Whether the file is an export, which has to say where it ends.
    must_end    BOOLEAN NOT NULL,
    -- Whether all of the file is done.
    is_complete BOOLEAN NOT NULL,
    -- The only upload that may go on, and until when no other may begin. Always UTC.
    upload      BIGINT NOT NULL,
    held_until  TIMESTAMP NOT NULL,
    changed_at  TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX imports_key ON imports (key);
CREATE INDEX imports_changed_at ON imports (changed_at);
-- What was wrong with records of imports: the first ones of each import.
CREATE TABLE import_failures (
    id        INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    import_id BIGINT NOT NULL,
    line      BIGINT NOT NULL,
    code      TEXT NOT NULL,
    pointer   TEXT,
    detail    TEXT NOT NULL
);
CREATE INDEX import_failures_import_id ON import_failures (import_id, id);

-- What a user may have beside a name and an address. NULL is what most users have, and takes no space.
ALTER TABLE users
    -- The user's key in the system that it came from. "C": compared byte for byte, whatever the database's collation.
    ADD COLUMN external_id TEXT COLLATE "C",
    -- NULL is active, 1 is disabled.
    ADD COLUMN status SMALLINT,
    -- A JSON object in canonical form. Not jsonb, which would round numbers and order members in its own way.
    ADD COLUMN attributes TEXT;
CREATE UNIQUE INDEX users_external_id ON users (external_id) WHERE external_id IS NOT NULL;
-- Few users are disabled, so the index is small.
CREATE INDEX users_status ON users (status, id) WHERE status IS NOT NULL;
-- An event and a stored answer hold the whole user. The events of earlier releases do not know these columns
-- (known_columns < 2).
ALTER TABLE events ADD COLUMN external_id TEXT, ADD COLUMN status SMALLINT, ADD COLUMN attributes TEXT;
ALTER TABLE idempotency_keys ADD COLUMN external_id TEXT, ADD COLUMN status SMALLINT, ADD COLUMN attributes TEXT;

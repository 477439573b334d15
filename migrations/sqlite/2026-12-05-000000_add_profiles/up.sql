-- As on PostgreSQL.
ALTER TABLE users ADD COLUMN external_id TEXT;
ALTER TABLE users ADD COLUMN status SMALLINT;
ALTER TABLE users ADD COLUMN attributes TEXT;
CREATE UNIQUE INDEX users_external_id ON users (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX users_status ON users (status, id) WHERE status IS NOT NULL;
ALTER TABLE events ADD COLUMN external_id TEXT;
ALTER TABLE events ADD COLUMN status SMALLINT;
ALTER TABLE events ADD COLUMN attributes TEXT;
ALTER TABLE idempotency_keys ADD COLUMN external_id TEXT;
ALTER TABLE idempotency_keys ADD COLUMN status SMALLINT;
ALTER TABLE idempotency_keys ADD COLUMN attributes TEXT;

ALTER TABLE idempotency_keys DROP COLUMN external_id, DROP COLUMN status, DROP COLUMN attributes;
ALTER TABLE events DROP COLUMN external_id, DROP COLUMN status, DROP COLUMN attributes;
ALTER TABLE users DROP COLUMN external_id, DROP COLUMN status, DROP COLUMN attributes;

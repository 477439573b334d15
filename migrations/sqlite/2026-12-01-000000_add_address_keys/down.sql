DROP TRIGGER users_forget_keys;
DROP INDEX users_without_keys;
DROP INDEX users_duplicate_of;
DROP INDEX users_address_key;
ALTER TABLE users DROP COLUMN address_key;
ALTER TABLE users DROP COLUMN has_keys;
ALTER TABLE users DROP COLUMN key_revision;
ALTER TABLE users DROP COLUMN duplicate_of;

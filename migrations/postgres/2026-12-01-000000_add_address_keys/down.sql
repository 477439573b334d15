DROP TRIGGER users_forget_keys ON users;
DROP FUNCTION users_forget_keys;
DROP INDEX users_without_keys;
DROP INDEX users_duplicate_of;
DROP INDEX users_address_key;
ALTER TABLE users DROP COLUMN address_key, DROP COLUMN has_keys, DROP COLUMN key_revision, DROP COLUMN duplicate_of;

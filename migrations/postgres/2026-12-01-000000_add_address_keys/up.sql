-- What makes an address unique is from now on address_key, or, where that is NULL, email_key, as both are equal for nearly all.
-- Until the next release drops the index on it, email_key is what it was before, for the replicas that know nothing else.
-- The service computes them: a row without keys was written by such a replica.
ALTER TABLE users
    ADD COLUMN IF NOT EXISTS address_key  TEXT COLLATE "C",
    ADD COLUMN IF NOT EXISTS has_keys     BOOLEAN NOT NULL DEFAULT false,
    -- Rises with each write of a replica that knows the new keys.
    ADD COLUMN IF NOT EXISTS key_revision BIGINT NOT NULL DEFAULT 0,
    -- The user who has the same address; this one is not found by it.
    ADD COLUMN IF NOT EXISTS duplicate_of BIGINT;
CREATE UNIQUE INDEX IF NOT EXISTS users_address_key ON users (address_key) WHERE address_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS users_duplicate_of ON users (duplicate_of) WHERE duplicate_of IS NOT NULL;
-- Those whose keys are to be computed. For addresses in ASCII, and for names whose key is, the old keys are right.
CREATE INDEX IF NOT EXISTS users_without_keys ON users (id)
    WHERE NOT has_keys AND (name_key ~ '[^\x01-\x7f]' OR email ~ '[^\x01-\x7f]' OR email_key LIKE '%xn--%');
CREATE OR REPLACE FUNCTION users_forget_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.email <> OLD.email THEN
        NEW.address_key := NULL;
        NEW.duplicate_of := NULL;
    END IF;
    NEW.has_keys := NEW.has_keys
        AND NEW.name_key = OLD.name_key AND NEW.email = OLD.email AND NEW.email_key = OLD.email_key;
    RETURN NEW;
END $$;
-- Until the next release: for replicas that do not know the new keys. Addresses are not compared here: then nobody could change
-- that column's type.
CREATE OR REPLACE TRIGGER users_forget_keys BEFORE UPDATE ON users FOR EACH ROW
    WHEN (NEW.key_revision = OLD.key_revision)
    EXECUTE FUNCTION users_forget_keys();

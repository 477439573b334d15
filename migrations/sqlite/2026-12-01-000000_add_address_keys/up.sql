-- What makes an address unique is from now on address_key, or, where that is NULL, email_key, as both are equal for nearly all.
-- Until the next release drops the index on it, email_key is what it was before, for a release that is gone back to.
-- The service computes them: a row without keys was written by such a release.
ALTER TABLE users ADD COLUMN address_key TEXT;
ALTER TABLE users ADD COLUMN has_keys BOOLEAN NOT NULL DEFAULT false;
-- Rises with each write of a release that knows the new keys.
ALTER TABLE users ADD COLUMN key_revision BIGINT NOT NULL DEFAULT 0;
-- The user who has the same address; this one is not found by it.
ALTER TABLE users ADD COLUMN duplicate_of BIGINT;
CREATE UNIQUE INDEX users_address_key ON users (address_key) WHERE address_key IS NOT NULL;
CREATE INDEX users_duplicate_of ON users (duplicate_of) WHERE duplicate_of IS NOT NULL;
-- Those whose keys are to be computed. For addresses in ASCII, and for names whose key is, the old keys are right.
CREATE INDEX users_without_keys ON users (id)
    WHERE NOT has_keys AND (name_key GLOB '*[^ -~]*' OR email GLOB '*[^ -~]*' OR email_key LIKE '%xn--%');
-- Until the next release: for a release that does not know the new keys.
CREATE TRIGGER users_forget_keys AFTER UPDATE OF name_key, email, email_key ON users
    WHEN NEW.key_revision = OLD.key_revision
        AND (NEW.name_key <> OLD.name_key OR NEW.email <> OLD.email OR NEW.email_key <> OLD.email_key)
BEGIN
    UPDATE users SET
        has_keys = false,
        address_key = CASE WHEN NEW.email = OLD.email THEN address_key END,
        duplicate_of = CASE WHEN NEW.email = OLD.email THEN duplicate_of END
    WHERE id = NEW.id;
END;

-- What lists can be filtered by: attributes that are a string, a number or a boolean of at most 255 characters. A table instead
-- of indexes by expression: SQLite makes an index at once, and no one can write meanwhile. The service adds the names of
-- ATTRIBUTES_INDEXED, and fills in those who were there before, some users at a time.
CREATE TABLE attribute_indexes (
    name TEXT PRIMARY KEY NOT NULL,
    -- Users up to this id have been filled in; the triggers see to all later writes.
    filled_to BIGINT NOT NULL DEFAULT 0,
    is_complete BOOLEAN NOT NULL DEFAULT FALSE,
    -- Its entries are being removed.
    is_dropped BOOLEAN NOT NULL DEFAULT FALSE
) WITHOUT ROWID;
CREATE TABLE user_attributes (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (name, value, user_id)
) WITHOUT ROWID;
-- The entries that users should have. Names are of characters that need no escape in a path.
CREATE VIEW user_attribute_values AS
SELECT name, value, user_id FROM (
    SELECT name, user_id, CASE json_type(attributes, path)
        WHEN 'text' THEN json_extract(attributes, path)
        WHEN 'true' THEN 'true'
        WHEN 'false' THEN 'false'
        -- As it is written.
        WHEN 'integer' THEN attributes -> path
        WHEN 'real' THEN attributes -> path
    END AS value
    FROM (
        SELECT indexes.name, users.id AS user_id, users.attributes, '$."' || indexes.name || '"' AS path
        FROM users CROSS JOIN attribute_indexes AS indexes
        WHERE users.attributes IS NOT NULL AND json_valid(users.attributes) AND NOT indexes.is_dropped
    )
) WHERE value IS NOT NULL AND length(value) <= 255;
-- Without an index they cost as little as can be.
CREATE TRIGGER users_attributes_inserted AFTER INSERT ON users
    WHEN NEW.attributes IS NOT NULL AND EXISTS (SELECT 1 FROM attribute_indexes)
BEGIN
    INSERT OR IGNORE INTO user_attributes SELECT name, value, user_id FROM user_attribute_values WHERE user_id = NEW.id;
END;
CREATE TRIGGER users_attributes_before BEFORE UPDATE OF id, attributes ON users
    WHEN OLD.attributes IS NOT NULL AND EXISTS (SELECT 1 FROM attribute_indexes)
BEGIN
    DELETE FROM user_attributes WHERE (name, value, user_id) IN
        (SELECT name, value, user_id FROM user_attribute_values WHERE user_id = OLD.id);
END;
CREATE TRIGGER users_attributes_after AFTER UPDATE OF id, attributes ON users
    WHEN NEW.attributes IS NOT NULL AND EXISTS (SELECT 1 FROM attribute_indexes)
BEGIN
    INSERT OR IGNORE INTO user_attributes SELECT name, value, user_id FROM user_attribute_values WHERE user_id = NEW.id;
END;
CREATE TRIGGER users_attributes_deleted BEFORE DELETE ON users
    WHEN OLD.attributes IS NOT NULL AND EXISTS (SELECT 1 FROM attribute_indexes)
BEGIN
    DELETE FROM user_attributes WHERE (name, value, user_id) IN
        (SELECT name, value, user_id FROM user_attribute_values WHERE user_id = OLD.id);
END;

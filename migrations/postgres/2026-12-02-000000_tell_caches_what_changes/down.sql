DROP TRIGGER users_mark_change ON users;
DROP FUNCTION users_mark_change();
ALTER TABLE events DROP COLUMN known_columns;

ALTER TABLE events DROP COLUMN known_columns;

-- As on PostgreSQL. On SQLite a replica sees all changes of the file, so nothing reads it, and there are no marks.
ALTER TABLE events ADD COLUMN known_columns SMALLINT;

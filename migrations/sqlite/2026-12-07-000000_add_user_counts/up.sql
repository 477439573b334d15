-- As on PostgreSQL. On SQLite nothing reads it: the number is kept in memory.
CREATE TABLE user_counts (
    id BIGINT PRIMARY KEY NOT NULL,
    total BIGINT NOT NULL,
    position BIGINT NOT NULL
);

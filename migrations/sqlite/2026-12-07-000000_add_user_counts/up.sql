-- How many users there are. On SQLite triggers see to it, whoever writes; so it has no position.
CREATE TABLE user_counts (
    id BIGINT PRIMARY KEY NOT NULL,
    total BIGINT NOT NULL,
    position BIGINT NOT NULL
);
INSERT INTO user_counts (id, total, position) SELECT 1, count(*), 0 FROM users;
CREATE TRIGGER users_counted_in AFTER INSERT ON users
BEGIN
    UPDATE user_counts SET total = total + 1;
END;
CREATE TRIGGER users_counted_out AFTER DELETE ON users
BEGIN
    UPDATE user_counts SET total = total - 1;
END;

-- How many users there were when the log of events was final up to a position. Has a row once somebody has asked.
CREATE TABLE user_counts (
    id BIGINT PRIMARY KEY,
    total BIGINT NOT NULL,
    position BIGINT NOT NULL
);

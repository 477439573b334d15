-- Each change of a user, in the transaction that makes it.
CREATE TABLE events (
    -- Where it stands in the log. AUTOINCREMENT: the place of a pruned event is never used again.
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- 1 created, 2 updated, 3 deleted.
    kind         SMALLINT NOT NULL,
    user_id      BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    -- The user as the change left it; none of a deleted one.
    name         TEXT,
    email        TEXT,
    created_at   TIMESTAMP,
    -- Always UTC.
    occurred_at  TIMESTAMP NOT NULL,
    -- What is random in the event's UUID.
    salt         BIGINT NOT NULL,
    trace_parent TEXT
);
-- What has become of the log; one row.
CREATE TABLE event_log (
    id        INTEGER PRIMARY KEY NOT NULL,
    -- The replica that relays, and its signs of life.
    leader    TEXT,
    beat      BIGINT NOT NULL,
    -- Signs of life of replicas that would relay, and cannot reach the broker.
    standby   BIGINT NOT NULL,
    -- The broker has all events up to here, but for those that are held.
    sent_to   BIGINT NOT NULL,
    -- All events up to here are gone, but for those that are held.
    pruned_to BIGINT NOT NULL
);
INSERT INTO event_log (id, beat, standby, sent_to, pruned_to) VALUES (1, 0, 0, 0, 0);
-- Events that the broker refused, and later ones of the same users, which wait behind them.
CREATE TABLE held_events (
    event_id  INTEGER PRIMARY KEY NOT NULL,
    user_id   BIGINT NOT NULL,
    tries     BIGINT NOT NULL,
    -- When it was given up.
    parked_at TIMESTAMP
);
CREATE INDEX held_events_user_id ON held_events (user_id, event_id) WHERE parked_at IS NULL;

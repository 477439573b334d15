-- Which columns of users the writer of the event knew, and so which of them the event has; NULL for releases before this one.
-- A replica that keeps users in memory takes over what an event says only if it has all columns that the replica knows.
ALTER TABLE events ADD COLUMN IF NOT EXISTS known_columns SMALLINT;
-- Replicas keep users in memory, and learn from the log of events what has changed. A statement that changes users and records
-- no events, such as an operator's, leaves a mark in the log: an event without a user, which older replicas pass over as one
-- that was blanked. The service's own statements set user_service.records for as long as they run.
CREATE OR REPLACE FUNCTION users_mark_change() RETURNS trigger
    -- The role that types SQL need not be allowed to write to the log.
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO %I.events (kind, user_id, version, occurred_at, salt) VALUES (2, 0, 0, $1, $2)', TG_TABLE_SCHEMA)
        USING clock_timestamp() AT TIME ZONE 'UTC', (random() * 9007199254740992)::bigint;
    RETURN NULL;
END $$;
-- A change by a trigger of an operator, within a statement of the service, has no event either.
CREATE OR REPLACE TRIGGER users_mark_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON users FOR EACH STATEMENT
    WHEN (pg_trigger_depth() > 0 OR current_setting('user_service.records', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION users_mark_change();
-- Also with session_replication_role = replica.
ALTER TABLE users ENABLE ALWAYS TRIGGER users_mark_change;

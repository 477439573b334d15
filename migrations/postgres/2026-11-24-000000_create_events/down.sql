DROP TABLE held_events;
DROP TABLE event_log;
DROP TABLE events;

-- Size of the newest checkpoint whose object was put: readers see no larger one.
ALTER TABLE log_lock ADD COLUMN published_size INTEGER NOT NULL DEFAULT 0;

-- Times at which keys ended: the last checkpoint before each is kept for ever.
CREATE TABLE log_key_ends (
    time_ms INTEGER PRIMARY KEY
);

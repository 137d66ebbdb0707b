-- Size of the newest checkpoint whose object was put: readers see no larger one.
ALTER TABLE log_lock ADD COLUMN published_size INTEGER NOT NULL DEFAULT 0;

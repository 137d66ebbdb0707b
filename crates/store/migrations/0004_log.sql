-- The transparency log: what waits to be appended, where it went, and what was published. Tiles and entries are
-- objects.

-- Entries in the order in which their transactions committed. A sequence number is never used twice.
CREATE TABLE log_outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    entry_id BLOB NOT NULL UNIQUE CHECK (length(entry_id) = 16),
    -- Leaf hash of the entry.
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    entry BLOB NOT NULL
);

-- Where an entry stands in the log, and its leaf hash.
CREATE TABLE log_leaves (
    entry_id BLOB PRIMARY KEY CHECK (length(entry_id) = 16),
    leaf INTEGER NOT NULL CHECK (leaf >= 0),
    digest BLOB NOT NULL CHECK (length(digest) = 32)
) WITHOUT ROWID;

-- Size and root of the tree after each append since the newest checkpoint, its own included. The last is the log as it
-- is now; without a row it is empty.
CREATE TABLE log_trees (
    size INTEGER PRIMARY KEY CHECK (size > 0),
    root BLOB NOT NULL CHECK (length(root) = 32)
);

-- The newest signed checkpoints; never two of one size.
CREATE TABLE log_checkpoints (
    size INTEGER PRIMARY KEY CHECK (size > 0),
    signed BLOB NOT NULL
);

-- The one row that says who may append: each holder has an epoch of its own, larger than all before.
CREATE TABLE log_lock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    holder BLOB NOT NULL CHECK (length(holder) = 16),
    lease_until_ms INTEGER NOT NULL,
    -- The log that the checkpoints are of; NULL before the first one.
    log_id BLOB CHECK (length(log_id) = 32)
);
INSERT INTO log_lock (one, epoch, holder, lease_until_ms) VALUES (1, 0, zeroblob(16), 0);

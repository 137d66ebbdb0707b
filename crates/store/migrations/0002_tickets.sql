-- Tickets. The row is the used mark and outlives both the ticket's bytes and its gallery.
CREATE TABLE tickets (
    ticket_id BLOB PRIMARY KEY CHECK (length(ticket_id) = 16),
    gallery_id BLOB NOT NULL CHECK (length(gallery_id) = 16),
    key_id BLOB NOT NULL CHECK (length(key_id) = 16),
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    bytes INTEGER NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    expires_ms INTEGER NOT NULL,
    -- When the bytes or the answer are deleted; NULL once neither is left.
    forget_ms INTEGER,
    -- 0 open, 1 begun, 2 done, 3 expired without use.
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    -- Object of the ticket's bytes; NULL once they are deleted.
    path TEXT,
    request_digest BLOB CHECK (length(request_digest) = 32),
    -- The answer, here or as an object; all NULL if there is none or it is deleted.
    answer_digest BLOB CHECK (length(answer_digest) = 32),
    answer_path TEXT,
    answer BLOB,
    CHECK ((state IN (1, 2)) = (request_digest IS NOT NULL)),
    CHECK (answer_digest IS NULL OR (answer IS NULL) <> (answer_path IS NULL)),
    CHECK ((forget_ms IS NULL) = (path IS NULL AND answer_digest IS NULL))
) WITHOUT ROWID;
CREATE INDEX tickets_by_expiry ON tickets (expires_ms);
CREATE INDEX tickets_to_forget ON tickets (forget_ms) WHERE forget_ms IS NOT NULL;
CREATE INDEX tickets_of_gallery ON tickets (gallery_id) WHERE forget_ms IS NOT NULL;
CREATE INDEX tickets_with_bytes ON tickets (gallery_id) WHERE path IS NOT NULL;

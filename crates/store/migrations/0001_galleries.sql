-- Galleries, their segments and blocks, and the templates in them. Large columns come last in each table, so that a
-- query that does not ask for them does not read their pages.

CREATE TABLE galleries (
    id INTEGER PRIMARY KEY,
    gallery_id BLOB NOT NULL UNIQUE CHECK (length(gallery_id) = 16),
    parameter_set INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    stride INTEGER NOT NULL,
    mask_epoch INTEGER NOT NULL,
    key_id BLOB NOT NULL CHECK (length(key_id) = 16),
    -- What follows from the layout and is checked at each write.
    slots INTEGER NOT NULL CHECK (slots BETWEEN 1 AND 2048),
    delta_bytes INTEGER NOT NULL CHECK (delta_bytes > 0),
    created_ms INTEGER NOT NULL,
    -- SHA3-256 of the sealed manifest of version 1: recognises a repeated creation after the manifest moved on.
    first_manifest_digest BLOB NOT NULL CHECK (length(first_manifest_digest) = 32),
    manifest_version INTEGER NOT NULL CHECK (manifest_version >= 1),
    descriptor BLOB NOT NULL,
    manifest BLOB NOT NULL
);

-- Ids of deleted galleries. They are never used again: a gallery of the same id could hold the same blocks, whose
-- slots would be written a second time.
CREATE TABLE deleted_galleries (
    gallery_id BLOB PRIMARY KEY CHECK (length(gallery_id) = 16)
) WITHOUT ROWID;

-- Uploads that are not committed; the bytes received so far are the file of that name.
CREATE TABLE uploads (
    upload_id BLOB PRIMARY KEY CHECK (length(upload_id) = 16),
    gallery INTEGER NOT NULL REFERENCES galleries (id) ON DELETE CASCADE,
    total_bytes INTEGER NOT NULL CHECK (total_bytes > 0),
    digest BLOB NOT NULL CHECK (length(digest) = 32)
) WITHOUT ROWID;
CREATE INDEX uploads_by_gallery ON uploads (gallery);

-- Committed uploads.
CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    upload_id BLOB NOT NULL UNIQUE CHECK (length(upload_id) = 16),
    gallery INTEGER NOT NULL REFERENCES galleries (id) ON DELETE CASCADE,
    path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    blocks INTEGER NOT NULL CHECK (blocks > 0),
    -- The manifest version that the commit led to, and SHA3-256 of all that it carried: recognises a repetition.
    committed_version INTEGER NOT NULL,
    commit_digest BLOB NOT NULL CHECK (length(commit_digest) = 32)
);
CREATE INDEX segments_by_gallery ON segments (gallery);

CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    gallery INTEGER NOT NULL REFERENCES galleries (id) ON DELETE CASCADE,
    block_id BLOB NOT NULL CHECK (length(block_id) = 16),
    ordinal INTEGER NOT NULL,
    segment INTEGER NOT NULL REFERENCES segments (id) ON DELETE CASCADE,
    index_in_segment INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    -- Sealed slot-map entries; slots filled now; slots ever written.
    entries INTEGER NOT NULL CHECK (entries >= 0),
    filled INTEGER NOT NULL CHECK (filled >= 0),
    used INTEGER NOT NULL CHECK (used >= filled),
    -- The manifest version of the last change.
    changed_at INTEGER NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (gallery, block_id),
    UNIQUE (gallery, ordinal),
    UNIQUE (segment, index_in_segment)
);

-- The templates of each gallery are in a table of their own, made with the gallery: see src/templates.rs.

-- Sealed slot-map entries in the order in which they were appended.
CREATE TABLE entries (
    block INTEGER NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
    idx INTEGER NOT NULL CHECK (idx >= 0),
    sealed BLOB NOT NULL,
    PRIMARY KEY (block, idx)
) WITHOUT ROWID;

-- The key that this one was made in the place of: a revocation ends those that follow too.
ALTER TABLE api_keys ADD COLUMN rotated_from BLOB CHECK (length(rotated_from) = 8);
CREATE INDEX api_keys_by_origin ON api_keys (rotated_from) WHERE rotated_from IS NOT NULL;

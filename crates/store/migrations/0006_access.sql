-- Tenants, principals, what they prove themselves with, and what they may do.

CREATE TABLE tenants (
    tenant_id BLOB PRIMARY KEY CHECK (length(tenant_id) = 16),
    name TEXT NOT NULL UNIQUE,
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;
-- The tenant of what was stored before there were tenants.
INSERT INTO tenants (tenant_id, name, created_ms) VALUES (zeroblob(16), 'built-in', 0);

CREATE TABLE principals (
    principal_id BLOB PRIMARY KEY CHECK (length(principal_id) = 16),
    tenant_id BLOB NOT NULL REFERENCES tenants (tenant_id),
    name TEXT NOT NULL,
    operator INTEGER NOT NULL DEFAULT 0 CHECK (operator IN (0, 1)),
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_ms INTEGER NOT NULL,
    UNIQUE (tenant_id, name)
) WITHOUT ROWID;

CREATE TABLE api_keys (
    key_id BLOB PRIMARY KEY CHECK (length(key_id) = 8),
    principal_id BLOB NOT NULL REFERENCES principals (principal_id),
    -- A keyed hash of the key, and what authenticates its sealed sessions, sealed: the key itself is not kept.
    verifier BLOB NOT NULL CHECK (length(verifier) = 32),
    sealed_session BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    last_used_ms INTEGER NOT NULL DEFAULT 0,
    revoked_ms INTEGER
) WITHOUT ROWID;
CREATE INDEX api_keys_of_principal ON api_keys (principal_id);

-- Identities that others vouch for.
CREATE TABLE subjects (
    -- 1 a client certificate, 2 a token.
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    principal_id BLOB NOT NULL REFERENCES principals (principal_id),
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, issuer, subject)
) WITHOUT ROWID;
CREATE INDEX subjects_of_principal ON subjects (principal_id);

CREATE TABLE grants (
    grant_id BLOB PRIMARY KEY CHECK (length(grant_id) = 16),
    principal_id BLOB NOT NULL REFERENCES principals (principal_id),
    -- 0 admin, 1 enroller, 2 matcher, 3 auditor.
    role INTEGER NOT NULL CHECK (role BETWEEN 0 AND 3),
    -- NULL for the whole tenant.
    gallery_id BLOB CHECK (length(gallery_id) = 16),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER
) WITHOUT ROWID;
CREATE INDEX grants_of_principal ON grants (principal_id);

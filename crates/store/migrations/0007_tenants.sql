-- Galleries, uploads and tickets belong to a tenant. The ids in their rows are names under which no two tenants meet: for
-- the built-in tenant the id itself, for others a hash of tenant and id. `own_id` is the id where the two differ.
ALTER TABLE galleries ADD COLUMN tenant_id BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
    CHECK (length(tenant_id) = 16);
ALTER TABLE galleries ADD COLUMN own_id BLOB CHECK (length(own_id) = 16);
CREATE INDEX galleries_of_tenant ON galleries (tenant_id);
ALTER TABLE tickets ADD COLUMN own_gallery_id BLOB CHECK (length(own_gallery_id) = 16);

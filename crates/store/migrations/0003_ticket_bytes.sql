-- `bytes` of a ticket are those of what is kept: of the ticket, then of its answer. Their sum over a gallery is looked
-- up with every ticket.
CREATE INDEX tickets_kept_bytes ON tickets (gallery_id, bytes) WHERE forget_ms IS NOT NULL;
DROP INDEX tickets_of_gallery;

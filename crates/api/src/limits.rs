//! The limits of the interface. A message is received and decoded whole, which takes memory for up to
//! [`MAX_MESSAGE_BYTES`] and what they decode to; the other limits are checked on the decoded message, before anything
//! is made of it.

/// Most bytes of one gRPC message, in either direction.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Most bytes of one chunk of an upload.
pub const MAX_CHUNK_BYTES: usize = 1 << 20;
/// Most bytes of a gallery's sealed descriptor.
pub const MAX_DESCRIPTOR_BYTES: usize = 16 << 10;
/// Most bytes of a sealed manifest.
pub const MAX_MANIFEST_BYTES: usize = 2 << 20;
/// Most bytes of the sealed manifest of a gallery that is created, which lists no blocks.
pub const MAX_FIRST_MANIFEST_BYTES: usize = 4 << 10;
/// Most bytes of a sealed block record.
pub const MAX_RECORD_BYTES: usize = 64 << 10;
/// Most bytes of a sealed slot-map entry.
pub const MAX_ENTRY_BYTES: usize = 256;
/// Most blocks that one call changes.
pub const MAX_CHANGES_PER_CALL: usize = 256;
/// Most slots that one call writes or removes, over all blocks.
pub const MAX_SLOTS_PER_CALL: usize = 8192;
/// Most slot-map entries that one call appends, over all blocks.
pub const MAX_ENTRIES_PER_CALL: usize = 8192;
/// Most slot-map entries of one block: each slot written and removed, twice over, so that they fit one message.
pub const MAX_ENTRIES_PER_BLOCK: u32 = 8192;
/// Most blocks that a call to fetch records lists as known.
pub const MAX_KNOWN_BLOCKS: usize = 100_000;
/// Most deltas that one call fetches.
pub const MAX_DELTAS_PER_CALL: usize = 256;
/// Most galleries on a page, and how many without a wish.
pub const MAX_GALLERIES_PER_PAGE: usize = 100;
/// Most templates on a page, and how many without a wish.
pub const MAX_TEMPLATES_PER_PAGE: usize = 10_000;
/// Most bytes of an attestation's audience, in UTF-8.
pub const MAX_AUDIENCE_BYTES: usize = tyto_attest::MAX_TEXT_BYTES;
/// How long a key that was replaced may still be taken, in seconds.
pub const MAX_KEY_OVERLAP_S: u32 = 7 * 24 * 3600;
/// Most documents that one call attests.
pub const MAX_DOCUMENTS_PER_CALL: usize = 256;
/// Most bytes of a document's label, in UTF-8.
pub const MAX_LABEL_BYTES: usize = tyto_attest::MAX_TEXT_BYTES;
/// Most keys in a list of the server's keys.
pub const MAX_SIGNING_KEYS: usize = 1024;
/// Most templates of one subject in a verification's answer.
pub const MAX_RESULTS_PER_VERIFICATION: usize = 1024;
/// Most blocks in one message of an identification's answer.
pub const MAX_BLOCKS_PER_MESSAGE: usize = 32;
/// Bytes of the tags on deltas and ticket uses.
pub const TAG_BYTES: usize = 16;
/// The largest slot number that any layout has.
pub const MAX_SLOT: u32 = 2047;

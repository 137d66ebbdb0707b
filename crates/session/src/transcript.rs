//! The hash of everything that was said.

use tyto_pqc::digest::Hasher;

const PREFIX: &[u8] = b"tyto/v1/session-transcript";

/// What the server's signature is over, with a transcript hash behind it.
pub(crate) const SERVER_SIGNATURE: &[u8] = b"tyto/v1/session-server-signature\0";

/// What a client's signature is over, with a transcript hash behind it.
pub(crate) const CLIENT_SIGNATURE: &[u8] = b"tyto/v1/session-client-signature\0";

/// What a client's MAC is over, with a transcript hash behind it.
pub(crate) const CLIENT_MAC: &[u8] = b"tyto/v1/session-client-mac\0";

/// A hash of the transcript up to some item.
pub(crate) type TranscriptHash = [u8; 32];

/// The items so far, each behind its length.
pub(crate) struct Transcript(Hasher);

impl Transcript {
    pub(crate) fn new() -> Self {
        let mut hasher = Hasher::new();
        hasher.update(PREFIX);
        Self(hasher)
    }

    /// Appends an item and returns the hash up to it.
    pub(crate) fn add(&mut self, item: &[u8]) -> TranscriptHash {
        self.0.update(&(item.len() as u32).to_le_bytes());
        self.0.update(item);
        self.0.clone().finalize()
    }
}

/// The message that is signed or authenticated at some point of a handshake.
pub(crate) fn signed_message(purpose: &[u8], hash: &TranscriptHash) -> Vec<u8> {
    [purpose, hash].concat()
}

//! AES-256-GCM (NIST SP 800-38D) with nonces that the caller counts.
//!
//! For long records under keys of their own. Where a nonce could ever repeat, [`crate::aead`] is the choice.

use core::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::{Error, Secret32};

/// Length of a nonce.
pub const NONCE_BYTES: usize = 12;

/// Length of a tag.
pub const TAG_BYTES: usize = 16;

/// A key that seals and opens in place.
///
/// # Security
/// **A nonce that seals twice under one key gives away the difference of the plaintexts and the key of the tags.** The
/// library wipes the key schedule when the value is dropped.
pub struct Key(LessSafeKey);

impl Key {
    /// The key with these 32 bytes.
    ///
    /// # Errors
    /// [`Error::Backend`] if the library cannot set the key up (out of memory).
    pub fn new(key: &Secret32) -> Result<Self, Error> {
        UnboundKey::new(&AES_256_GCM, key.expose())
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| Error::Backend { operation: "AES-256-GCM key setup" })
    }

    /// Turns the plaintext in `in_out` into ciphertext of the same length and returns the tag over it and `aad`. The
    /// nonce has not been used under this key, and never is again.
    ///
    /// # Errors
    /// [`Error::Backend`] if the input is longer than the algorithm allows (2^36 - 32 bytes).
    pub fn seal_in_place(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], Error> {
        let failed = Error::Backend { operation: "AES-256-GCM sealing" };
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), in_out);
        tag.ok().and_then(|tag| tag.as_ref().try_into().ok()).ok_or(failed)
    }

    /// Turns `ciphertext || tag` in `in_out` into the plaintext, at its beginning, and returns its length.
    ///
    /// # Errors
    /// [`Error::SealedTooShort`] under [`TAG_BYTES`] bytes. [`Error::NotAuthentic`] if it was not sealed like this; then
    /// `in_out` is zeros.
    pub fn open_in_place(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<usize, Error> {
        let actual_bytes = in_out.len();
        if actual_bytes < TAG_BYTES {
            return Err(Error::SealedTooShort { actual_bytes, min_bytes: TAG_BYTES });
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        if self.0.open_in_place(nonce, Aad::from(aad), in_out).is_err() {
            // The library deciphers before it compares tags.
            in_out.fill(0);
            return Err(Error::NotAuthentic);
        }
        Ok(actual_bytes - TAG_BYTES)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([redacted])")
    }
}

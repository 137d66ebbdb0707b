//! Authenticated encryption: AES-256-GCM-SIV (RFC 8452).
//!
//! Sealed bytes are `nonce (12, from the operating system) || ciphertext || tag (16)`. The algorithm keeps
//! most of its promise even if a nonce should repeat (RFC 8452 section 9): equal plaintexts under equal
//! associated data become visible, nothing more.

use core::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{Error, Secret32, random};

/// Length of the nonce at the front of sealed bytes.
const NONCE_BYTES: usize = 12;

/// Length of the tag at the end of sealed bytes.
const TAG_BYTES: usize = 16;

/// By how many bytes sealed bytes are longer than their plaintext.
pub const OVERHEAD: usize = NONCE_BYTES + TAG_BYTES;

/// A key that seals and opens.
///
/// # Security
/// RFC 8452 section 9 bounds what one key may seal under random nonces; derive a key per purpose. The
/// library wipes the key schedule when the value is dropped.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// The key with these 32 bytes.
    ///
    /// # Errors
    /// [`Error::Backend`] if the library cannot set the key up (out of memory).
    pub fn new(key: &Secret32) -> Result<Self, Error> {
        UnboundKey::new(&AES_256_GCM_SIV, key.expose())
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| Error::Backend { operation: "AES-256-GCM-SIV key setup" })
    }

    /// Encrypts and authenticates `plaintext`, authenticates `aad`. Returns `plaintext.len() + `
    /// [`OVERHEAD`] bytes.
    ///
    /// # Errors
    /// [`Error::OsRandomness`] without a nonce; [`Error::Backend`] if the input is longer than the
    /// algorithm allows (2^36 bytes, RFC 8452 section 6).
    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let nonce = random::bytes::<NONCE_BYTES>()?;
        // At its final size from the start: growing it later could leave plaintext in freed memory. Wiped on errors.
        let mut sealed = Zeroizing::new(Vec::with_capacity(plaintext.len() + OVERHEAD));
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                &mut sealed[NONCE_BYTES..],
            )
            .map_err(|_| Error::Backend { operation: "AES-256-GCM-SIV sealing" })?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(std::mem::take(&mut *sealed))
    }

    /// The plaintext of `sealed`, if it was sealed under this key with this `aad`. It is wiped on drop.
    ///
    /// # Errors
    /// [`Error::SealedTooShort`] under [`OVERHEAD`] bytes, else [`Error::NotAuthentic`].
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let too_short = Error::SealedTooShort { actual_bytes: sealed.len(), min_bytes: OVERHEAD };
        let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(too_short.clone())?;
        if body.len() < TAG_BYTES {
            return Err(too_short);
        }
        let mut buffer = Zeroizing::new(body.to_vec());
        let plaintext_bytes = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut buffer)
            .map_err(|_| Error::NotAuthentic)?
            .len();
        buffer.truncate(plaintext_bytes);
        Ok(buffer)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([redacted])")
    }
}

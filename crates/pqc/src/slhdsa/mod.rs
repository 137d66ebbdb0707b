//! SLH-DSA signatures (FIPS 205), pure interface, hedged (sections 10.2.1 and 10.3).
//!
//! All twelve parameter sets verify; the SHAKE sets sign. These run on eight Keccak states at once
//! ([`tyto_kernels::keccak`]): eight leaves of a tree side by side in all that makes keys and signatures, eight chains
//! or trees in verification. The SHA2 sets verify through the crate `slh-dsa`.

mod address;
#[cfg(test)]
mod battery;
mod digits;
mod encoding;
mod fors;
mod hash;
mod hypertree;
mod internal;
mod library;
mod merkle;
mod params;
mod wots;

use core::num::NonZeroUsize;

use zeroize::Zeroizing;

pub use crate::key_id::KEY_ID_BYTES;
use crate::key_id::named_public_key;
use crate::{Error, random};

use internal::Effort;
pub use params::ParameterSet;

/// Longest context string (FIPS 205 section 10.2).
pub const MAX_CONTEXT_BYTES: usize = 255;

/// Longest public key.
const MAX_PUBLIC_KEY_BYTES: usize = 64;

/// What the message begins with in the pure interface: `0 || |ctx| || ctx` (FIPS 205 algorithms 22 and 24).
fn prefix(context: &[u8]) -> Result<Vec<u8>, Error> {
    let length = u8::try_from(context.len())
        .map_err(|_| Error::ContextTooLong { actual_bytes: context.len(), max_bytes: MAX_CONTEXT_BYTES })?;
    Ok([&[0, length], context].concat())
}

/// A private key of a SHAKE set, wiped on drop.
pub struct SigningKey {
    /// `SK.seed || SK.prf || PK.seed || PK.root` (FIPS 205 figure 15).
    bytes: Zeroizing<Vec<u8>>,
    verifying_key: VerifyingKey,
    effort: Effort,
}

impl SigningKey {
    /// A fresh key (algorithm 21), from the operating system's randomness.
    ///
    /// # Errors
    /// [`Error::CannotSign`] for a SHA2 set; [`Error::OsRandomness`].
    pub fn generate(set: ParameterSet) -> Result<Self, Error> {
        let mut seeds = Zeroizing::new(vec![0; 3 * set.parameters().n]);
        random::fill(&mut seeds)?;
        Self::from_seeds(set, &seeds, Effort::default())
    }

    /// Reads what [`SigningKey::to_bytes`] wrote, and computes the public root again to compare it, which takes as
    /// long as generating a key.
    ///
    /// # Errors
    /// [`Error::CannotSign`] for a SHA2 set; [`Error::MalformedKey`] for a wrong length or a wrong root.
    pub fn from_bytes(set: ParameterSet, bytes: &[u8]) -> Result<Self, Error> {
        let malformed =
            || Error::MalformedKey { algorithm: set.name(), what: "private key", actual_bytes: bytes.len() };
        if bytes.len() != set.private_key_bytes() {
            return Err(malformed());
        }
        let (seeds, root) = bytes.split_at(3 * set.parameters().n);
        let key = Self::from_seeds(set, seeds, Effort::default())?;
        if key.bytes[seeds.len()..] != *root {
            return Err(malformed());
        }
        Ok(key)
    }

    /// The same key, which signs on up to `threads` threads. At first it is one.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.effort.threads = threads.get();
        self
    }

    /// The private key as FIPS 205 figure 15 and RFC 9909 section 5 have it: `4 n` bytes, wiped on drop.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.bytes.clone()
    }

    /// The parameter set.
    pub fn parameter_set(&self) -> ParameterSet {
        self.verifying_key.set
    }

    /// The public key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    /// Signs `message` (algorithm 22), different at each call.
    ///
    /// # Errors
    /// [`Error::ContextTooLong`]; [`Error::OsRandomness`]; [`Error::Backend`] if the root that was computed is not
    /// the key's.
    pub fn sign(&self, message: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
        let prefix = prefix(context)?;
        let mut opt_rand = Zeroizing::new(vec![0; self.parameter_set().parameters().n]);
        random::fill(&mut opt_rand)?;
        self.sign_internal([&prefix, message], &opt_rand)
    }

    /// The one signature without randomness (algorithm 22, with `PK.seed` in its place): a known answer.
    pub(crate) fn sign_deterministic(&self, message: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
        let n = self.parameter_set().parameters().n;
        self.sign_internal([&prefix(context)?, message], &self.bytes[2 * n..3 * n])
    }

    /// Algorithm 19 of the message that is `parts` one after the other.
    fn sign_internal(&self, parts: [&[u8]; 2], opt_rand: &[u8]) -> Result<Vec<u8>, Error> {
        internal::sign(self.parameter_set(), self.effort, &self.bytes, parts, opt_rand)
            .ok_or(Error::Backend { operation: "SLH-DSA signing" })
    }

    /// Algorithm 18 for `SK.seed || SK.prf || PK.seed`.
    fn from_seeds(set: ParameterSet, seeds: &[u8], effort: Effort) -> Result<Self, Error> {
        if !set.is_shake() {
            return Err(Error::CannotSign { algorithm: set.name() });
        }
        let n = set.parameters().n;
        let root = internal::root(set, effort, &seeds[..n], &seeds[2 * n..]);
        let bytes = Zeroizing::new([seeds, &root].concat());
        let verifying_key = VerifyingKey::from_bytes(set, &bytes[2 * n..])?;
        Ok(Self { bytes, verifying_key, effort })
    }
}

/// A public key.
#[derive(Clone)]
pub struct VerifyingKey {
    set: ParameterSet,
    /// `PK.seed || PK.root` (FIPS 205 figure 16), then zeros.
    bytes: [u8; MAX_PUBLIC_KEY_BYTES],
}

impl VerifyingKey {
    /// Reads a public key. Every string of the set's length is one.
    ///
    /// # Errors
    /// [`Error::MalformedKey`] for any other length.
    pub fn from_bytes(set: ParameterSet, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != set.public_key_bytes() {
            let actual_bytes = bytes.len();
            return Err(Error::MalformedKey { algorithm: set.name(), what: "public key", actual_bytes });
        }
        let mut padded = [0; MAX_PUBLIC_KEY_BYTES];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { set, bytes: padded })
    }

    /// The parameter set.
    pub fn parameter_set(&self) -> ParameterSet {
        self.set
    }

    /// The encoded key, `2 n` bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.set.public_key_bytes()]
    }

    /// A copy of the encoded key.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    /// Checks `signature` over `message` in `context` (FIPS 205 algorithm 24).
    ///
    /// # Errors
    /// [`Error::ContextTooLong`]; [`Error::InvalidSignature`] if it does not verify, whatever the cause.
    pub fn verify(&self, message: &[u8], context: &[u8], signature: &[u8]) -> Result<(), Error> {
        let prefix = prefix(context)?;
        let is_valid = if self.set.is_shake() {
            internal::verify(self.set, tyto_kernels::detect(), self.as_bytes(), [&prefix, message], signature)
        } else {
            library::verify(self.set, self.as_bytes(), message, context, signature)
        };
        if is_valid { Ok(()) } else { Err(Error::InvalidSignature { algorithm: self.set.name() }) }
    }
}

named_public_key!(VerifyingKey);

//! The type of a 32-byte secret.

use core::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use crate::{Error, random};

/// 32 secret bytes.
///
/// They live on the heap, so that moving the value leaves no copy behind, and are wiped on drop. There is
/// no `Clone` and no `Copy`: [`Secret32::duplicate`] makes every second copy visible at its call site.
/// Equality takes the same time wherever the two values differ.
pub struct Secret32(Box<Zeroizing<[u8; 32]>>);

impl Secret32 {
    /// Length of the secret.
    pub const BYTES: usize = 32;

    /// Takes over `bytes`. The argument's own copy is wiped; copies that the caller keeps are not.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let secret = Self::from_fn(|out| out.copy_from_slice(&bytes));
        bytes.zeroize();
        secret
    }

    /// A secret that `write` puts in place, with no copy elsewhere. The buffer starts as zeros.
    pub fn from_fn(write: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut secret = Box::new(Zeroizing::new([0; 32]));
        write(&mut secret);
        Self(secret)
    }

    /// A fresh secret from the operating system.
    ///
    /// # Errors
    /// [`Error::OsRandomness`] if the operating system has no random bytes to give.
    pub fn random() -> Result<Self, Error> {
        let mut secret = Box::new(Zeroizing::new([0; 32]));
        random::fill(&mut secret[..])?;
        Ok(Self(secret))
    }

    /// The secret bytes, for the primitive that needs them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second copy of the secret, wiped on its own drop.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::from_fn(|out| out.copy_from_slice(self.expose()))
    }
}

impl fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret32([redacted])")
    }
}

impl ConstantTimeEq for Secret32 {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.expose().ct_eq(other.expose())
    }
}

impl PartialEq for Secret32 {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Secret32 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", Secret32::from_bytes([7; 32])), "Secret32([redacted])");
    }

    #[test]
    fn equality_sees_every_bit() {
        let secret = Secret32::random().unwrap();
        assert_eq!(secret, secret.duplicate());
        for bit in 0..256 {
            let mut bytes = *secret.expose();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(secret, Secret32::from_bytes(bytes), "bit {bit}");
        }
    }

    #[test]
    fn fresh_secrets_differ() {
        assert_ne!(Secret32::random().unwrap(), Secret32::random().unwrap());
    }
}

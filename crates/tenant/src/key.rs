//! The tenant key.

use crate::Error;
use tyto_pqc::{Secret32, kmac};
use tyto_scheme::KeyId;

/// The 32-byte key `K` from which everything secret of a tenant derives. Whoever holds it can read every template of
/// every gallery made under it; whoever loses it can read none, ever.
#[derive(Debug, PartialEq, Eq)]
pub struct TenantKey(Secret32);

impl TenantKey {
    /// A fresh key from the operating system's randomness.
    pub fn generate() -> Result<Self, Error> {
        Ok(Self(Secret32::random()?))
    }

    /// Takes over key material (32 uniform bytes).
    pub fn from_secret(secret: Secret32) -> Self {
        Self(secret)
    }

    /// The public id: `KMAC256(K, "", 128, "tyto/v1/key-id")`.
    pub fn id(&self) -> KeyId {
        KeyId(kmac::mac16(self.0.expose(), b"tyto/v1/key-id", &[]))
    }

    pub(crate) fn secret(&self) -> &Secret32 {
        &self.0
    }

    /// A second copy, wiped on its own drop.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }
}

//! Keys as `SubjectPublicKeyInfo` and PKCS#8 (RFC 9909 sections 4 and 5): the octets of FIPS 205 figures 15 and 16,
//! with nothing around them inside the bit string or octet string.

use zeroize::Zeroizing;

use super::{ParameterSet, SigningKey, VerifyingKey};
use crate::Error;
use crate::key_info::Algorithm;

const fn key_info(set: ParameterSet) -> Algorithm {
    Algorithm::new(set.name(), set.oid())
}

impl SigningKey {
    /// Reads what [`SigningKey::to_pkcs8`] wrote, with the check of [`SigningKey::from_bytes`].
    ///
    /// # Errors
    /// [`Error::CannotSign`] for a SHA2 set; [`Error::WrongKeyAlgorithm`], [`Error::KeyParametersPresent`],
    /// [`Error::TrailingKeyBytes`], [`Error::MalformedKey`].
    pub fn from_pkcs8(set: ParameterSet, der: &[u8]) -> Result<Self, Error> {
        Self::from_bytes(set, key_info(set).read_private(der)?)
    }

    /// The key as PKCS#8 DER (RFC 9909 section 5). Wiped on drop.
    ///
    /// # Errors
    /// [`Error::Backend`] if the encoding fails, which it does for no key.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        key_info(self.parameter_set()).write_private(&self.bytes)
    }
}

impl VerifyingKey {
    /// Reads the `SubjectPublicKeyInfo` of a key of `set` (RFC 9909 section 4).
    ///
    /// # Errors
    /// [`Error::WrongKeyAlgorithm`], [`Error::KeyParametersPresent`], [`Error::TrailingKeyBytes`],
    /// [`Error::MalformedKey`].
    pub fn from_spki(set: ParameterSet, der: &[u8]) -> Result<Self, Error> {
        Self::from_bytes(set, key_info(set).read_public(der)?)
    }

    /// The key as `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`Error::Backend`] if the encoding fails, which it does for no key.
    pub fn to_spki(&self) -> Result<Vec<u8>, Error> {
        key_info(self.set).write_public(self.as_bytes())
    }
}

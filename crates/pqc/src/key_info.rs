//! `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7) and PKCS#8 (RFC 5958), without parameters of the algorithm, as
//! RFC 9881, RFC 9909 and RFC 9935 have it.

use pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::der::{Decode as _, Encode as _, ErrorKind};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use crate::Error;

/// What names an algorithm: to people, and in an `AlgorithmIdentifier`.
#[derive(Clone, Copy)]
pub(crate) struct Algorithm {
    pub(crate) name: &'static str,
    pub(crate) oid: ObjectIdentifier,
}

impl Algorithm {
    /// # Panics
    /// If `oid` is not an object identifier in dotted form.
    pub(crate) const fn new(name: &'static str, oid: &'static str) -> Self {
        Self { name, oid: ObjectIdentifier::new_unwrap(oid) }
    }

    fn identifier(&self) -> AlgorithmIdentifierRef<'static> {
        AlgorithmIdentifierRef { oid: self.oid, parameters: None }
    }

    fn check(&self, found: &AlgorithmIdentifierRef<'_>) -> Result<(), Error> {
        if found.oid != self.oid {
            return Err(Error::WrongKeyAlgorithm { algorithm: self.name, found: found.oid });
        }
        if found.parameters.is_some() {
            return Err(Error::KeyParametersPresent { algorithm: self.name });
        }
        Ok(())
    }

    fn malformed(&self, what: &'static str, der: &[u8]) -> Error {
        Error::MalformedKey { algorithm: self.name, what, actual_bytes: der.len() }
    }

    /// `what` is the structure that `der` should have been.
    fn not_der(&self, what: &'static str, der: &[u8], error: pkcs8::der::Error) -> Error {
        match error.kind() {
            ErrorKind::TrailingData { remaining, .. } => Error::TrailingKeyBytes {
                algorithm: self.name,
                what,
                trailing_bytes: u32::from(remaining) as usize,
            },
            _ => self.malformed(what, der),
        }
    }

    /// The content of the bit string of a `SubjectPublicKeyInfo`. Its length is the caller's to check.
    pub(crate) fn read_public<'a>(&self, der: &'a [u8]) -> Result<&'a [u8], Error> {
        const WHAT: &str = "SubjectPublicKeyInfo";
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|e| self.not_der(WHAT, der, e))?;
        self.check(&info.algorithm)?;
        info.subject_public_key.as_bytes().ok_or_else(|| self.malformed(WHAT, der))
    }

    /// The `SubjectPublicKeyInfo` of `key`.
    pub(crate) fn write_public(&self, key: &[u8]) -> Result<Vec<u8>, Error> {
        BitStringRef::from_bytes(key)
            .and_then(|subject_public_key| {
                SubjectPublicKeyInfoRef { algorithm: self.identifier(), subject_public_key }.to_der()
            })
            .map_err(|_| Error::Backend { operation: "SubjectPublicKeyInfo encoding" })
    }

    /// The content of the octet string `privateKey` of a PKCS#8 structure of version 1 without attributes. What stands
    /// in there is the caller's to check.
    pub(crate) fn read_private<'a>(&self, der: &'a [u8]) -> Result<&'a [u8], Error> {
        const WHAT: &str = "PKCS#8";
        let info = PrivateKeyInfoRef::from_der(der).map_err(|e| self.not_der(WHAT, der, e))?;
        self.check(&info.algorithm)?;
        let private_key = info.private_key.as_bytes();
        // Attributes, or a public key that nobody compares with the private one.
        if *self.write_private(private_key)? != der {
            return Err(self.malformed(WHAT, der));
        }
        Ok(private_key)
    }

    /// The PKCS#8 structure, version 1, with these octets as `privateKey`. Wiped on drop.
    pub(crate) fn write_private(&self, private_key: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        OctetStringRef::new(private_key)
            .and_then(|octets| PrivateKeyInfoRef::new(self.identifier(), octets).to_der())
            .map(Zeroizing::new)
            .map_err(|_| Error::Backend { operation: "PKCS#8 encoding" })
    }
}

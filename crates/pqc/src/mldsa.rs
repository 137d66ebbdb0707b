//! ML-DSA-65 signatures (FIPS 204), hedged, with an empty context string (algorithms 2 and 3).

use core::fmt;

use aws_lc_rs::signature::{KeyPair as _, ML_DSA_65, ML_DSA_65_SIGNING, ParsedPublicKey, PqdsaKeyPair};
use zeroize::Zeroizing;

use crate::{Error, digest};

/// Length of a public key (FIPS 204 table 2).
pub const VERIFYING_KEY_BYTES: usize = 1952;

/// Length of a signature (FIPS 204 table 2).
pub const SIGNATURE_BYTES: usize = 3309;

/// Length of a key id.
pub const KEY_ID_BYTES: usize = 32;

const ALGORITHM: &str = "ML-DSA-65";
const KEY_ID_DOMAIN: &[u8] = b"tyto/v1/ml-dsa-65-key";

/// A private key. The library wipes it when the value is dropped.
pub struct SigningKey {
    key_pair: PqdsaKeyPair,
    verifying_key: VerifyingKey,
}

impl SigningKey {
    /// A fresh key.
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory or no entropy.
    pub fn generate() -> Result<Self, Error> {
        let key_pair = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING)
            .map_err(|_| Error::Backend { operation: "ML-DSA-65 key generation" })?;
        Self::with_verifying_key(key_pair)
    }

    /// Reads what [`SigningKey::to_pkcs8`] wrote.
    ///
    /// # Errors
    /// [`Error::MalformedKey`] for anything else, also for the expanded form that RFC 9881 allows: the
    /// seed cannot be found from it, so that the key could be neither checked nor written again.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let malformed =
            || Error::MalformedKey { algorithm: ALGORITHM, what: "PKCS#8 seed", actual_bytes: der.len() };
        let key_pair = PqdsaKeyPair::from_pkcs8(&ML_DSA_65_SIGNING, der).map_err(|_| malformed())?;
        let key = Self::with_verifying_key(key_pair)?;
        let written = key.to_pkcs8().map_err(|_| malformed())?;
        if *written != der {
            return Err(malformed());
        }
        Ok(key)
    }

    /// The key as PKCS#8 DER in the seed form of RFC 9881 section 6. Wiped on drop.
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let document =
            self.key_pair.to_pkcs8v1().map_err(|_| Error::Backend { operation: "ML-DSA-65 key encoding" })?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The public key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    /// Signs `message`: [`SIGNATURE_BYTES`] bytes, different at each call (hedged signing).
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory or no entropy.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; SIGNATURE_BYTES];
        let written = self.key_pair.sign(message, &mut signature).ok();
        if written != Some(SIGNATURE_BYTES) {
            return Err(Error::Backend { operation: "ML-DSA-65 signing" });
        }
        Ok(signature)
    }

    fn with_verifying_key(key_pair: PqdsaKeyPair) -> Result<Self, Error> {
        let verifying_key = VerifyingKey::from_bytes(key_pair.public_key().as_ref())?;
        Ok(Self { key_pair, verifying_key })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(ML-DSA-65 [redacted], {:?})", self.verifying_key)
    }
}

/// A public key, parsed once.
#[derive(Clone)]
pub struct VerifyingKey {
    parsed: ParsedPublicKey,
    bytes: Box<[u8; VERIFYING_KEY_BYTES]>,
}

impl VerifyingKey {
    /// Reads the encoding of FIPS 204 algorithm 22. Every string of [`VERIFYING_KEY_BYTES`] bytes is one.
    ///
    /// # Errors
    /// [`Error::MalformedKey`] for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let malformed =
            || Error::MalformedKey { algorithm: ALGORITHM, what: "public key", actual_bytes: bytes.len() };
        let fixed: [u8; VERIFYING_KEY_BYTES] = bytes.try_into().map_err(|_| malformed())?;
        let parsed = ParsedPublicKey::new(&ML_DSA_65, bytes).map_err(|_| malformed())?;
        Ok(Self { parsed, bytes: Box::new(fixed) })
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8; VERIFYING_KEY_BYTES] {
        &self.bytes
    }

    /// Checks `signature` over `message`.
    ///
    /// # Errors
    /// [`Error::InvalidSignature`] if it does not verify, whatever the cause.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let invalid = Error::InvalidSignature { algorithm: ALGORITHM };
        if signature.len() != SIGNATURE_BYTES {
            return Err(invalid);
        }
        self.parsed.verify_sig(message, signature).map_err(|_| invalid)
    }

    /// `SHA3-256("tyto/v1/ml-dsa-65-key" || key)`: names the key wherever a signature refers to it.
    pub fn key_id(&self) -> [u8; KEY_ID_BYTES] {
        digest::sha3_256(&[KEY_ID_DOMAIN, &self.bytes[..]])
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(ML-DSA-65 ")?;
        self.key_id()[..8].iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str(")")
    }
}

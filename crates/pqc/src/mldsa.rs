//! ML-DSA signatures (FIPS 204), hedged, with an empty context string (algorithms 2 and 3).
//!
//! The service signs with ML-DSA-65: what names no [`ParameterSet`] is of that one.

use core::fmt;

use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING,
    ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm,
};
use zeroize::Zeroizing;

use crate::Error;
pub use crate::key_id::KEY_ID_BYTES;
use crate::key_id::named_public_key;
use crate::key_info::Algorithm;

/// Length of an ML-DSA-65 public key (FIPS 204 table 2).
pub const VERIFYING_KEY_BYTES: usize = ParameterSet::MlDsa65.public_key_bytes();

/// Length of an ML-DSA-65 signature (FIPS 204 table 2).
pub const SIGNATURE_BYTES: usize = ParameterSet::MlDsa65.signature_bytes();

/// Length of the seed of a private key (FIPS 204 algorithm 6).
const SEED_BYTES: usize = 32;

/// A parameter set of ML-DSA (FIPS 204 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "the variants are the standard's names; `ParameterSet::name` spells them out"
)]
pub enum ParameterSet {
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

impl ParameterSet {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MlDsa44, Self::MlDsa65, Self::MlDsa87];

    /// The standard's name, such as `ML-DSA-65`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    /// The set of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    /// Length of a public key (FIPS 204 table 2).
    pub const fn public_key_bytes(self) -> usize {
        match self {
            Self::MlDsa44 => 1312,
            Self::MlDsa65 => 1952,
            Self::MlDsa87 => 2592,
        }
    }

    /// Length of a signature (FIPS 204 table 2).
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::MlDsa44 => 2420,
            Self::MlDsa65 => 3309,
            Self::MlDsa87 => 4627,
        }
    }

    /// The object identifier of keys and signatures, in dotted form (RFC 9881 section 2).
    pub const fn oid(self) -> &'static str {
        match self {
            Self::MlDsa44 => "2.16.840.1.101.3.4.3.17",
            Self::MlDsa65 => "2.16.840.1.101.3.4.3.18",
            Self::MlDsa87 => "2.16.840.1.101.3.4.3.19",
        }
    }

    const fn key_info(self) -> Algorithm {
        Algorithm::new(self.name(), self.oid())
    }

    fn signing(self) -> &'static PqdsaSigningAlgorithm {
        match self {
            Self::MlDsa44 => &ML_DSA_44_SIGNING,
            Self::MlDsa65 => &ML_DSA_65_SIGNING,
            Self::MlDsa87 => &ML_DSA_87_SIGNING,
        }
    }

    fn verification(self) -> &'static PqdsaVerificationAlgorithm {
        match self {
            Self::MlDsa44 => &ML_DSA_44,
            Self::MlDsa65 => &ML_DSA_65,
            Self::MlDsa87 => &ML_DSA_87,
        }
    }
}

impl fmt::Display for ParameterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A private key. The library wipes it when the value is dropped.
pub struct SigningKey {
    key_pair: PqdsaKeyPair,
    verifying_key: VerifyingKey,
}

impl SigningKey {
    /// A fresh ML-DSA-65 key.
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory or no entropy.
    pub fn generate() -> Result<Self, Error> {
        Self::generate_for(ParameterSet::MlDsa65)
    }

    /// A fresh key of `set` (FIPS 204 algorithm 1).
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory or no entropy.
    pub fn generate_for(set: ParameterSet) -> Result<Self, Error> {
        let key_pair = PqdsaKeyPair::generate(set.signing())
            .map_err(|_| Error::Backend { operation: "ML-DSA key generation" })?;
        Self::with_verifying_key(set, key_pair)
    }

    /// Reads what [`SigningKey::to_pkcs8`] wrote of an ML-DSA-65 key.
    ///
    /// # Errors
    /// As for [`SigningKey::from_pkcs8_for`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        Self::from_pkcs8_for(ParameterSet::MlDsa65, der)
    }

    /// Reads what [`SigningKey::to_pkcs8`] wrote of a key of `set`.
    ///
    /// # Errors
    /// [`Error::WrongKeyAlgorithm`], [`Error::KeyParametersPresent`], [`Error::TrailingKeyBytes`] and
    /// [`Error::MalformedKey`] for what their names say; [`Error::UnsupportedKeyForm`] for the two forms of RFC 9881
    /// section 6 that have the expanded key, from which the seed cannot be found.
    pub fn from_pkcs8_for(set: ParameterSet, der: &[u8]) -> Result<Self, Error> {
        let malformed = |what| Error::MalformedKey { algorithm: set.name(), what, actual_bytes: der.len() };
        let seed = match set.key_info().read_private(der)? {
            // seed [0] OCTET STRING (SIZE (32))
            [0x80, 0x20, seed @ ..] if seed.len() == SEED_BYTES => seed,
            [0x04 | 0x30, ..] => {
                return Err(Error::UnsupportedKeyForm { algorithm: set.name(), expected: "seed" });
            }
            _ => return Err(malformed("PKCS#8 seed")),
        };
        let key_pair = PqdsaKeyPair::from_seed(set.signing(), seed).map_err(|_| malformed("PKCS#8 seed"))?;
        Self::with_verifying_key(set, key_pair)
    }

    /// The key as PKCS#8 DER in the seed form of RFC 9881 section 6. Wiped on drop.
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let document =
            self.key_pair.to_pkcs8v1().map_err(|_| Error::Backend { operation: "ML-DSA key encoding" })?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The parameter set.
    pub fn parameter_set(&self) -> ParameterSet {
        self.verifying_key.set
    }

    /// The public key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    /// Signs `message`: [`ParameterSet::signature_bytes`] bytes, different at each call (hedged signing).
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory or no entropy.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.parameter_set().signature_bytes()];
        let written = self.key_pair.sign(message, &mut signature).ok();
        if written != Some(signature.len()) {
            return Err(Error::Backend { operation: "ML-DSA signing" });
        }
        Ok(signature)
    }

    fn with_verifying_key(set: ParameterSet, key_pair: PqdsaKeyPair) -> Result<Self, Error> {
        let verifying_key = VerifyingKey::from_bytes_for(set, key_pair.public_key().as_ref())?;
        Ok(Self { key_pair, verifying_key })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} [redacted], {:?})", self.parameter_set(), self.verifying_key)
    }
}

/// A public key, parsed once.
#[derive(Clone)]
pub struct VerifyingKey {
    set: ParameterSet,
    parsed: ParsedPublicKey,
    bytes: Box<[u8]>,
}

impl VerifyingKey {
    /// Reads the encoding of an ML-DSA-65 key. Every string of [`VERIFYING_KEY_BYTES`] bytes is one.
    ///
    /// # Errors
    /// [`Error::MalformedKey`] for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_bytes_for(ParameterSet::MlDsa65, bytes)
    }

    /// Reads the encoding of FIPS 204 algorithm 22. Every string of the set's length is one.
    ///
    /// # Errors
    /// [`Error::MalformedKey`] for any other length.
    pub fn from_bytes_for(set: ParameterSet, bytes: &[u8]) -> Result<Self, Error> {
        let malformed =
            || Error::MalformedKey { algorithm: set.name(), what: "public key", actual_bytes: bytes.len() };
        // The library would take the encodings of other sets, and DER.
        if bytes.len() != set.public_key_bytes() {
            return Err(malformed());
        }
        let parsed = ParsedPublicKey::new(set.verification(), bytes).map_err(|_| malformed())?;
        Ok(Self { set, parsed, bytes: bytes.into() })
    }

    /// Reads the `SubjectPublicKeyInfo` of a key of `set` (RFC 9881 section 4).
    ///
    /// # Errors
    /// [`Error::WrongKeyAlgorithm`], [`Error::KeyParametersPresent`], [`Error::TrailingKeyBytes`],
    /// [`Error::MalformedKey`].
    pub fn from_spki_for(set: ParameterSet, der: &[u8]) -> Result<Self, Error> {
        Self::from_bytes_for(set, set.key_info().read_public(der)?)
    }

    /// The key as `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`Error::Backend`] if the encoding fails, which it does for no key.
    pub fn to_spki(&self) -> Result<Vec<u8>, Error> {
        self.set.key_info().write_public(&self.bytes)
    }

    /// The parameter set.
    pub fn parameter_set(&self) -> ParameterSet {
        self.set
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks `signature` over `message`.
    ///
    /// # Errors
    /// [`Error::InvalidSignature`] if it does not verify, whatever the cause.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let invalid = Error::InvalidSignature { algorithm: self.set.name() };
        if signature.len() != self.set.signature_bytes() {
            return Err(invalid);
        }
        self.parsed.verify_sig(message, signature).map_err(|_| invalid)
    }
}

named_public_key!(VerifyingKey);

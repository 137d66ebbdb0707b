//! ML-KEM key encapsulation (FIPS 203), the sets 768 and 1024.
//!
//! The library computes; the checks of input that section 7 asks for are made here, when a key or a ciphertext is read,
//! so that no other can reach the computation.

use core::fmt;

use aws_lc_rs::kem;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

pub use crate::key_id::KEY_ID_BYTES;
use crate::key_id::named_public_key;
use crate::key_info::Algorithm;
use crate::{Error, Secret32, digest};

/// Length of a shared secret (FIPS 203 table 3).
pub const SHARED_SECRET_BYTES: usize = 32;

/// The modulus (FIPS 203 section 2.4).
const Q: u16 = 3329;

/// What the octet string `privateKey` begins with in the form `expandedKey` (RFC 9935 section 6): an octet string whose
/// length takes two bytes.
const EXPANDED_KEY: [u8; 2] = [0x04, 0x82];

/// A parameter set of ML-KEM (FIPS 203 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "the variants are the standard's names; `ParameterSet::name` spells them out"
)]
pub enum ParameterSet {
    MlKem768,
    MlKem1024,
}

impl ParameterSet {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::MlKem768, Self::MlKem1024];

    /// The standard's name, such as `ML-KEM-768`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlKem768 => "ML-KEM-768",
            Self::MlKem1024 => "ML-KEM-1024",
        }
    }

    /// The set of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    /// The rank of the module, `k` (FIPS 203 table 2).
    const fn k(self) -> usize {
        match self {
            Self::MlKem768 => 3,
            Self::MlKem1024 => 4,
        }
    }

    /// Length of an encapsulation key, `384 k + 32`.
    pub const fn encapsulation_key_bytes(self) -> usize {
        384 * self.k() + 32
    }

    /// Length of a decapsulation key, `768 k + 96`.
    pub const fn decapsulation_key_bytes(self) -> usize {
        768 * self.k() + 96
    }

    /// Length of a ciphertext, `32 (d_u k + d_v)`.
    pub const fn ciphertext_bytes(self) -> usize {
        match self {
            Self::MlKem768 => 32 * (10 * 3 + 4),
            Self::MlKem1024 => 32 * (11 * 4 + 5),
        }
    }

    /// The object identifier of keys, in dotted form (RFC 9935 section 3).
    pub const fn oid(self) -> &'static str {
        match self {
            Self::MlKem768 => "2.16.840.1.101.3.4.4.2",
            Self::MlKem1024 => "2.16.840.1.101.3.4.4.3",
        }
    }

    const fn key_info(self) -> Algorithm {
        Algorithm::new(self.name(), self.oid())
    }

    fn library(self) -> &'static kem::Algorithm {
        match self {
            Self::MlKem768 => &kem::ML_KEM_768,
            Self::MlKem1024 => &kem::ML_KEM_1024,
        }
    }

    fn malformed(self, what: &'static str, bytes: &[u8]) -> Error {
        Error::MalformedKey { algorithm: self.name(), what, actual_bytes: bytes.len() }
    }
}

impl fmt::Display for ParameterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A private key. The library wipes it when the value is dropped. It has no `Debug`, `Clone` or `Copy`.
pub struct DecapsulationKey {
    key: kem::DecapsulationKey,
    encapsulation_key: EncapsulationKey,
}

impl DecapsulationKey {
    /// A fresh key (FIPS 203 algorithm 19).
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory or no entropy.
    pub fn generate(set: ParameterSet) -> Result<Self, Error> {
        let failed = |_| Error::Backend { operation: "ML-KEM key generation" };
        let key = kem::DecapsulationKey::generate(set.library()).map_err(failed)?;
        let public = key.encapsulation_key().and_then(|key| key.key_bytes()).map_err(failed)?;
        let encapsulation_key = EncapsulationKey::from_bytes(set, public.as_ref())?;
        Ok(Self { key, encapsulation_key })
    }

    /// Reads `dk_PKE || ek || H(ek) || z` (FIPS 203 algorithm 16) after the checks of section 7.3: the length and the
    /// hash; besides, those of section 7.2 of the encapsulation key in it.
    ///
    /// # Errors
    /// [`Error::MalformedKey`] if a check fails.
    pub fn from_bytes(set: ParameterSet, bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |what| set.malformed(what, bytes);
        if bytes.len() != set.decapsulation_key_bytes() {
            return Err(malformed("decapsulation key"));
        }
        let (public, rest) = bytes[384 * set.k()..].split_at(set.encapsulation_key_bytes());
        if digest::sha3_256(&[public]) != rest[..digest::DIGEST_BYTES] {
            return Err(malformed("decapsulation key (hash check)"));
        }
        let encapsulation_key = EncapsulationKey::from_bytes(set, public)?;
        let key =
            kem::DecapsulationKey::new(set.library(), bytes).map_err(|_| malformed("decapsulation key"))?;
        Ok(Self { key, encapsulation_key })
    }

    /// The key as [`DecapsulationKey::from_bytes`] reads it. Wiped on drop.
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let bytes = self.key.key_bytes().map_err(|_| Error::Backend { operation: "ML-KEM key encoding" })?;
        Ok(Zeroizing::new(bytes.as_ref().to_vec()))
    }

    /// Reads PKCS#8 DER in the form `expandedKey` of RFC 9935 section 6.
    ///
    /// # Errors
    /// [`Error::WrongKeyAlgorithm`], [`Error::KeyParametersPresent`], [`Error::TrailingKeyBytes`],
    /// [`Error::MalformedKey`]; [`Error::UnsupportedKeyForm`] for the forms with a seed, which the library does not
    /// read.
    pub fn from_pkcs8(set: ParameterSet, der: &[u8]) -> Result<Self, Error> {
        let octets = set.key_info().read_private(der)?;
        match octets {
            [0x04, 0x82, high, low, key @ ..]
                if key.len() == usize::from(u16::from_be_bytes([*high, *low])) =>
            {
                Self::from_bytes(set, key)
            }
            [0x80 | 0x30, ..] => {
                Err(Error::UnsupportedKeyForm { algorithm: set.name(), expected: "expandedKey" })
            }
            _ => Err(set.malformed("PKCS#8 expandedKey", der)),
        }
    }

    /// The key as PKCS#8 DER in the form `expandedKey` of RFC 9935 section 6 (the library does not give the seed). Wiped
    /// on drop.
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = self.to_bytes()?;
        let length = (key.len() as u16).to_be_bytes();
        let octets = Zeroizing::new([&EXPANDED_KEY[..], &length, &key].concat());
        self.parameter_set().key_info().write_private(&octets)
    }

    /// The parameter set.
    pub fn parameter_set(&self) -> ParameterSet {
        self.encapsulation_key.set
    }

    /// The public key.
    pub fn encapsulation_key(&self) -> &EncapsulationKey {
        &self.encapsulation_key
    }

    /// The shared secret in `ciphertext` (FIPS 203 algorithm 21). One that was made for another key, or changed, gives a
    /// secret that nobody else knows (implicit rejection): no error tells.
    ///
    /// # Errors
    /// [`Error::MalformedCiphertext`] for one of another parameter set; [`Error::Backend`] if the library has no memory.
    pub fn decapsulate(&self, ciphertext: &Ciphertext) -> Result<SharedSecret, Error> {
        let ciphertext = Ciphertext::from_bytes(self.parameter_set(), &ciphertext.bytes)?;
        let secret = self
            .key
            .decapsulate(ciphertext.bytes[..].into())
            .map_err(|_| Error::Backend { operation: "ML-KEM decapsulation" })?;
        SharedSecret::from_library(&secret)
    }
}

/// A public key.
pub struct EncapsulationKey {
    set: ParameterSet,
    key: kem::EncapsulationKey,
    bytes: Box<[u8]>,
}

impl EncapsulationKey {
    /// Reads an encapsulation key after the checks of FIPS 203 section 7.2: its length, and that every coefficient is
    /// reduced modulo `q`.
    ///
    /// # Errors
    /// [`Error::MalformedKey`] if a check fails.
    pub fn from_bytes(set: ParameterSet, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != set.encapsulation_key_bytes() {
            return Err(set.malformed("encapsulation key", bytes));
        }
        let (pairs, _) = bytes[..384 * set.k()].as_chunks::<3>();
        let is_reduced = pairs.iter().all(|&[a, b, c]| {
            let low = u16::from(a) | u16::from(b & 15) << 8;
            let high = u16::from(b >> 4) | u16::from(c) << 4;
            low < Q && high < Q
        });
        if !is_reduced {
            return Err(set.malformed("encapsulation key (modulus check)", bytes));
        }
        let key = kem::EncapsulationKey::new(set.library(), bytes)
            .map_err(|_| set.malformed("encapsulation key", bytes))?;
        Ok(Self { set, key, bytes: bytes.into() })
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 9935 section 4), with the checks of [`EncapsulationKey::from_bytes`].
    ///
    /// # Errors
    /// [`Error::WrongKeyAlgorithm`], [`Error::KeyParametersPresent`], [`Error::TrailingKeyBytes`],
    /// [`Error::MalformedKey`].
    pub fn from_spki(set: ParameterSet, der: &[u8]) -> Result<Self, Error> {
        Self::from_bytes(set, set.key_info().read_public(der)?)
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

    /// A fresh shared secret and the ciphertext that carries it (FIPS 203 algorithm 20).
    ///
    /// # Errors
    /// [`Error::Backend`] if the library has no memory or no entropy.
    pub fn encapsulate(&self) -> Result<(Ciphertext, SharedSecret), Error> {
        let (ciphertext, secret) =
            self.key.encapsulate().map_err(|_| Error::Backend { operation: "ML-KEM encapsulation" })?;
        Ok((Ciphertext::from_bytes(self.set, ciphertext.as_ref())?, SharedSecret::from_library(&secret)?))
    }
}

named_public_key!(EncapsulationKey);

/// What carries a shared secret to the owner of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext {
    bytes: Box<[u8]>,
}

impl Ciphertext {
    /// Reads a ciphertext after the check of its length (FIPS 203 section 7.3). Every string of that length is one.
    ///
    /// # Errors
    /// [`Error::MalformedCiphertext`] for any other length.
    pub fn from_bytes(set: ParameterSet, bytes: &[u8]) -> Result<Self, Error> {
        let expected_bytes = set.ciphertext_bytes();
        if bytes.len() != expected_bytes {
            let actual_bytes = bytes.len();
            return Err(Error::MalformedCiphertext { algorithm: set.name(), expected_bytes, actual_bytes });
        }
        Ok(Self { bytes: bytes.into() })
    }

    /// The ciphertext.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ciphertext({} bytes)", self.bytes.len())
    }
}

/// A secret that two parties share. Wiped on drop; no `Debug`, `Clone` or `Copy`; equality takes the same time wherever
/// two of them differ.
pub struct SharedSecret(Secret32);

impl SharedSecret {
    fn from_library(secret: &kem::SharedSecret) -> Result<Self, Error> {
        let bytes: &[u8; SHARED_SECRET_BYTES] =
            secret.as_ref().try_into().map_err(|_| Error::Backend { operation: "ML-KEM" })?;
        Ok(Self(Secret32::from_fn(|out| out.copy_from_slice(bytes))))
    }

    /// The secret bytes, for the derivation of keys.
    pub fn expose(&self) -> &[u8; SHARED_SECRET_BYTES] {
        self.0.expose()
    }
}

impl ConstantTimeEq for SharedSecret {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for SharedSecret {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for SharedSecret {}

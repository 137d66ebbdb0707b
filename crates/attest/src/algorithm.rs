//! Signature algorithms, their keys, and what a key may be used for.

use core::fmt;

use tyto_pqc::slhdsa::ParameterSet;
use tyto_pqc::{mldsa, slhdsa};

use crate::error::{Error, Part};

/// Length of a key id.
pub const KEY_ID_BYTES: usize = 32;

/// Names a key wherever a signature refers to it: SHA3-256 over a domain string and the public key.
pub type KeyId = [u8; KEY_ID_BYTES];

/// COSE algorithm number of ML-DSA-65 (RFC 9964).
pub const COSE_ALGORITHM_ML_DSA_65: i64 = -49;

/// COSE algorithm number of SLH-DSA-SHAKE-128s: of private use, until draft-ietf-cose-sphincs-plus has numbers.
pub const COSE_ALGORITHM_SLH_DSA_SHAKE_128S: i64 = slh_dsa_number(ParameterSet::Shake128s);

/// -70000 less the last arc of the set's object identifier (RFC 9909 section 3): -70020 to -70031.
const fn slh_dsa_number(set: ParameterSet) -> i64 {
    -70_020 - set as i64
}

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// ML-DSA-65 (FIPS 204).
    MlDsa65,
    /// A set of SLH-DSA (FIPS 205).
    SlhDsa(ParameterSet),
}

impl Algorithm {
    /// The number in COSE headers and in key entries.
    pub fn cose_number(self) -> i64 {
        match self {
            Self::MlDsa65 => COSE_ALGORITHM_ML_DSA_65,
            Self::SlhDsa(set) => slh_dsa_number(set),
        }
    }

    /// The algorithm with this number.
    pub fn with_cose_number(number: i64) -> Option<Self> {
        if number == COSE_ALGORITHM_ML_DSA_65 {
            return Some(Self::MlDsa65);
        }
        ParameterSet::ALL.into_iter().find(|set| slh_dsa_number(*set) == number).map(Self::SlhDsa)
    }

    /// The algorithm with this number.
    ///
    /// # Errors
    /// [`Error::UnknownAlgorithm`].
    pub(crate) fn from_cose_number(part: Part, number: i64) -> Result<Self, Error> {
        Self::with_cose_number(number).ok_or(Error::UnknownAlgorithm { part, algorithm: number })
    }

    /// Length of a public key.
    pub fn public_key_bytes(self) -> usize {
        match self {
            Self::MlDsa65 => mldsa::VERIFYING_KEY_BYTES,
            Self::SlhDsa(set) => set.public_key_bytes(),
        }
    }

    /// The standard's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MlDsa65 => "ML-DSA-65",
            Self::SlhDsa(set) => set.name(),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a key may sign. A key has one purpose for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Attestations of a server.
    Attestation,
    /// Checkpoints of one log.
    Log,
    /// Co-signatures of checkpoints.
    Witness,
    /// Decisions of a tenant.
    Decision,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Attestation, Self::Log, Self::Witness, Self::Decision];

    /// The number in key entries.
    pub fn number(self) -> u64 {
        match self {
            Self::Attestation => 1,
            Self::Log => 2,
            Self::Witness => 3,
            Self::Decision => 4,
        }
    }

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.number() == number)
    }

    /// The purpose's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attestation => "attestation",
            Self::Log => "log",
            Self::Witness => "witness",
            Self::Decision => "decision",
        }
    }

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// Whether keys of this purpose may have this algorithm: attestations and decisions are signed with
    /// ML-DSA-65, checkpoints with SLH-DSA; witnesses have the choice.
    pub fn permits(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Attestation | Self::Decision => algorithm == Algorithm::MlDsa65,
            Self::Log => matches!(algorithm, Algorithm::SlhDsa(_)),
            Self::Witness => true,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A public key of any algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// Of ML-DSA-65.
    MlDsa65(mldsa::VerifyingKey),
    /// Of a set of SLH-DSA.
    SlhDsa(slhdsa::VerifyingKey),
}

impl PublicKey {
    /// Reads the standard's encoding: FIPS 204 algorithm 22 or FIPS 205 figure 16.
    ///
    /// # Errors
    /// [`tyto_pqc::Error::MalformedKey`] for a wrong length.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, tyto_pqc::Error> {
        match algorithm {
            Algorithm::MlDsa65 => mldsa::VerifyingKey::from_bytes(bytes).map(Self::MlDsa65),
            Algorithm::SlhDsa(set) => slhdsa::VerifyingKey::from_bytes(set, bytes).map(Self::SlhDsa),
        }
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 9881 section 4, RFC 9909 section 4), which names its algorithm.
    ///
    /// # Errors
    /// [`tyto_pqc::Error::WrongKeyAlgorithm`] if no algorithm of this crate is meant; else what is wrong with the key.
    pub fn from_spki(der: &[u8]) -> Result<Self, tyto_pqc::Error> {
        let ml_dsa = mldsa::VerifyingKey::from_spki_for(mldsa::ParameterSet::MlDsa65, der).map(Self::MlDsa65);
        ParameterSet::ALL.into_iter().fold(ml_dsa, |read, set| match read {
            Err(tyto_pqc::Error::WrongKeyAlgorithm { .. }) => {
                slhdsa::VerifyingKey::from_spki(set, der).map(Self::SlhDsa)
            }
            read => read,
        })
    }

    /// The key as `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`tyto_pqc::Error::Backend`] if the encoding fails, which it does for no key.
    pub fn to_spki(&self) -> Result<Vec<u8>, tyto_pqc::Error> {
        match self {
            Self::MlDsa65(key) => key.to_spki(),
            Self::SlhDsa(key) => key.to_spki(),
        }
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::MlDsa65(key) => key.as_bytes(),
            Self::SlhDsa(key) => key.as_bytes(),
        }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::MlDsa65(_) => Algorithm::MlDsa65,
            Self::SlhDsa(key) => Algorithm::SlhDsa(key.parameter_set()),
        }
    }

    /// `SHA3-256("tyto/v1/" || name of the algorithm in lower case || "-key" || key)`.
    pub fn key_id(&self) -> KeyId {
        match self {
            Self::MlDsa65(key) => key.key_id(),
            Self::SlhDsa(key) => key.key_id(),
        }
    }

    /// Checks a signature, pure and with the empty context.
    pub(crate) fn verify(&self, part: Part, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let verified = match self {
            Self::MlDsa65(key) => key.verify(message, signature),
            Self::SlhDsa(key) => key.verify(message, &[], signature),
        };
        verified.map_err(|_| Error::InvalidSignature { part })
    }
}

impl From<mldsa::VerifyingKey> for PublicKey {
    fn from(key: mldsa::VerifyingKey) -> Self {
        Self::MlDsa65(key)
    }
}

impl From<slhdsa::VerifyingKey> for PublicKey {
    fn from(key: slhdsa::VerifyingKey) -> Self {
        Self::SlhDsa(key)
    }
}

/// A private key of any algorithm.
pub trait Signer {
    /// The public key.
    fn public_key(&self) -> PublicKey;

    /// Signs a message, pure and with the empty context.
    ///
    /// # Errors
    /// What the key says.
    fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, tyto_pqc::Error>;
}

impl Signer for mldsa::SigningKey {
    fn public_key(&self) -> PublicKey {
        self.verifying_key().clone().into()
    }

    fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, tyto_pqc::Error> {
        self.sign(message)
    }
}

impl Signer for slhdsa::SigningKey {
    fn public_key(&self) -> PublicKey {
        self.verifying_key().clone().into()
    }

    fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, tyto_pqc::Error> {
        self.sign(message, &[])
    }
}

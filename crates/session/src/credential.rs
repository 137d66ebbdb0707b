//! How a client proves who it is, within the handshake.

use std::sync::LazyLock;

use tyto_pqc::mldsa::{ParameterSet, SIGNATURE_BYTES, SigningKey, VerifyingKey};
use tyto_pqc::{Secret32, hmac};

use crate::draws::Draws;
use crate::error::Error;
use crate::name::{KeyId, Name};
use crate::redacted;
use crate::schedule::expand_label;
use crate::transcript::{CLIENT_MAC, CLIENT_SIGNATURE, TranscriptHash, signed_message};
use crate::wire::{Reader, write_name};

const NONE: u8 = 0;
const MAC: u8 = 1;
const SIGNATURE: u8 = 2;

/// What a client with an API key makes its MACs with. A server keeps it in the key's place: the key does not follow from
/// it, but whoever has it can open sessions as that client. It is a credential, and is kept like one.
pub struct MacKey(Secret32);

impl MacKey {
    /// The MAC key of an API key's secret, which must be uniformly random.
    pub fn derive(api_key: &Secret32) -> Self {
        Self(expand_label(api_key, b"client mac", b""))
    }

    /// The MAC key with these bytes, as a server stored them.
    pub fn from_secret(secret: Secret32) -> Self {
        Self(secret)
    }

    /// The bytes that a server stores, sealed.
    pub fn expose(&self) -> &[u8; Secret32::BYTES] {
        self.0.expose()
    }
}

redacted!(MacKey);

/// What a client proves its identity with.
#[derive(Debug)]
pub enum Credential<'a> {
    /// Nothing: the server decides what an unknown client may do.
    None,
    /// An API key.
    Mac {
        /// How the server finds the key: not secret.
        id: &'a Name,
        /// The key's [`MacKey::derive`].
        key: &'a MacKey,
    },
    /// A signing key that the server knows for this purpose: ML-DSA-65.
    Signature(&'a SigningKey),
}

/// What a client claims to prove its identity with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialId {
    /// Nothing.
    None,
    /// The API key of this id.
    Mac(Name),
    /// The signing key of this id.
    Signature(KeyId),
}

/// What the server knows of a credential.
#[derive(Debug)]
pub enum Verifier<'a> {
    /// Nothing: no such credential is known. The refusal takes as long as that of a wrong proof.
    Unknown,
    /// The MAC key of the API key.
    Mac(&'a MacKey),
    /// The public key.
    Signature(&'a VerifyingKey),
}

impl Credential<'_> {
    pub(crate) fn id(&self) -> Result<CredentialId, Error> {
        Ok(match self {
            Self::None => CredentialId::None,
            Self::Mac { id, .. } => CredentialId::Mac((*id).clone()),
            Self::Signature(key) if key.parameter_set() == ParameterSet::MlDsa65 => {
                CredentialId::Signature(KeyId::from_bytes(key.verifying_key().key_id()))
            }
            Self::Signature(_) => return Err(Error::KeyKind),
        })
    }

    /// The proof over the transcript up to the credential's id.
    pub(crate) fn prove(&self, draws: &mut impl Draws, hash: &TranscriptHash) -> Result<Vec<u8>, Error> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Mac { key, .. } => Ok(hmac::tag(&key.0, &[CLIENT_MAC, hash]).to_vec()),
            Self::Signature(key) => draws.sign(key, &signed_message(CLIENT_SIGNATURE, hash)),
        }
    }
}

impl CredentialId {
    pub(crate) fn write(&self) -> Vec<u8> {
        match self {
            Self::None => vec![NONE],
            Self::Mac(id) => {
                let mut out = vec![MAC];
                write_name(&mut out, id);
                out
            }
            Self::Signature(key_id) => [&[SIGNATURE][..], key_id.as_bytes()].concat(),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(match reader.u8("credential kind")? {
            NONE => Self::None,
            MAC => Self::Mac(reader.name("credential id")?),
            SIGNATURE => Self::Signature(KeyId::from_bytes(reader.array("credential key id")?)),
            _ => return Err(reader.malformed("credential kind")),
        })
    }

    /// Length of the proof.
    pub(crate) fn proof_bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Mac(_) => hmac::TAG_BYTES,
            Self::Signature(_) => SIGNATURE_BYTES,
        }
    }
}

impl Verifier<'_> {
    /// Whether `proof` holds for the credential `id` at the transcript up to it.
    pub(crate) fn verify(&self, id: &CredentialId, hash: &TranscriptHash, proof: &[u8]) -> bool {
        match (self, id) {
            (Self::Mac(key), CredentialId::Mac(_)) => hmac::verify(&key.0, &[CLIENT_MAC, hash], proof),
            (Self::Signature(key), CredentialId::Signature(key_id)) => {
                key.parameter_set() == ParameterSet::MlDsa65
                    && key.key_id() == *key_id.as_bytes()
                    && key.verify(&signed_message(CLIENT_SIGNATURE, hash), proof).is_ok()
            }
            (Self::Unknown, CredentialId::Mac(_)) => {
                hmac::verify(decoy_mac_key(), &[CLIENT_MAC, hash], proof);
                false
            }
            (Self::Unknown, CredentialId::Signature(_)) => {
                if let Some(key) = decoy_verifying_key() {
                    let _ = core::hint::black_box(key.key_id());
                    let _ = key.verify(&signed_message(CLIENT_SIGNATURE, hash), proof);
                }
                false
            }
            _ => false,
        }
    }
}

/// Makes the keys that stand in for unknown ones, so that the first refusal takes no longer than others.
pub(crate) fn prepare_decoys() {
    decoy_mac_key();
    decoy_verifying_key();
}

/// A key that proves nothing: no proof under it is believed.
fn decoy_mac_key() -> &'static Secret32 {
    static KEY: LazyLock<Secret32> = LazyLock::new(|| Secret32::from_bytes([0; Secret32::BYTES]));
    &KEY
}

/// None without randomness, which ends the handshake anyway.
fn decoy_verifying_key() -> Option<&'static VerifyingKey> {
    static KEY: LazyLock<Option<VerifyingKey>> =
        LazyLock::new(|| SigningKey::generate().ok().map(|key| key.verifying_key().clone()));
    KEY.as_ref()
}

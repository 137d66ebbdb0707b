//! Randomness that repeats: everything drawn follows from a seed, by other implementations of ML-KEM and ML-DSA than the
//! ones that are tested. No code but tests can have it.
#![expect(deprecated, reason = "ML-KEM private keys are read in the expanded form only")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::LazyLock;

use ml_dsa::signature::Keypair as _;
use ml_kem::ExpandedKeyEncoding as _;
use ml_kem::array::Array;
use tyto_pqc::digest::sha3_256;
use tyto_pqc::mldsa::SigningKey;
use tyto_pqc::mlkem::{Ciphertext, DecapsulationKey, EncapsulationKey, ParameterSet, SharedSecret};

use crate::Error;
use crate::draws::Draws;

/// Seeds of keys and messages are counting bytes: everyone knows them, never use them.
pub(super) fn counting<const L: usize>(first: u8) -> [u8; L] {
    std::array::from_fn(|i| first.wrapping_add(i as u8))
}

/// Seed (`d || z`) of the ephemeral key of every seeded client.
pub(super) const KEM_SEED_FROM: u8 = 0x10;
/// Message (`m`) of the encapsulation of every seeded server.
pub(super) const KEM_MESSAGE_FROM: u8 = 0x80;

/// The ML-DSA-65 key of a seed of counting bytes.
pub(super) fn signing_key(first: u8) -> SigningKey {
    use ml_dsa::pkcs8::EncodePrivateKey as _;
    let key = ml_dsa::SigningKey::<ml_dsa::MlDsa65>::from_seed(&counting(first).into());
    let read = SigningKey::from_pkcs8(key.to_pkcs8_der().unwrap().as_bytes()).unwrap();
    assert_eq!(read.verifying_key().as_bytes(), &key.verifying_key().encode()[..]);
    read
}

/// Signatures by message, and ciphertexts by key: they are asked for again and again when single bits are flipped.
#[derive(Default)]
struct Known {
    signatures: HashMap<Vec<u8>, Vec<u8>>,
    encapsulations: HashMap<Vec<u8>, Vec<u8>>,
}

/// Draws `SHA3-256(name || number of the draw)`.
#[derive(Clone)]
pub(super) struct Seeded {
    name: &'static str,
    drawn: u8,
    known: Rc<RefCell<Known>>,
}

impl Seeded {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, drawn: 0, known: Rc::default() }
    }

    /// The same from its beginning, with what it remembers.
    pub(super) fn again(&self) -> Self {
        Self { drawn: 0, ..self.clone() }
    }
}

pub(super) fn decapsulation_key(set: ParameterSet) -> DecapsulationKey {
    static EXPANDED: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        let seed = Array(counting(KEM_SEED_FROM));
        [
            ml_kem::DecapsulationKey768::from_seed(seed).to_expanded_bytes().to_vec(),
            ml_kem::DecapsulationKey1024::from_seed(seed).to_expanded_bytes().to_vec(),
        ]
    });
    let at = ParameterSet::ALL.iter().position(|known| *known == set).unwrap();
    DecapsulationKey::from_bytes(set, &EXPANDED[at]).unwrap()
}

fn ciphertext(set: ParameterSet) -> Vec<u8> {
    let (seed, message) = (Array(counting(KEM_SEED_FROM)), Array(counting(KEM_MESSAGE_FROM)));
    match set {
        ParameterSet::MlKem768 => {
            let key = ml_kem::DecapsulationKey768::from_seed(seed);
            key.encapsulation_key().encapsulate_deterministic(&message).0.to_vec()
        }
        ParameterSet::MlKem1024 => {
            let key = ml_kem::DecapsulationKey1024::from_seed(seed);
            key.encapsulation_key().encapsulate_deterministic(&message).0.to_vec()
        }
    }
}

impl Draws for Seeded {
    fn bytes<const L: usize>(&mut self) -> Result<[u8; L], Error> {
        let digest = sha3_256(&[self.name.as_bytes(), &[self.drawn]]);
        self.drawn += 1;
        Ok(digest[..L].try_into().unwrap())
    }

    fn decapsulation_key(&mut self, set: ParameterSet) -> Result<DecapsulationKey, Error> {
        Ok(decapsulation_key(set))
    }

    fn encapsulate(&mut self, key: &EncapsulationKey) -> Result<(Ciphertext, SharedSecret), Error> {
        let set = key.parameter_set();
        let secret_key = decapsulation_key(set);
        if secret_key.encapsulation_key() != key {
            // Not the key of a seeded client: there is nothing to repeat.
            return Ok(key.encapsulate()?);
        }
        let mut known = self.known.borrow_mut();
        let bytes = known.encapsulations.entry(key.as_bytes().to_vec()).or_insert_with(|| ciphertext(set));
        let ciphertext = Ciphertext::from_bytes(set, bytes)?;
        let shared = secret_key.decapsulate(&ciphertext)?;
        Ok((ciphertext, shared))
    }

    fn sign(&mut self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut known = self.known.borrow_mut();
        let name = [key.verifying_key().as_bytes(), message].concat();
        let signature = known.signatures.entry(name).or_insert_with(|| {
            let private = key.to_pkcs8().unwrap();
            let seed: [u8; 32] = private[private.len() - 32..].try_into().unwrap();
            let key = ml_dsa::SigningKey::<ml_dsa::MlDsa65>::from_seed(&seed.into());
            key.expanded_key().sign_deterministic(message, b"").unwrap().encode().to_vec()
        });
        Ok(signature.clone())
    }
}

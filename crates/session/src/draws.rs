//! Where randomness comes from.

use tyto_pqc::mldsa::SigningKey;
use tyto_pqc::mlkem::{Ciphertext, DecapsulationKey, EncapsulationKey, ParameterSet, SharedSecret};
use tyto_pqc::random;

use crate::Error;

/// Everything random that a session needs. Only tests have another source than [`Os`].
pub(crate) trait Draws {
    fn bytes<const L: usize>(&mut self) -> Result<[u8; L], Error>;
    fn decapsulation_key(&mut self, set: ParameterSet) -> Result<DecapsulationKey, Error>;
    fn encapsulate(&mut self, key: &EncapsulationKey) -> Result<(Ciphertext, SharedSecret), Error>;
    fn sign(&mut self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// The operating system, and the generator of the cryptographic library that it seeds.
pub(crate) struct Os;

impl Draws for Os {
    fn bytes<const L: usize>(&mut self) -> Result<[u8; L], Error> {
        Ok(random::bytes()?)
    }

    fn decapsulation_key(&mut self, set: ParameterSet) -> Result<DecapsulationKey, Error> {
        Ok(DecapsulationKey::generate(set)?)
    }

    fn encapsulate(&mut self, key: &EncapsulationKey) -> Result<(Ciphertext, SharedSecret), Error> {
        Ok(key.encapsulate()?)
    }

    fn sign(&mut self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(key.sign(message)?)
    }
}

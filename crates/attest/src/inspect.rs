//! Taking evidence apart without believing it.

use crate::algorithm::KeyId;
use crate::attestation::Envelope;
use crate::bundle::Bundle;
use crate::checkpoint::{CHECKPOINT_CONTENT_TYPE, Checkpoint};
use crate::cose;
use crate::decision::{DECISION_CONTENT_TYPE, Decision};
use crate::error::Error;
use crate::receipt::{ConsistencyReceipt, Receipt};
use crate::statement::Statement;

/// What evidence claims to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// A bundle.
    Bundle(Bundle),
    /// An attestation.
    Attestation(Claimed<Statement>),
    /// A statement that nobody signed: an entry of a log.
    Statement(Statement),
    /// A tenant's decision.
    Decision(Claimed<Decision>),
    /// A checkpoint.
    Checkpoint(Checkpoint),
    /// A receipt of inclusion.
    Receipt(Receipt),
    /// A receipt of consistency.
    Consistency(ConsistencyReceipt),
}

/// Something signed, and who claims to have signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed<T> {
    /// COSE number of the algorithm in the header.
    pub algorithm: i64,
    /// The key that the header names.
    pub key_id: KeyId,
    /// What is signed.
    pub content: T,
}

/// First byte of a statement: a map of twelve entries.
const STATEMENT_FIRST_BYTE: u8 = 0xac;

/// Says what the bytes claim to be. No signature, key, time or proof is checked.
///
/// # Errors
/// What is wrong with their form.
pub fn inspect(bytes: &[u8]) -> Result<Object, Error> {
    match cose::content_type(bytes) {
        Some(CHECKPOINT_CONTENT_TYPE) => checkpoint_or_receipt(bytes),
        Some(DECISION_CONTENT_TYPE) => {
            claimed(&Decision::open(bytes)?, Decision::decode).map(Object::Decision)
        }
        Some(_) => attestation(bytes),
        None if bytes.first() == Some(&cose::FIRST_BYTE) => attestation(bytes),
        None if bytes.first() == Some(&STATEMENT_FIRST_BYTE) => {
            Statement::decode(bytes).map(Object::Statement)
        }
        None => Bundle::parse(bytes).map(Object::Bundle),
    }
}

fn attestation(bytes: &[u8]) -> Result<Object, Error> {
    claimed(&Envelope::parse(bytes)?, Statement::decode).map(Object::Attestation)
}

fn claimed<T>(
    envelope: &Envelope<'_>,
    decode: impl FnOnce(&[u8]) -> Result<T, Error>,
) -> Result<Claimed<T>, Error> {
    let signed = envelope.signed();
    let content = decode(envelope.payload())?;
    Ok(Claimed { algorithm: signed.algorithm, key_id: signed.key_id, content })
}

/// All three have the same header. Where none of them can be read, what is wrong with the checkpoint is said.
fn checkpoint_or_receipt(bytes: &[u8]) -> Result<Object, Error> {
    let no_checkpoint = match Checkpoint::parse(bytes) {
        Ok(checkpoint) => return Ok(Object::Checkpoint(checkpoint)),
        Err(error) => error,
    };
    let receipt = Receipt::parse(bytes).map(Object::Receipt);
    let receipt = receipt.or_else(|_| ConsistencyReceipt::parse(bytes).map(Object::Consistency));
    receipt.map_err(|_| no_checkpoint)
}

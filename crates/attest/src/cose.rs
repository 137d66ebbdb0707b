//! The attestation: a statement signed as `COSE_Sign1` (RFC 9052 section 4.2).

use tyto_pqc::mldsa::SigningKey;

use crate::cbor::{self, Reader, Writer};
use crate::error::{Error, FieldProblem, Part};
use crate::keys::TrustedKeys;
use crate::statement::Statement;

/// Largest attestation. A statement has less than 2 KiB, the signature 3,309 bytes.
pub const MAX_ATTESTATION_BYTES: usize = 6 * 1024;

/// COSE algorithm number of ML-DSA-65 (RFC 9964).
pub const COSE_ALGORITHM_ML_DSA_65: i64 = -49;

/// The `typ` of the protected header (RFC 9596): what is signed here is a Tyto statement and nothing else.
pub const CONTENT_TYPE: &str = "application/vnd.tyto.attestation+cbor";

const TAG_COSE_SIGN1: u64 = 18;
const LABEL_ALG: i64 = 1;
const LABEL_KID: i64 = 4;
const LABEL_TYP: i64 = 16;

/// Signs a statement. Returns the tagged `COSE_Sign1` structure, different at each call (hedged signing).
///
/// # Errors
/// [`Error::Field`] if the statement breaks a rule of its format; [`Error::Signing`] if the key cannot sign.
pub fn sign(statement: &Statement, key: &SigningKey) -> Result<Vec<u8>, Error> {
    let payload = statement.encode()?;
    let protected = protected_header(&key.verifying_key().key_id());
    let signature = key.sign(&sig_structure(&protected, &payload)).map_err(Error::Signing)?;
    let mut w = Writer::default();
    w.tag(TAG_COSE_SIGN1).array(4).bytes(&protected).map(0).bytes(&payload).bytes(&signature);
    Ok(w.finish())
}

/// The statement of an attestation, if a trusted key signed it.
///
/// The checks in their order: size, deterministic encoding and shape of the envelope, then of the protected
/// header, algorithm, type, key id, signature, and only then the statement.
///
/// # Errors
/// The first check that fails: every variant but those about files and key lists.
pub fn verify(attestation: &[u8], keys: &TrustedKeys) -> Result<Statement, Error> {
    let envelope = Envelope::parse(attestation)?;
    let key_id = parse_protected_header(envelope.protected)?;
    let key = keys.get(&key_id).ok_or(Error::UnknownKey { key_id })?;
    key.verify(&sig_structure(envelope.protected, envelope.payload), envelope.signature)
        .map_err(|_| Error::InvalidSignature)?;
    Statement::decode(envelope.payload)
}

/// The four items of `COSE_Sign1`, of which the unprotected header must be empty.
struct Envelope<'a> {
    protected: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let part = Part::Envelope;
        if bytes.len() > MAX_ATTESTATION_BYTES {
            return Err(Error::TooLarge {
                part,
                actual_bytes: bytes.len(),
                max_bytes: MAX_ATTESTATION_BYTES,
            });
        }
        cbor::check(bytes).map_err(|(at_byte, problem)| Error::Cbor { part, at_byte, problem })?;
        let at = |field| move |problem| Error::Field { part, field, problem };
        let mut r = Reader::new(bytes);
        r.tag().and_then(|n| known(n == TAG_COSE_SIGN1)).map_err(at("tag"))?;
        r.array().and_then(|n| length(4, n)).map_err(at("COSE_Sign1"))?;
        let protected = r.bytes().map_err(at("protected"))?;
        r.map().and_then(|n| length(0, n)).map_err(at("unprotected"))?;
        let payload = r.bytes().map_err(at("payload"))?;
        let signature = r.bytes().map_err(at("signature"))?;
        Ok(Self { protected, payload, signature })
    }
}

fn protected_header(key_id: &[u8; 32]) -> Vec<u8> {
    let mut w = Writer::default();
    w.map(3);
    w.int(LABEL_ALG).int(COSE_ALGORITHM_ML_DSA_65);
    w.int(LABEL_KID).bytes(key_id);
    w.int(LABEL_TYP).text(CONTENT_TYPE);
    w.finish()
}

/// The key id of a protected header that has this algorithm and this type, and nothing more.
fn parse_protected_header(bytes: &[u8]) -> Result<[u8; 32], Error> {
    let part = Part::ProtectedHeader;
    cbor::check(bytes).map_err(|(at_byte, problem)| Error::Cbor { part, at_byte, problem })?;
    let at = |field| move |problem| Error::Field { part, field, problem };
    let mut r = Reader::new(bytes);
    let entries = r.map().map_err(at("protected"))?;

    label(&mut r, LABEL_ALG).map_err(at("alg"))?;
    let algorithm = r.int().map_err(at("alg"))?;
    if algorithm != COSE_ALGORITHM_ML_DSA_65 {
        return Err(Error::UnknownAlgorithm { algorithm });
    }
    length(3, entries).map_err(at("protected"))?;
    let key_id = label(&mut r, LABEL_KID).and_then(|()| r.bytes_exact()).map_err(at("kid"))?;
    label(&mut r, LABEL_TYP)
        .and_then(|()| r.text())
        .and_then(|typ| known(typ == CONTENT_TYPE))
        .map_err(at("typ"))?;
    Ok(key_id)
}

/// `Sig_structure` of RFC 9052 section 4.4 with empty external data: the bytes that are signed.
fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut w = Writer::default();
    w.array(4).text("Signature1").bytes(protected).bytes(&[]).bytes(payload);
    w.finish()
}

fn label(reader: &mut Reader<'_>, expected: i64) -> Result<(), FieldProblem> {
    if reader.int() == Ok(expected) { Ok(()) } else { Err(FieldProblem::Missing) }
}

fn known(is_known: bool) -> Result<(), FieldProblem> {
    if is_known { Ok(()) } else { Err(FieldProblem::UnknownValue) }
}

/// Whether an array or a map has the expected number of items.
pub(crate) fn length(expected: usize, actual: u64) -> Result<(), FieldProblem> {
    if actual == expected as u64 {
        return Ok(());
    }
    Err(FieldProblem::WrongLength { expected, actual: actual as usize })
}

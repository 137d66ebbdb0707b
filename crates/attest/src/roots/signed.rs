//! Trust roots as files: `COSE_Sign` with one signature, or two in the version that changes the root key.

use tyto_pqc::slhdsa::{SigningKey, VerifyingKey};

use super::{MAX_TRUST_ROOT_BYTES, PART, TRUST_ROOT_CONTENT_TYPE, TrustRoot, field};
use crate::algorithm::{Algorithm, KeyId, PublicKey, Signer};
use crate::cbor::{self, Reader, Writer};
use crate::cose::{
    EMPTY_MAP, LABEL_ALG, LABEL_KID, LABEL_TYP, Signature, check_size, known, label, length, no_unprotected,
};
use crate::error::{Error, FieldProblem};

const TAG_COSE_SIGN: u64 = 98;
/// One by the root key, one by the root key that it replaced.
const MAX_SIGNATURES: u64 = 2;

impl TrustRoot {
    /// Signs the list. In the version that changes the root key, `previous` is the key that was replaced.
    ///
    /// # Errors
    /// [`Error::Field`] if a name or the number of keys breaks a rule; [`Error::UnknownKey`] if a key is not the
    /// one that the list names; [`Error::Signing`].
    pub fn sign(&self, key: &SigningKey, previous: Option<&SigningKey>) -> Result<Vec<u8>, Error> {
        let expected = [Some(&self.root_key), self.previous_root_key.as_ref()];
        for (expected, actual) in expected.into_iter().zip([Some(key), previous]) {
            if expected != actual.map(SigningKey::verifying_key) {
                let key_id = actual.map(SigningKey::verifying_key).or(expected).map(VerifyingKey::key_id);
                return Err(Error::UnknownKey { part: PART, key_id: key_id.unwrap_or_default() });
            }
        }
        let payload = self.encode()?;
        let protected = body_header();
        let signers: Vec<_> = std::iter::once(key).chain(previous).collect();
        let mut w = Writer::default();
        w.tag(TAG_COSE_SIGN).array(4).bytes(&protected).encoded(&EMPTY_MAP).bytes(&payload);
        w.array(signers.len());
        for signer in signers {
            let sign_protected = signer_header(&signer.public_key());
            let signed = sig_structure(&protected, &sign_protected, &payload);
            let signature = signer.sign_message(&signed).map_err(Error::Signing)?;
            w.array(3).bytes(&sign_protected).encoded(&EMPTY_MAP).bytes(&signature);
        }
        Ok(w.finish())
    }

    /// Reads a list and verifies its signatures.
    ///
    /// `pinned` is the id of the root key that is trusted: the list must be signed by it, be it as the root key of
    /// the list or as the one that was replaced in it. Without a pin the file is trusted for what it says, and
    /// the signature shows no more than that it is whole.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Cbor`], [`Error::TrailingBytes`], [`Error::Field`],
    /// [`Error::UnknownVersion`], [`Error::UnknownAlgorithm`], [`Error::AlgorithmMismatch`],
    /// [`Error::UnknownKey`] or [`Error::InvalidSignature`].
    pub fn open(bytes: &[u8], pinned: Option<&KeyId>) -> Result<Self, Error> {
        check_size(PART, MAX_TRUST_ROOT_BYTES, bytes)?;
        cbor::check(PART, bytes)?;
        let mut r = Reader::new(bytes);
        r.tag().and_then(|n| known(n == TAG_COSE_SIGN)).map_err(|p| field("tag", p))?;
        r.array().and_then(|n| length(4, n)).map_err(|p| field("COSE_Sign", p))?;
        let protected = r.bytes().map_err(|p| field("protected", p))?;
        cbor::check(PART, protected)?;
        known(protected == body_header()).map_err(|p| field("typ", p))?;
        no_unprotected(PART)(&mut r)?;
        let payload = r.bytes().map_err(|p| field("payload", p))?;
        let signatures = read_signatures(&mut r)?;

        let root = Self::decode(payload)?;
        let signers: Vec<_> = std::iter::once(&root.root_key).chain(&root.previous_root_key).collect();
        length(signers.len(), signatures.len() as u64).map_err(|p| field("signatures", p))?;
        for (signer, signature) in signers.iter().zip(signatures) {
            let key = PublicKey::from((*signer).clone());
            check_signer_header(signature.protected, &key)?;
            key.verify(PART, &sig_structure(protected, signature.protected, payload), signature.bytes)?;
        }
        match pinned {
            Some(key_id) if signers.iter().all(|signer| signer.key_id() != *key_id) => {
                Err(Error::UnknownKey { part: PART, key_id: root.root_key.key_id() })
            }
            _ => Ok(root),
        }
    }
}

/// One signature: its protected header and its bytes.
struct SignatureItem<'a> {
    protected: &'a [u8],
    bytes: &'a [u8],
}

fn read_signatures<'a>(r: &mut Reader<'a>) -> Result<Vec<SignatureItem<'a>>, Error> {
    let count = r.array().map_err(|p| field("signatures", p))?;
    if !(1..=MAX_SIGNATURES).contains(&count) {
        return Err(field("signatures", FieldProblem::OutOfRange { max: MAX_SIGNATURES, actual: count }));
    }
    let mut read = || {
        r.array().and_then(|n| length(3, n)).map_err(|p| field("signature", p))?;
        let protected = r.bytes().map_err(|p| field("protected", p))?;
        no_unprotected(PART)(r)?;
        Ok(SignatureItem { protected, bytes: r.bytes().map_err(|p| field("signature", p))? })
    };
    (0..count).map(|_| read()).collect()
}

/// The protected header of the whole.
fn body_header() -> Vec<u8> {
    let mut w = Writer::default();
    w.map(1).int(LABEL_TYP).text(TRUST_ROOT_CONTENT_TYPE);
    w.finish()
}

/// The protected header of one signature.
fn signer_header(key: &PublicKey) -> Vec<u8> {
    let mut w = Writer::default();
    w.map(2).int(LABEL_ALG).int(key.algorithm().cose_number()).int(LABEL_KID).bytes(&key.key_id());
    w.finish()
}

/// Checks that the header of a signature names this key.
fn check_signer_header(bytes: &[u8], key: &PublicKey) -> Result<(), Error> {
    cbor::check(PART, bytes)?;
    let mut r = Reader::new(bytes);
    r.map().and_then(|n| length(2, n)).map_err(|p| field("protected", p))?;
    let algorithm = label(&mut r, LABEL_ALG).and_then(|()| r.int()).map_err(|p| field("alg", p))?;
    let key_id = label(&mut r, LABEL_KID).and_then(|()| r.bytes_exact()).map_err(|p| field("kid", p))?;
    Algorithm::from_cose_number(PART, algorithm)?;
    if key_id != key.key_id() {
        return Err(Error::UnknownKey { part: PART, key_id });
    }
    Signature { algorithm, key_id }.check_algorithm(PART, key)
}

/// `Sig_structure` of RFC 9052 section 4.4 for `COSE_Sign` with empty external data.
fn sig_structure(body_protected: &[u8], sign_protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut w = Writer::default();
    w.array(5).text("Signature").bytes(body_protected).bytes(sign_protected).bytes(&[]).bytes(payload);
    w.finish()
}

//! Messages of `tyto.attest.v1` to domain types and back.

use super::{Attest, AttestMode, Attested, GetConsistencyProof, GetReceipt, KeyList, ReceiptAnswer};
use crate::Error;
use crate::field::{all, at_most, bounded, copy, fixed, line, required};
use crate::limits::{MAX_DOCUMENTS_PER_CALL, MAX_SIGNING_KEYS};
use crate::proto::attest::v1 as proto;
use bytes::Bytes;
use tyto_attest::log::MAX_LOG_SIZE;
use tyto_attest::{
    Algorithm, Document, DocumentDigest, FieldProblem, KeyEntry, MAX_ATTESTATION_BYTES, MAX_CHECKPOINT_BYTES,
    PublicKey, Purpose,
};

const MODES: &str = "ATTEST_MODE_IMMEDIATE, ATTEST_MODE_RECEIPT_ONLY";
const DIGESTS: &str = "sha-256, sha-384, sha-512, sha3-256, sha3-384, sha3-512";
const PURPOSES: &str = "KEY_PURPOSE_ATTESTATION, KEY_PURPOSE_LOG";
const ALGORITHMS: &str = "those that the purpose permits";

impl TryFrom<proto::AttestRequest> for Attest {
    type Error = Error;

    fn try_from(message: proto::AttestRequest) -> Result<Self, Error> {
        let mode = match message.mode() {
            proto::AttestMode::Immediate => AttestMode::Immediate,
            proto::AttestMode::ReceiptOnly => AttestMode::ReceiptOnly,
            proto::AttestMode::Unspecified => {
                return Err(Error::UnknownValue { field: "mode", known: MODES });
            }
        };
        if message.documents.is_empty() {
            return Err(Error::Empty { field: "documents" });
        }
        at_most("documents", message.documents.len(), MAX_DOCUMENTS_PER_CALL)?;
        Ok(Self {
            mode,
            audience: line("audience", message.audience)?,
            nonce: fixed("nonce", &message.nonce)?,
            documents: message.documents.into_iter().map(document).collect::<Result<_, _>>()?,
        })
    }
}

fn document(message: proto::Document) -> Result<Document, Error> {
    let digest = DocumentDigest::new(&message.algorithm, &message.digest).map_err(|error| match error {
        tyto_attest::Error::Field { problem: FieldProblem::WrongLength { expected, actual }, .. } => {
            let field = "documents.digest";
            Error::Length { field, found_bytes: actual, expected_bytes: expected }
        }
        _ => Error::UnknownValue { field: "documents.algorithm", known: DIGESTS },
    })?;
    let label = line("documents.label", message.label)?;
    Ok(Document { digest, label: (!label.is_empty()).then_some(label) })
}

impl From<Attest> for proto::AttestRequest {
    fn from(request: Attest) -> Self {
        let mode = match request.mode {
            AttestMode::Immediate => proto::AttestMode::Immediate,
            AttestMode::ReceiptOnly => proto::AttestMode::ReceiptOnly,
        };
        let document = |document: Document| proto::Document {
            algorithm: document.digest.algorithm().to_owned(),
            digest: copy(document.digest.as_bytes()),
            label: document.label.unwrap_or_default(),
        };
        Self {
            mode: mode.into(),
            audience: request.audience,
            nonce: copy(&request.nonce),
            documents: request.documents.into_iter().map(document).collect(),
        }
    }
}

impl From<Attested> for proto::AttestResponse {
    fn from(attested: Attested) -> Self {
        let attested = attested.entries.into_iter().map(|entry| proto::AttestedDocument { entry });
        Self { attested: attested.collect() }
    }
}

impl TryFrom<proto::AttestResponse> for Attested {
    type Error = Error;

    fn try_from(message: proto::AttestResponse) -> Result<Self, Error> {
        at_most("attested", message.attested.len(), MAX_DOCUMENTS_PER_CALL)?;
        let entry = |attested: proto::AttestedDocument| {
            bounded("attested.entry", attested.entry, MAX_ATTESTATION_BYTES)
        };
        Ok(Self { entries: message.attested.into_iter().map(entry).collect::<Result<_, _>>()? })
    }
}

impl TryFrom<proto::GetReceiptRequest> for GetReceipt {
    type Error = Error;

    fn try_from(message: proto::GetReceiptRequest) -> Result<Self, Error> {
        Ok(Self { leaf_hash: fixed("leaf_hash", &message.leaf_hash)?, wait_ms: message.wait_ms })
    }
}

impl From<GetReceipt> for proto::GetReceiptRequest {
    fn from(request: GetReceipt) -> Self {
        Self { leaf_hash: copy(&request.leaf_hash), wait_ms: request.wait_ms }
    }
}

impl From<ReceiptAnswer> for proto::GetReceiptResponse {
    fn from(answer: ReceiptAnswer) -> Self {
        use proto::get_receipt_response::Result;
        let result = match answer {
            ReceiptAnswer::Receipt(receipt) => Result::Receipt(receipt),
            ReceiptAnswer::NotCovered { retry_after_ms } => {
                Result::NotCovered(proto::NotCovered { retry_after_ms })
            }
        };
        Self { result: Some(result) }
    }
}

impl TryFrom<proto::GetReceiptResponse> for ReceiptAnswer {
    type Error = Error;

    fn try_from(message: proto::GetReceiptResponse) -> Result<Self, Error> {
        use proto::get_receipt_response::Result as R;
        Ok(match required("result", message.result)? {
            R::Receipt(receipt) => Self::Receipt(bounded("receipt", receipt, MAX_CHECKPOINT_BYTES)?),
            R::NotCovered(proto::NotCovered { retry_after_ms }) => Self::NotCovered { retry_after_ms },
        })
    }
}

impl TryFrom<proto::GetConsistencyProofRequest> for GetConsistencyProof {
    type Error = Error;

    fn try_from(message: proto::GetConsistencyProofRequest) -> Result<Self, Error> {
        let range = |field, value, min, max| {
            let inside = (min..=max).contains(&value);
            if inside { Ok(value) } else { Err(Error::OutOfRange { field, value, min, max }) }
        };
        let old_size = range("old_size", message.old_size, 1, MAX_LOG_SIZE)?;
        let new_size = match message.new_size {
            0 => None,
            size => Some(range("new_size", size, old_size, MAX_LOG_SIZE)?),
        };
        Ok(Self { old_size, new_size })
    }
}

impl From<GetConsistencyProof> for proto::GetConsistencyProofRequest {
    fn from(request: GetConsistencyProof) -> Self {
        Self { old_size: request.old_size, new_size: request.new_size.unwrap_or_default() }
    }
}

/// The checkpoint in an answer, not read yet.
pub fn checkpoint(message: proto::GetCheckpointResponse) -> Result<Bytes, Error> {
    bounded("checkpoint", message.checkpoint, MAX_CHECKPOINT_BYTES)
}

/// The receipt of consistency in an answer, not read yet.
pub fn consistency_receipt(message: proto::GetConsistencyProofResponse) -> Result<Bytes, Error> {
    bounded("receipt", message.receipt, MAX_CHECKPOINT_BYTES)
}

impl From<KeyList> for proto::ListKeysResponse {
    fn from(list: KeyList) -> Self {
        let key = |entry: KeyEntry| proto::SigningKey {
            purpose: match entry.purpose {
                Purpose::Attestation => proto::KeyPurpose::Attestation,
                Purpose::Log => proto::KeyPurpose::Log,
                _ => proto::KeyPurpose::Unspecified,
            }
            .into(),
            algorithm: entry.key.algorithm().cose_number(),
            public_key: copy(entry.key.as_bytes()),
        };
        let keys = list.keys.into_iter().map(key).collect();
        Self { issuer: list.issuer, log_id: copy(&list.log_id), keys }
    }
}

impl TryFrom<proto::ListKeysResponse> for KeyList {
    type Error = Error;

    fn try_from(message: proto::ListKeysResponse) -> Result<Self, Error> {
        at_most("keys", message.keys.len(), MAX_SIGNING_KEYS)?;
        let keys: Vec<SigningKey> = all(message.keys)?;
        Ok(Self {
            issuer: line("issuer", message.issuer)?,
            log_id: fixed("log_id", &message.log_id)?,
            keys: keys.into_iter().map(|key| key.0).collect(),
        })
    }
}

struct SigningKey(KeyEntry);

impl TryFrom<proto::SigningKey> for SigningKey {
    type Error = Error;

    fn try_from(message: proto::SigningKey) -> Result<Self, Error> {
        let purpose = match message.purpose() {
            proto::KeyPurpose::Attestation => Purpose::Attestation,
            proto::KeyPurpose::Log => Purpose::Log,
            proto::KeyPurpose::Unspecified => {
                return Err(Error::UnknownValue { field: "keys.purpose", known: PURPOSES });
            }
        };
        let unknown = Error::UnknownValue { field: "keys.algorithm", known: ALGORITHMS };
        let algorithm =
            Algorithm::with_cose_number(message.algorithm).filter(|&algorithm| purpose.permits(algorithm));
        let algorithm = algorithm.ok_or(unknown)?;
        let key = PublicKey::from_bytes(algorithm, &message.public_key).map_err(|_| Error::Length {
            field: "keys.public_key",
            found_bytes: message.public_key.len(),
            expected_bytes: algorithm.public_key_bytes(),
        })?;
        Ok(Self(KeyEntry { purpose, key }))
    }
}

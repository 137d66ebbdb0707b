//! The attestation: a statement signed as `COSE_Sign1` (RFC 9052 section 4.2).

use tyto_pqc::mldsa::SigningKey;

use crate::algorithm::{Algorithm, PublicKey};
use crate::cose::{HeaderForm, Sign1, Signature, no_unprotected, sig_structure, sign1};
use crate::error::{Error, Part};
use crate::keys::TrustedKeys;
use crate::statement::Statement;

/// Largest attestation. A statement has less than 2 KiB, the signature 3,309 bytes.
pub const MAX_ATTESTATION_BYTES: usize = 6 * 1024;

/// The `typ` of the protected header (RFC 9596): what is signed here is a Tyto statement and nothing else.
pub const CONTENT_TYPE: &str = "application/vnd.tyto.attestation+cbor";

const HEADER: HeaderForm = HeaderForm::plain(Part::ProtectedHeader, CONTENT_TYPE);

/// Signs a statement. Returns the tagged `COSE_Sign1` structure, different at each call (hedged signing).
///
/// # Errors
/// [`Error::Field`] if the statement breaks a rule of its format; [`Error::Signing`] if the key cannot sign.
pub fn sign(statement: &Statement, key: &SigningKey) -> Result<Vec<u8>, Error> {
    sign1(&HEADER, &statement.encode()?, key)
}

/// The statement of an attestation, if a trusted key signed it.
///
/// The checks in their order: size, deterministic encoding and shape of the envelope, then of the protected
/// header, algorithm, type, key id, signature, and only then the statement. Time plays no part: this is for the
/// answer that just came from a server whose keys one has pinned. Evidence that was kept is for [`crate::verify`].
///
/// # Errors
/// The first check that fails.
pub fn verify_attestation(attestation: &[u8], keys: &TrustedKeys) -> Result<Statement, Error> {
    let envelope = Envelope::parse(attestation)?;
    let key_id = envelope.signed.key_id;
    let key = keys.get(&key_id).ok_or(Error::UnknownKey { part: Part::Envelope, key_id })?;
    envelope.verify(&key.clone().into())?;
    Statement::decode(envelope.payload)
}

/// An attestation taken apart, of which nothing is verified.
pub(crate) struct Envelope<'a> {
    part: Part,
    protected: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
    signed: Signature,
}

impl<'a> Envelope<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::parse_form(bytes, Part::Envelope, &HEADER)
    }

    /// Of any object that is signed under a plain header.
    pub(crate) fn parse_form(bytes: &'a [u8], part: Part, form: &HeaderForm) -> Result<Self, Error> {
        let envelope = Sign1::parse(part, MAX_ATTESTATION_BYTES, bytes, no_unprotected(part))?;
        let payload = envelope.attached(part)?;
        let (signed, _) = form.read(envelope.protected)?;
        Algorithm::from_cose_number(form.part, signed.algorithm)?;
        Ok(Self { part, protected: envelope.protected, payload, signature: envelope.signature, signed })
    }

    /// Who claims to have signed, and how.
    pub(crate) fn signed(&self) -> &Signature {
        &self.signed
    }

    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), Error> {
        self.signed.check_algorithm(self.part, key)?;
        key.verify(self.part, &sig_structure(self.protected, self.payload), self.signature)
    }

    pub(crate) fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

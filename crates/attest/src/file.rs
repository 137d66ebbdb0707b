//! What a client keeps of an answer, so that it can be checked later without anyone's help.

use crate::attestation::{MAX_ATTESTATION_BYTES, verify_attestation};
use crate::cbor::{self, Reader, Writer};
use crate::cose::length;
use crate::digest::{DigestKind, SALT_BYTES, salted};
use crate::error::{Error, FieldProblem, Part};
use crate::keys::TrustedKeys;
use crate::statement::Statement;

/// Largest request or result in a file: 64 MiB, the result of an identification among 38 million templates.
pub const MAX_CONTENT_BYTES: usize = 64 * 1024 * 1024;

/// Room for the two contents, the attestation and what stands between them.
const MAX_FILE_BYTES: usize = 2 * MAX_CONTENT_BYTES + MAX_ATTESTATION_BYTES + 1024;

const MAGIC: &str = "tyto-attestation";
const FILE_VERSION: u64 = 1;

/// An attestation with its salt and, if the client wants to keep them, the request and the result.
///
/// # Security
/// Salt, request and result are not public: with them and the tenant key, guesses of the probe can be
/// tested. Pass on [`AttestationFile::attestation`] alone where that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationFile {
    /// The attestation as [`crate::sign`] made it.
    pub attestation: Vec<u8>,
    /// The salt of the statement's digests.
    pub salt: [u8; SALT_BYTES],
    /// The request as it was sent.
    pub request: Option<Vec<u8>>,
    /// The result as it was received.
    pub result: Option<Vec<u8>>,
}

impl AttestationFile {
    /// One array of deterministic CBOR.
    ///
    /// # Errors
    /// [`Error::Field`] if a content exceeds [`MAX_CONTENT_BYTES`] or the attestation
    /// [`MAX_ATTESTATION_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let mut w = Writer::default();
        w.array(6).text(MAGIC).uint(FILE_VERSION).bytes(&self.attestation).bytes(&self.salt);
        for content in [&self.request, &self.result] {
            match content {
                Some(content) => w.bytes(content),
                None => w.null(),
            };
        }
        Ok(w.finish())
    }

    /// Reads what [`AttestationFile::encode`] wrote, and nothing else. Nothing is verified by that.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Cbor`], [`Error::UnknownFileVersion`] or [`Error::Field`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let part = Part::File;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Error::TooLarge { part, actual_bytes: bytes.len(), max_bytes: MAX_FILE_BYTES });
        }
        cbor::check(part, bytes)?;
        let mut r = Reader::new(bytes);
        let items = r.array().map_err(at("file"))?;
        if r.text().map_err(at("magic"))? != MAGIC {
            return Err(at("magic")(FieldProblem::UnknownValue));
        }
        let version = r.uint().map_err(at("version"))?;
        if version != FILE_VERSION {
            return Err(Error::UnknownFileVersion { version });
        }
        length(6, items).map_err(at("file"))?;
        let file = Self {
            attestation: r.bytes().map_err(at("attestation"))?.to_vec(),
            salt: r.bytes_exact().map_err(at("salt"))?,
            request: content(&mut r).map_err(at("request"))?,
            result: content(&mut r).map_err(at("result"))?,
        };
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), Error> {
        let size = |content: &Option<Vec<u8>>| content.as_ref().map_or(0, Vec::len);
        let limits = [
            ("attestation", self.attestation.len(), MAX_ATTESTATION_BYTES),
            ("request", size(&self.request), MAX_CONTENT_BYTES),
            ("result", size(&self.result), MAX_CONTENT_BYTES),
        ];
        for (field, actual_bytes, max_bytes) in limits {
            if actual_bytes > max_bytes {
                return Err(at(field)(FieldProblem::TooLong { max_bytes, actual_bytes }));
            }
        }
        Ok(())
    }
}

/// What was found out about one content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCheck {
    /// The content is in the file and is the one that was attested.
    Matches,
    /// The content is not in the file.
    Absent,
}

/// A file whose every part was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFile {
    /// What the signer claims.
    pub statement: Statement,
    /// Whether the request was there to be checked.
    pub request: ContentCheck,
    /// Whether the result was there to be checked.
    pub result: ContentCheck,
}

/// Verifies the attestation of a file, and that the request and the result, where the file has them, are
/// the ones that were attested.
///
/// # Errors
/// As [`crate::verify_attestation`]; [`Error::DigestMismatch`] if a content, or the salt, is not the attested one;
/// [`Error::Field`] if the statement is not about a match.
pub fn verify_file(file: &AttestationFile, keys: &TrustedKeys) -> Result<VerifiedFile, Error> {
    let statement = verify_attestation(&file.attestation, keys)?;
    let check = |kind, content: &Option<Vec<u8>>, digest| match content {
        None => Ok(ContentCheck::Absent),
        Some(content) if salted(kind, &file.salt, content) == digest => Ok(ContentCheck::Matches),
        Some(_) => Err(Error::DigestMismatch { kind }),
    };
    let matched = statement.match_result().ok_or(Error::Field {
        part: Part::Statement,
        field: "kind",
        problem: FieldProblem::UnknownValue,
    })?;
    let request = check(DigestKind::Request, &file.request, matched.request_digest)?;
    let result = check(DigestKind::Result, &file.result, matched.result_digest)?;
    Ok(VerifiedFile { statement, request, result })
}

fn content(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, FieldProblem> {
    if reader.skip_null() { Ok(None) } else { reader.bytes().map(|bytes| Some(bytes.to_vec())) }
}

fn at(field: &'static str) -> impl Fn(FieldProblem) -> Error {
    move |problem| Error::Field { part: Part::File, field, problem }
}

//! Attestation files: what a client kept of an answer, judged by trusted keys.

use tyto_client::attest::{
    self, AttestationFile, ContentCheck, FieldProblem, MAX_CONTENT_BYTES, Object, Part, Statement,
    TrustedKeys, verify_file,
};

use super::shape;
use crate::Error;
use crate::shown::Fields;

/// Largest attestation file that is read.
pub(super) const MAX_FILE_BYTES: u64 = 2 * MAX_CONTENT_BYTES as u64 + (1 << 20);

/// What a file begins with: an array of six items, a text of 16 bytes.
const BEGINNING: &[u8] = b"\x86\x70tyto-attestation";

/// Whether the bytes are meant as an attestation file.
pub(super) fn is_file(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGINNING)
}

/// Judges a file by keys that are pinned.
pub(super) fn verify(bytes: &[u8], keys: &TrustedKeys, audience: Option<&str>) -> Result<Fields, Error> {
    let file = AttestationFile::parse(bytes)?;
    let verified = verify_file(&file, keys)?;
    if audience.is_some_and(|audience| audience != verified.statement.audience) {
        return Err(Error::OtherAudience { found: verified.statement.audience });
    }
    let contents = [verified.request, verified.result].map(Some);
    shown(true, &file, contents, &verified.statement)
}

/// What a file claims, without believing it.
pub(super) fn inspect(bytes: &[u8]) -> Result<Fields, Error> {
    let file = AttestationFile::parse(bytes)?;
    let statement = claimed(&file)?.1;
    if statement.match_result().is_none() {
        let problem = FieldProblem::UnknownValue;
        return Err(attest::Error::Field { part: Part::Statement, field: "kind", problem }.into());
    }
    shown(false, &file, [None, None], &statement)
}

fn shown(
    verified: bool,
    file: &AttestationFile,
    [request, result]: [Option<ContentCheck>; 2],
    statement: &Statement,
) -> Result<Fields, Error> {
    Ok(Fields::new()
        .with("verified", verified)
        .with("evidence", "attestation-file")
        .bytes("signing_key", &claimed(file)?.0)
        .with("attestation_bytes", file.attestation.len() as u64)
        .with("request", content(file.request.as_ref(), request))
        .with("result", content(file.result.as_ref(), result))
        .with("statement", shape::statement(statement)))
}

/// Who claims to have signed the attestation in a file, and what.
fn claimed(file: &AttestationFile) -> Result<(attest::KeyId, Statement), Error> {
    let Object::Attestation(claimed) = attest::inspect(&file.attestation)? else {
        let problem = FieldProblem::UnknownValue;
        return Err(attest::Error::Field { part: Part::Envelope, field: "typ", problem }.into());
    };
    Ok((claimed.key_id, claimed.content))
}

/// Whether a content is in the file, and is what was attested.
fn content(content: Option<&Vec<u8>>, check: Option<ContentCheck>) -> &'static str {
    match (content, check) {
        (None, _) | (_, Some(ContentCheck::Absent)) => "absent",
        (Some(_), None) => "unchecked",
        (Some(_), Some(ContentCheck::Matches)) => "matches",
    }
}

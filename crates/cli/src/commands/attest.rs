//! `tyto attest`: attestations, offline.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use tyto_client::attest::{
    self, AttestationFile, ContentCheck, FieldProblem, MAX_CONTENT_BYTES, Part, Statement, TrustedKeys,
    verify_file,
};

use crate::args::Global;
use crate::connection::{read_limited, read_trusted_keys};
use crate::output::{OutputArgs, hex};
use crate::{Error, Exit};

/// Largest attestation file that is read.
const MAX_FILE_BYTES: u64 = 2 * MAX_CONTENT_BYTES as u64 + (1 << 20);

/// The attestation commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify an attestation file: signature by a trusted key, request and result as attested. Needs no network.
    Verify {
        /// The file.
        file: PathBuf,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show what a file claims, without believing it.
    Inspect {
        /// The file.
        file: PathBuf,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, Serialize)]
struct Inspected {
    verified: bool,
    signing_key: String,
    attestation_bytes: usize,
    request: Content,
    result: Content,
    statement: Shown,
}

/// A content of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Content {
    /// It is not in the file.
    Absent,
    /// It is in the file and was not checked.
    Unchecked,
    /// It is in the file and is what was attested.
    Matches,
}

impl Content {
    fn new(content: Option<&Vec<u8>>, check: Option<ContentCheck>) -> Self {
        match (content, check) {
            (None, _) | (_, Some(ContentCheck::Absent)) => Self::Absent,
            (Some(_), None) => Self::Unchecked,
            (Some(_), Some(ContentCheck::Matches)) => Self::Matches,
        }
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "not in the file",
            Self::Unchecked => "in the file, not checked",
            Self::Matches => "in the file, as attested",
        })
    }
}

/// A statement with bytes in hexadecimal.
#[derive(Debug, Serialize)]
struct Shown {
    issuer: String,
    issued_at_unix_ms: u64,
    audience: String,
    nonce: Option<String>,
    principal: Option<String>,
    operation: &'static str,
    parameter_set: u16,
    gallery: String,
    mask_epoch: u32,
    manifest_version: u64,
    blocks_root: String,
    blocks_matched: u64,
    blocks_total: u64,
    ticket: Option<String>,
    request_digest: String,
    gallery_state_digest: String,
    records_digest: String,
    result_digest: String,
    reply_bits: u8,
    software_version: String,
    build_digest: Option<String>,
}

impl TryFrom<Statement> for Shown {
    type Error = attest::Error;

    /// Files hold statements about matches only.
    fn try_from(statement: Statement) -> Result<Self, Self::Error> {
        let result = statement.match_result().ok_or(attest::Error::Field {
            part: Part::Statement,
            field: "kind",
            problem: FieldProblem::UnknownValue,
        })?;
        Ok(Self {
            operation: result.operation.name(),
            parameter_set: result.parameter_set,
            gallery: hex(&result.gallery_id),
            mask_epoch: result.mask_epoch,
            manifest_version: result.manifest_version,
            blocks_root: hex(&result.blocks_root),
            blocks_matched: result.blocks_matched,
            blocks_total: result.blocks_total,
            ticket: result.ticket_id.map(|id| hex(&id)),
            request_digest: hex(&result.request_digest),
            gallery_state_digest: hex(&result.gallery_state_digest),
            records_digest: hex(&result.records_digest),
            result_digest: hex(&result.result_digest),
            reply_bits: result.reply_bits,
            issuer: statement.issuer,
            issued_at_unix_ms: statement.issued_at_unix_ms,
            audience: statement.audience,
            nonce: statement.nonce.map(|nonce| hex(&nonce)),
            principal: statement.principal,
            software_version: statement.software_version,
            build_digest: statement.build_digest,
        })
    }
}

/// Runs an attestation command.
///
/// # Errors
/// [`Error::InFile`] around [`Error::Attestation`] or [`Error::OtherAudience`].
pub fn run(command: &Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Verify { file, output } => {
            let path = global.trusted_keys.as_deref().ok_or(Error::NoTrustedKeys)?;
            let keys = read_trusted_keys(path)?;
            let verified = verify(file, &keys, global.audience.as_deref()).map_err(Error::in_file(file))?;
            output.print(&verified, text)?;
        }
        Command::Inspect { file, output } => {
            let inspected = inspect(file).map_err(Error::in_file(file))?;
            output.print(&inspected, text)?;
        }
    }
    Ok(Exit::Success)
}

fn read(path: &Path) -> Result<AttestationFile, Error> {
    Ok(AttestationFile::parse(&read_limited(path, MAX_FILE_BYTES)?)?)
}

fn verify(path: &Path, keys: &TrustedKeys, audience: Option<&str>) -> Result<Inspected, Error> {
    let file = read(path)?;
    let verified = verify_file(&file, keys)?;
    if audience.is_some_and(|audience| audience != verified.statement.audience) {
        return Err(Error::OtherAudience { found: verified.statement.audience });
    }
    Ok(Inspected {
        verified: true,
        signing_key: hex(&key_id(&file.attestation)?),
        attestation_bytes: file.attestation.len(),
        request: Content::new(file.request.as_ref(), Some(verified.request)),
        result: Content::new(file.result.as_ref(), Some(verified.result)),
        statement: verified.statement.try_into()?,
    })
}

fn inspect(path: &Path) -> Result<Inspected, Error> {
    let file = read(path)?;
    let signing_key = hex(&key_id(&file.attestation)?);
    let statement = Statement::decode(payload(&file.attestation).unwrap_or_default())?;
    Ok(Inspected {
        verified: false,
        signing_key,
        attestation_bytes: file.attestation.len(),
        request: Content::new(file.request.as_ref(), None),
        result: Content::new(file.result.as_ref(), None),
        statement: statement.try_into()?,
    })
}

/// The key id of an attestation whose envelope and header are well-formed: nobody is trusted, so the check stops at
/// the unknown key.
fn key_id(attestation: &[u8]) -> Result<[u8; 32], Error> {
    match attest::verify_attestation(attestation, &TrustedKeys::new()) {
        Err(attest::Error::UnknownKey { key_id, .. }) => Ok(key_id),
        Err(error) => Err(error.into()),
        Ok(_) => unreachable!("nobody is trusted"),
    }
}

/// The payload of an envelope whose shape [`key_id`] has checked:
/// `18([bytes protected, {}, bytes payload, bytes signature])`.
fn payload(attestation: &[u8]) -> Option<&[u8]> {
    let rest = attestation.strip_prefix(&[0xd2, 0x84])?;
    let (_protected, rest) = byte_string(rest)?;
    let rest = rest.strip_prefix(&[0xa0])?;
    byte_string(rest).map(|(payload, _)| payload)
}

/// A CBOR byte string (RFC 8949 section 3.1, major type 2) of at most 65,535 bytes, and what follows it.
fn byte_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&initial, rest) = bytes.split_first()?;
    let (length, rest) = match initial {
        0x40..=0x57 => (usize::from(initial - 0x40), rest),
        0x58 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
        0x59 => {
            let (&length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(length)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn text(inspected: &Inspected) -> String {
    let Inspected { statement, .. } = inspected;
    let verdict = if inspected.verified { "VERIFIED" } else { "NOT VERIFIED: only what the file claims" };
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    format!(
        "{verdict}\n\n\
         signing key       {}\nissuer            {}\nissued (unix ms)  {}\naudience          {}\n\
         principal         {}\noperation         {}\ngallery           {}\nmanifest version  {}\n\
         blocks            {} of {} covered, root {}\nticket            {}\nnonce             {}\n\
         request           {}\nresult            {}\nsoftware          {}\nbuild             {}\n",
        inspected.signing_key,
        statement.issuer,
        statement.issued_at_unix_ms,
        statement.audience,
        or_none(&statement.principal),
        statement.operation,
        statement.gallery,
        statement.manifest_version,
        statement.blocks_matched,
        statement.blocks_total,
        &statement.blocks_root[..16],
        or_none(&statement.ticket),
        statement.nonce.as_ref().map_or("-", |nonce| &nonce[..16]),
        inspected.request,
        inspected.result,
        statement.software_version,
        or_none(&statement.build_digest),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::json;

    /// The golden files of the attestation format.
    fn vector(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/attestation")).join(name)
    }

    /// A golden file in binary form, in a temporary place.
    fn file(name: &str) -> tempfile::NamedTempFile {
        let text = std::fs::read_to_string(vector(name)).unwrap();
        let digits = text.trim().as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn golden_files_verify_and_can_be_inspected() {
        let keys = read_trusted_keys(&vector("trusted-keys.txt")).unwrap();
        for name in ["full.file.hex", "sparse.file.hex"] {
            let file = file(name);
            let verified = verify(file.path(), &keys, None).unwrap();
            let inspected = inspect(file.path()).unwrap();
            assert!(verified.verified && !inspected.verified);
            assert_eq!(json(&verified.statement), json(&inspected.statement), "{name}");
            assert_eq!(verified.signing_key, inspected.signing_key);
            assert!(
                text(&verified).starts_with("VERIFIED\n") && text(&inspected).starts_with("NOT VERIFIED")
            );
        }
    }

    #[test]
    fn other_audiences_and_altered_files_are_refused() {
        let keys = read_trusted_keys(&vector("trusted-keys.txt")).unwrap();
        let full = file("full.file.hex");
        let found = verify(full.path(), &keys, None).unwrap().statement.audience;
        assert!(verify(full.path(), &keys, Some(&found)).is_ok());
        let other = verify(full.path(), &keys, Some("somebody else")).unwrap_err();
        assert_eq!(Exit::of(&Error::in_file("f")(other)), Exit::Refused);
        for name in ["file-other-request", "file-altered-attestation", "file-trailing-byte"] {
            let altered = file(&format!("rejected/{name}.hex"));
            let error = verify(altered.path(), &keys, None).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Refused, "{name}: {error:?}");
        }
    }

    #[test]
    fn json_has_the_documented_fields() {
        let inspected = inspect(file("full.file.hex").path()).unwrap();
        let value = serde_json::to_value(&inspected).unwrap();
        let fields =
            |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            fields(&value),
            ["attestation_bytes", "request", "result", "signing_key", "statement", "verified"]
        );
        assert_eq!(value["request"], "unchecked");
        assert_eq!(value["statement"]["operation"], "identify");
        assert_eq!(fields(&value["statement"]).len(), 21);
    }
}

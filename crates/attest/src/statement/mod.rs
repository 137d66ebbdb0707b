//! The statement: what the signer claims.

mod audit;
mod change;
mod document;
mod matching;

use crate::cbor::{Reader, Writer};
use crate::error::{Error, FieldProblem, Part};
use crate::fields::{self, FieldWriter, Fields, check_texts, or_null, text};
use crate::log::Hash;

pub use audit::AuditAnchor;
pub use change::{GalleryChange, GalleryOperation, KeyChange, KeyOperation};
pub use document::{Document, DocumentDigest};
pub use matching::{MatchResult, Operation};

/// Version of the statement, its first entry.
pub const STATEMENT_VERSION: u64 = 2;

/// Number of entries of the map. Keys are 1 to this number, each present.
const ENTRIES: usize = 12;

/// What a server claims to have done, version 2. Never biometric content.
///
/// Texts have at most [`crate::MAX_TEXT_BYTES`] bytes and no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Who claims it.
    pub issuer: String,
    /// When, by the issuer's clock: milliseconds since 1970-01-01T00:00:00Z.
    pub issued_at_unix_ms: u64,
    /// For whom, as the client named itself or its relying party.
    pub audience: String,
    /// The client's nonce; `None` in entries of the log that no client asked for.
    pub nonce: Option<[u8; 32]>,
    /// Who was authenticated, if anyone was.
    pub principal: Option<String>,
    /// The software that ran.
    pub software_version: String,
    /// The build of that software as `algorithm:digest`, if known.
    pub build_digest: Option<String>,
    /// The log that the statement goes into, if it does.
    pub log: Option<LogState>,
    /// What is claimed.
    pub claim: Claim,
}

/// The log as the issuer saw it when it made a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogState {
    /// The log.
    pub log_id: [u8; 32],
    /// The latest checkpoint; `None` if there was none yet.
    pub previous_checkpoint: Option<PreviousCheckpoint>,
}

/// The tree of the latest checkpoint when a statement was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousCheckpoint {
    /// Entries of the tree.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// What is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// A probe was matched.
    Match(MatchResult),
    /// A caller presented the digest of a document.
    Document(Document),
    /// A gallery was changed.
    Gallery(GalleryChange),
    /// A key was taken into use or out of it.
    Key(KeyChange),
    /// The audit log had come so far.
    Audit(AuditAnchor),
}

impl Claim {
    /// The name of the kind in a statement.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Match(result) => result.operation.name(),
            Self::Document(_) => document::KIND,
            Self::Gallery(change) => change.operation.name(),
            Self::Key(_) => change::KEY_KIND,
            Self::Audit(_) => audit::KIND,
        }
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::Match(result) => result.write(w),
            Self::Document(document) => document.write(w),
            Self::Gallery(change) => change.write(w),
            Self::Key(change) => change.write(w),
            Self::Audit(anchor) => anchor.write(w),
        }
    }

    fn read(kind: &str, r: &mut Reader<'_>) -> Result<Self, Error> {
        if let Some(operation) = Operation::from_name(kind) {
            return MatchResult::read(operation, r).map(Self::Match);
        }
        if let Some(operation) = GalleryOperation::from_name(kind) {
            return GalleryChange::read(operation, r).map(Self::Gallery);
        }
        match kind {
            document::KIND => Document::read(r).map(Self::Document),
            change::KEY_KIND => KeyChange::read(r).map(Self::Key),
            audit::KIND => AuditAnchor::read(r).map(Self::Audit),
            _ => Err(field_error("kind", FieldProblem::UnknownValue)),
        }
    }

    fn check(&self) -> Result<(), Error> {
        match self {
            Self::Match(result) => result.check(),
            Self::Document(document) => document.check(),
            Self::Gallery(_) | Self::Key(_) | Self::Audit(_) => Ok(()),
        }
    }
}

impl Statement {
    /// The result of a match, if that is what is claimed.
    pub fn match_result(&self) -> Option<&MatchResult> {
        match &self.claim {
            Claim::Match(result) => Some(result),
            _ => None,
        }
    }

    /// The payload: one map of deterministic CBOR.
    ///
    /// # Errors
    /// [`Error::Field`] if a text is too long or has control characters, or the claim breaks a rule of its own.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let mut w = Writer::default();
        let mut fields = FieldWriter::open(&mut w, ENTRIES);
        fields.next().uint(STATEMENT_VERSION);
        fields.next().text(&self.issuer);
        fields.next().uint(self.issued_at_unix_ms);
        fields.next().text(&self.audience);
        fields.bytes_or_null(self.nonce.as_ref().map(<[u8; 32]>::as_slice));
        fields.text_or_null(self.principal.as_deref());
        fields.next().text(self.claim.kind());
        fields.next().text(&self.software_version);
        fields.text_or_null(self.build_digest.as_deref());
        fields.bytes_or_null(self.log.as_ref().map(|log| log.log_id.as_slice()));
        match self.log.and_then(|log| log.previous_checkpoint) {
            Some(previous) => fields.next().array(2).uint(previous.size).bytes(&previous.root),
            None => fields.next().null(),
        };
        self.claim.write(fields.next());
        Ok(w.finish())
    }

    /// Reads what [`Statement::encode`] wrote, and nothing else. A statement proves nothing until the signature
    /// around it or the receipt beside it is verified.
    ///
    /// # Errors
    /// [`Error::Cbor`], [`Error::TrailingBytes`], [`Error::UnknownStatementVersion`] or [`Error::Field`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = fields::payload(Part::Statement, bytes)?;
        let mut r = Fields::open(Part::Statement, "statement", &mut reader)?;
        let version = r.next("version", Reader::uint)?;
        if version != STATEMENT_VERSION {
            return Err(Error::UnknownStatementVersion { version });
        }
        r.expect("statement", ENTRIES)?;
        let issuer = r.next("issuer", text)?;
        let issued_at_unix_ms = r.next("issued_at_unix_ms", Reader::uint)?;
        let audience = r.next("audience", text)?;
        let nonce = r.next("nonce", |r| or_null(r, Reader::bytes_exact))?;
        let principal = r.next("principal", |r| or_null(r, text))?;
        let kind = r.next("kind", Reader::text)?;
        let software_version = r.next("software_version", text)?;
        let build_digest = r.next("build_digest", |r| or_null(r, text))?;
        let log_id = r.next("log_id", |r| or_null(r, Reader::bytes_exact))?;
        let previous = r.next("previous_checkpoint", |r| or_null(r, previous_checkpoint))?;
        let log = match (log_id, previous) {
            (Some(log_id), previous_checkpoint) => Some(LogState { log_id, previous_checkpoint }),
            (None, None) => None,
            (None, Some(_)) => return Err(field_error("previous_checkpoint", FieldProblem::NotNull)),
        };
        let claim = Claim::read(kind, r.nested("claim")?)?;
        let statement = Self {
            issuer,
            issued_at_unix_ms,
            audience,
            nonce,
            principal,
            software_version,
            build_digest,
            log,
            claim,
        };
        statement.check()?;
        Ok(statement)
    }

    /// The rules that the types do not hold.
    fn check(&self) -> Result<(), Error> {
        let texts = [
            ("issuer", Some(self.issuer.as_str())),
            ("audience", Some(&self.audience)),
            ("principal", self.principal.as_deref()),
            ("software_version", Some(&self.software_version)),
            ("build_digest", self.build_digest.as_deref()),
        ];
        check_texts(Part::Statement, &texts)?;
        self.claim.check()
    }
}

fn previous_checkpoint(r: &mut Reader<'_>) -> Result<PreviousCheckpoint, FieldProblem> {
    crate::cose::length(2, r.array()?)?;
    Ok(PreviousCheckpoint { size: r.uint()?, root: r.bytes_exact()? })
}

fn field_error(field: &'static str, problem: FieldProblem) -> Error {
    Error::Field { part: Part::Statement, field, problem }
}

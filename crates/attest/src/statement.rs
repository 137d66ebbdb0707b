//! The statement: what the signer claims.

use core::fmt;

use crate::cbor::{self, Reader, Writer};
use crate::error::{Error, FieldProblem, Part};

/// Version of the statement, its first entry.
pub const STATEMENT_VERSION: u64 = 1;

/// Longest text in a statement, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 256;

/// Number of entries of the map. Keys are 1 to this number, each present.
const ENTRIES: u64 = 24;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A probe was compared with one template (1:1).
    Verify,
    /// A probe was compared with a gallery (1:N).
    Identify,
}

impl Operation {
    /// The operation's name in a statement.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Identify => "identify",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Verify, Self::Identify].into_iter().find(|operation| operation.name() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a server claims to have done, version 1. Never biometric content.
///
/// The texts have at most [`MAX_TEXT_BYTES`] bytes and no control characters. Log id and previous
/// checkpoint exist in the encoding and are null in this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Who signs.
    pub issuer: String,
    /// When, by the signer's clock: milliseconds since 1970-01-01T00:00:00Z.
    pub issued_at_unix_ms: u64,
    /// For whom, as the client named itself or its relying party.
    pub audience: String,
    /// The client's nonce.
    pub nonce: [u8; 32],
    /// Who was authenticated, if anyone was.
    pub principal: Option<String>,
    /// What was done.
    pub operation: Operation,
    /// Parameter-set id of the scoring scheme.
    pub parameter_set: u16,
    /// The gallery.
    pub gallery_id: [u8; 16],
    /// Epoch of the gallery's masks.
    pub mask_epoch: u32,
    /// Version of the gallery's manifest.
    pub manifest_version: u64,
    /// [`crate::digest::blocks_root`] of the blocks that the operation covered.
    pub blocks_root: [u8; 32],
    /// How many blocks the operation covered.
    pub blocks_matched: u64,
    /// How many blocks the gallery has. At least `blocks_matched`.
    pub blocks_total: u64,
    /// The ticket that was used, if one was.
    pub ticket_id: Option<[u8; 16]>,
    /// Salted digest of the request.
    pub request_digest: [u8; 32],
    /// Salted digest of the gallery's state.
    pub gallery_state_digest: [u8; 32],
    /// Salted digest of the block records.
    pub records_digest: [u8; 32],
    /// Salted digest of the result.
    pub result_digest: [u8; 32],
    /// Bits per coefficient in the reply.
    pub reply_bits: u8,
    /// The software that ran.
    pub software_version: String,
    /// The build of that software as `algorithm:digest`, if known.
    pub build_digest: Option<String>,
}

impl Statement {
    /// The payload: one map of deterministic CBOR.
    ///
    /// # Errors
    /// [`Error::Field`] if a text is too long or has control characters, or if more blocks are claimed to
    /// be covered than there are.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let mut w = Writer::default();
        w.map(ENTRIES as usize);
        w.uint(1).uint(STATEMENT_VERSION);
        w.uint(2).text(&self.issuer);
        w.uint(3).uint(self.issued_at_unix_ms);
        w.uint(4).text(&self.audience);
        w.uint(5).bytes(&self.nonce);
        text_or_null(w.uint(6), self.principal.as_deref());
        w.uint(7).text(self.operation.name());
        w.uint(8).uint(self.parameter_set.into());
        w.uint(9).bytes(&self.gallery_id);
        w.uint(10).uint(self.mask_epoch.into());
        w.uint(11).uint(self.manifest_version);
        w.uint(12).bytes(&self.blocks_root);
        w.uint(13).uint(self.blocks_matched);
        w.uint(14).uint(self.blocks_total);
        match &self.ticket_id {
            Some(id) => w.uint(15).bytes(id),
            None => w.uint(15).null(),
        };
        w.uint(16).bytes(&self.request_digest);
        w.uint(17).bytes(&self.gallery_state_digest);
        w.uint(18).bytes(&self.records_digest);
        w.uint(19).bytes(&self.result_digest);
        w.uint(20).uint(self.reply_bits.into());
        w.uint(21).text(&self.software_version);
        text_or_null(w.uint(22), self.build_digest.as_deref());
        w.uint(23).null();
        w.uint(24).null();
        Ok(w.finish())
    }

    /// Reads what [`Statement::encode`] wrote, and nothing else. A statement proves nothing until the
    /// signature around it is verified: see [`crate::verify`].
    ///
    /// # Errors
    /// [`Error::Cbor`], [`Error::UnknownStatementVersion`] or [`Error::Field`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        cbor::check(bytes).map_err(|(at_byte, problem)| Error::Cbor {
            part: Part::Statement,
            at_byte,
            problem,
        })?;
        let mut r = Fields::open(bytes)?;
        let statement = Self {
            issuer: r.field(2, "issuer", text)?,
            issued_at_unix_ms: r.field(3, "issued_at_unix_ms", Reader::uint)?,
            audience: r.field(4, "audience", text)?,
            nonce: r.field(5, "nonce", Reader::bytes_exact)?,
            principal: r.field(6, "principal", |r| or_null(r, text))?,
            operation: r.field(7, "operation", |r| {
                Operation::from_name(r.text()?).ok_or(FieldProblem::UnknownValue)
            })?,
            parameter_set: r.field(8, "parameter_set", uint)?,
            gallery_id: r.field(9, "gallery_id", Reader::bytes_exact)?,
            mask_epoch: r.field(10, "mask_epoch", uint)?,
            manifest_version: r.field(11, "manifest_version", Reader::uint)?,
            blocks_root: r.field(12, "blocks_root", Reader::bytes_exact)?,
            blocks_matched: r.field(13, "blocks_matched", Reader::uint)?,
            blocks_total: r.field(14, "blocks_total", Reader::uint)?,
            ticket_id: r.field(15, "ticket_id", |r| or_null(r, Reader::bytes_exact))?,
            request_digest: r.field(16, "request_digest", Reader::bytes_exact)?,
            gallery_state_digest: r.field(17, "gallery_state_digest", Reader::bytes_exact)?,
            records_digest: r.field(18, "records_digest", Reader::bytes_exact)?,
            result_digest: r.field(19, "result_digest", Reader::bytes_exact)?,
            reply_bits: r.field(20, "reply_bits", uint)?,
            software_version: r.field(21, "software_version", text)?,
            build_digest: r.field(22, "build_digest", |r| or_null(r, text))?,
        };
        r.field(23, "log_id", null)?;
        r.field(24, "previous_checkpoint", null)?;
        statement.check()?;
        Ok(statement)
    }

    /// The rules that the types do not hold.
    fn check(&self) -> Result<(), Error> {
        let texts = [
            ("issuer", Some(&self.issuer)),
            ("audience", Some(&self.audience)),
            ("principal", self.principal.as_ref()),
            ("software_version", Some(&self.software_version)),
            ("build_digest", self.build_digest.as_ref()),
        ];
        for (name, text) in texts {
            check_text(text.map_or("", String::as_str)).map_err(|problem| field_error(name, problem))?;
        }
        if self.blocks_matched > self.blocks_total {
            let problem = FieldProblem::OutOfRange { max: self.blocks_total, actual: self.blocks_matched };
            return Err(field_error("blocks_matched", problem));
        }
        Ok(())
    }
}

/// Reads the entries of the map in the order of their keys.
struct Fields<'a>(Reader<'a>);

impl<'a> Fields<'a> {
    /// Reads up to and including the version: a later version may have other entries.
    fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let entries = reader.map().map_err(|problem| field_error("statement", problem))?;
        let mut fields = Self(reader);
        let version = fields.field(1, "version", Reader::uint)?;
        if version != STATEMENT_VERSION {
            return Err(Error::UnknownStatementVersion { version });
        }
        if entries == ENTRIES {
            return Ok(fields);
        }
        let problem = FieldProblem::WrongLength { expected: ENTRIES as usize, actual: entries as usize };
        Err(field_error("statement", problem))
    }

    fn field<T>(
        &mut self,
        key: u64,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, FieldProblem>,
    ) -> Result<T, Error> {
        if self.0.uint() != Ok(key) {
            return Err(field_error(name, FieldProblem::Missing));
        }
        read(&mut self.0).map_err(|problem| field_error(name, problem))
    }
}

fn field_error(field: &'static str, problem: FieldProblem) -> Error {
    Error::Field { part: Part::Statement, field, problem }
}

fn text_or_null(writer: &mut Writer, text: Option<&str>) {
    match text {
        Some(text) => writer.text(text),
        None => writer.null(),
    };
}

fn text(reader: &mut Reader<'_>) -> Result<String, FieldProblem> {
    reader.text().map(str::to_owned)
}

fn check_text(text: &str) -> Result<(), FieldProblem> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(FieldProblem::TooLong { max_bytes: MAX_TEXT_BYTES, actual_bytes: text.len() });
    }
    if text.chars().any(char::is_control) {
        return Err(FieldProblem::ControlCharacter);
    }
    Ok(())
}

/// An unsigned integer of a type narrower than the encoding's.
fn uint<T: TryFrom<u64>>(reader: &mut Reader<'_>) -> Result<T, FieldProblem> {
    let value = reader.uint()?;
    let max = u64::MAX >> (64 - 8 * size_of::<T>());
    T::try_from(value).map_err(|_| FieldProblem::OutOfRange { max, actual: value })
}

fn or_null<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, FieldProblem>,
) -> Result<Option<T>, FieldProblem> {
    if reader.skip_null() { Ok(None) } else { read(reader).map(Some) }
}

fn null(reader: &mut Reader<'_>) -> Result<(), FieldProblem> {
    if reader.skip_null() { Ok(()) } else { Err(FieldProblem::NotNull) }
}

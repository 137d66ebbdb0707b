//! One key of a trust root.

use crate::algorithm::{Algorithm, KeyId, PublicKey, Purpose};
use crate::cbor::{Reader, Writer};
use crate::error::{Error, FieldProblem, Part};
use crate::fields::{FieldWriter, Fields, check_text, or_null, text};

const ENTRIES: usize = 8;
const PART: Part = Part::TrustRoot;

/// A key whose word is taken, for what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub key: PublicKey,
    /// What it may sign.
    pub purpose: Purpose,
    /// The log whose checkpoints it may sign: of keys for the purpose [`Purpose::Log`], and of no others.
    pub log_id: Option<[u8; 32]>,
    /// What people call the key. Of keys for the purpose [`Purpose::Decision`]: the tenant whose decisions it signs.
    pub name: String,
    /// Begin of its validity.
    pub valid_from_unix_ms: u64,
    /// End of its validity: the first millisecond at which it is not valid any more. `None`: no end.
    pub valid_until_unix_ms: Option<u64>,
    /// Its revocation, if it was revoked.
    pub revocation: Option<Revocation>,
}

/// That a key was revoked: from `revoked_at_unix_ms` on, nothing that it signed is believed, unless it can be
/// shown to be older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// The last moment at which the key is known to have been in good hands. It may lie in the past.
    pub revoked_at_unix_ms: u64,
    /// Why. It changes nothing about what a verifier decides.
    pub reason: RevocationReason,
}

/// Why a key was revoked (a choice of RFC 5280 section 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationReason {
    /// Not said.
    Unspecified,
    /// Someone else may have the key.
    KeyCompromise,
    /// Another key took its place.
    Superseded,
    /// Its owner does not sign any more.
    CessationOfOperation,
}

impl RevocationReason {
    const ALL: [Self; 4] =
        [Self::Unspecified, Self::KeyCompromise, Self::Superseded, Self::CessationOfOperation];

    /// The reason's name in a trust root.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

impl KeyRecord {
    /// The key's id.
    pub fn key_id(&self) -> KeyId {
        self.key.key_id()
    }

    pub(super) fn write(&self, w: &mut Writer) {
        let mut fields = FieldWriter::open(w, ENTRIES);
        fields.next().int(self.key.algorithm().cose_number());
        fields.next().bytes(self.key.as_bytes());
        fields.next().uint(self.purpose.number());
        fields.bytes_or_null(self.log_id.as_ref().map(<[u8; 32]>::as_slice));
        fields.next().text(&self.name);
        fields.next().uint(self.valid_from_unix_ms);
        fields.uint_or_null(self.valid_until_unix_ms);
        match &self.revocation {
            Some(revocation) => {
                fields.next().array(2).uint(revocation.revoked_at_unix_ms).text(revocation.reason.name())
            }
            None => fields.next().null(),
        };
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut r = Fields::open(PART, "key", r)?;
        r.expect("key", ENTRIES)?;
        let algorithm = Algorithm::from_cose_number(PART, r.next("algorithm", Reader::int)?)?;
        let key = r.next("public_key", |r| public_key(algorithm, r))?;
        let purpose = r.next("purpose", |r| {
            let purpose = Purpose::from_number(r.uint()?).ok_or(FieldProblem::UnknownValue)?;
            if purpose.permits(algorithm) { Ok(purpose) } else { Err(FieldProblem::UnknownValue) }
        })?;
        let record = Self {
            key,
            purpose,
            log_id: r.next("log_id", |r| or_null(r, Reader::bytes_exact))?,
            name: r.next("name", text)?,
            valid_from_unix_ms: r.next("valid_from_unix_ms", Reader::uint)?,
            valid_until_unix_ms: r.next("valid_until_unix_ms", |r| or_null(r, Reader::uint))?,
            revocation: r.next("revocation", |r| or_null(r, revocation))?,
        };
        record.check()?;
        Ok(record)
    }

    /// The rules that the types do not hold.
    pub(super) fn check(&self) -> Result<(), Error> {
        let error = |field, problem| Error::Field { part: PART, field, problem };
        if !self.purpose.permits(self.key.algorithm()) {
            return Err(error("purpose", FieldProblem::UnknownValue));
        }
        match (self.purpose == Purpose::Log, self.log_id) {
            (true, None) => return Err(error("log_id", FieldProblem::Missing)),
            (false, Some(_)) => return Err(error("log_id", FieldProblem::NotNull)),
            _ => {}
        }
        check_text(&self.name).map_err(|problem| error("name", problem))?;
        match self.valid_until_unix_ms {
            Some(until) if until <= self.valid_from_unix_ms => {
                Err(error("valid_until_unix_ms", FieldProblem::Unordered))
            }
            _ => Ok(()),
        }
    }

    /// Whether a newer record of the same key takes nothing back: it may shorten the validity, revoke the key, or
    /// move the revocation to an earlier time. A key of decisions stays the same tenant's.
    pub(super) fn may_become(&self, newer: &Self) -> bool {
        let ends_no_later = |newer: Option<u64>, older: Option<u64>| match (newer, older) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(newer), Some(older)) => newer <= older,
        };
        let revoked = |record: &Self| record.revocation.map(|revocation| revocation.revoked_at_unix_ms);
        (self.purpose, self.log_id, self.valid_from_unix_ms)
            == (newer.purpose, newer.log_id, newer.valid_from_unix_ms)
            && (self.purpose != Purpose::Decision || self.name == newer.name)
            && ends_no_later(newer.valid_until_unix_ms, self.valid_until_unix_ms)
            && ends_no_later(revoked(newer), revoked(self))
    }
}

pub(super) fn public_key(algorithm: Algorithm, r: &mut Reader<'_>) -> Result<PublicKey, FieldProblem> {
    let bytes = r.bytes()?;
    PublicKey::from_bytes(algorithm, bytes).map_err(|_| FieldProblem::WrongLength {
        expected: algorithm.public_key_bytes(),
        actual: bytes.len(),
    })
}

fn revocation(r: &mut Reader<'_>) -> Result<Revocation, FieldProblem> {
    crate::cose::length(2, r.array()?)?;
    let revoked_at_unix_ms = r.uint()?;
    let reason = RevocationReason::from_name(r.text()?).ok_or(FieldProblem::UnknownValue)?;
    Ok(Revocation { revoked_at_unix_ms, reason })
}

//! The trust root: the keys whose word is taken, signed by an offline SLH-DSA key.

mod record;
mod signed;

use std::collections::BTreeMap;

use tyto_pqc::slhdsa;

use crate::algorithm::{Algorithm, KeyId, PublicKey, Purpose};
use crate::cbor::{Reader, Writer};
use crate::error::{Error, FieldProblem, Part};
use crate::fields::{self, FieldWriter, Fields, check_texts, text};
use crate::keys::TrustedKeys;

pub use record::{KeyRecord, Revocation, RevocationReason};

/// Version of the trust root's format, its first entry.
pub const TRUST_ROOT_FORMAT: u64 = 1;

/// Most keys of a trust root.
pub const MAX_ROOT_KEYS: usize = 1024;

/// Largest trust root.
pub const MAX_TRUST_ROOT_BYTES: usize = 4 << 20;

/// The `typ` of a trust root.
pub const TRUST_ROOT_CONTENT_TYPE: &str = "application/vnd.tyto.trust-root+cbor";

const ENTRIES: usize = 7;
const PART: Part = Part::TrustRoot;

/// A list of keys. A newer version says everything that an older one said, and more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoot {
    /// Version of the list: 1, 2, 3, ...
    pub version: u64,
    /// When it was made.
    pub issued_at_unix_ms: u64,
    /// Whose list it is.
    pub name: String,
    /// The offline key that signs the list.
    root_key: slhdsa::VerifyingKey,
    /// The key that this one took the place of in this version: it signs the list as well.
    previous_root_key: Option<slhdsa::VerifyingKey>,
    keys: BTreeMap<KeyId, KeyRecord>,
}

impl TrustRoot {
    /// Version 1 of a list, without keys.
    pub fn new(name: String, issued_at_unix_ms: u64, root_key: slhdsa::VerifyingKey) -> Self {
        Self { version: 1, issued_at_unix_ms, name, root_key, previous_root_key: None, keys: BTreeMap::new() }
    }

    /// The next version, to be changed and signed: issued now, or with this one if that says a later time. After
    /// version 2^64 - 1 there is no other: what comes out then is refused as not newer.
    #[must_use]
    pub fn next_version(&self, now_unix_ms: u64) -> Self {
        Self {
            version: self.version.saturating_add(1),
            issued_at_unix_ms: self.issued_at_unix_ms.max(now_unix_ms),
            previous_root_key: None,
            ..self.clone()
        }
    }

    /// Puts another root key in the place of that of the version before, which must sign this version too. Repeated
    /// within a version, it changes the choice of the new key; with the old key, it undoes it.
    pub fn rotate(&mut self, new_root_key: slhdsa::VerifyingKey) {
        let present = std::mem::replace(&mut self.root_key, new_root_key);
        let previous = self.previous_root_key.take().unwrap_or(present);
        self.previous_root_key = Some(previous).filter(|previous| *previous != self.root_key);
    }

    /// The offline key that signs the list.
    pub fn root_key(&self) -> &slhdsa::VerifyingKey {
        &self.root_key
    }

    /// The root key of the version before, if this version put another in its place.
    pub fn previous_root_key(&self) -> Option<&slhdsa::VerifyingKey> {
        self.previous_root_key.as_ref()
    }

    /// The record of a key.
    pub fn get(&self, key_id: &KeyId) -> Option<&KeyRecord> {
        self.keys.get(key_id)
    }

    /// The records in ascending order of their key ids.
    pub fn keys(&self) -> impl Iterator<Item = &KeyRecord> {
        self.keys.values()
    }

    /// Adds the record of a key, or changes it: whether it may be changed so is seen by [`TrustRoot::update`].
    /// Returns the record that was there.
    pub fn insert(&mut self, record: KeyRecord) -> Option<KeyRecord> {
        self.keys.insert(record.key_id(), record)
    }

    /// The keys whose attestations are believed when they come straight from a server at this time.
    pub fn attestation_keys(&self, at_unix_ms: u64) -> TrustedKeys {
        let usable = self.keys().filter(|record| {
            record.purpose == Purpose::Attestation
                && record.valid_from_unix_ms <= at_unix_ms
                && record.valid_until_unix_ms.is_none_or(|until| at_unix_ms < until)
                && record.revocation.is_none_or(|r| at_unix_ms < r.revoked_at_unix_ms)
        });
        usable
            .filter_map(|record| match &record.key {
                PublicKey::MlDsa65(key) => Some(key.clone()),
                PublicKey::SlhDsa(_) => None,
            })
            .collect()
    }

    /// Takes a newer version in place of this one.
    ///
    /// # Errors
    /// As [`TrustRoot::open`]; [`Error::RootNotNewer`]; [`Error::UnknownKey`] if neither the root key of this
    /// version signed the newer one nor was replaced in it; [`Error::RootRegression`] if something is taken back;
    /// [`Error::RootChanged`] if it has another name or was issued earlier.
    pub fn update(&self, newer: &[u8]) -> Result<Self, Error> {
        let newer = Self::open(newer, Some(&self.root_key.key_id()))?;
        if newer.version <= self.version {
            return Err(Error::RootNotNewer { known: self.version, offered: newer.version });
        }
        self.check_kept_by(&newer)?;
        Ok(newer)
    }

    /// Checks that a newer version takes nothing back: it has the same name and was not issued earlier, every key is
    /// there for the same purpose, none is valid longer, and no revocation is lifted or moved to a later time.
    ///
    /// # Errors
    /// [`Error::RootChanged`]; [`Error::RootRegression`].
    pub fn check_kept_by(&self, newer: &Self) -> Result<(), Error> {
        if newer.name != self.name {
            return Err(Error::RootChanged { field: "name" });
        }
        if newer.issued_at_unix_ms < self.issued_at_unix_ms {
            return Err(Error::RootChanged { field: "issued_at_unix_ms" });
        }
        let lost = self
            .keys
            .iter()
            .find(|(key_id, record)| !newer.get(key_id).is_some_and(|newer| record.may_become(newer)));
        lost.map_or(Ok(()), |(key_id, _)| Err(Error::RootRegression { key_id: *key_id }))
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        check_texts(PART, &[("name", Some(&self.name))])?;
        check_version(self.version)?;
        check_count(self.keys.len() as u64)?;
        self.keys().try_for_each(KeyRecord::check)?;
        let mut w = Writer::default();
        let mut fields = FieldWriter::open(&mut w, ENTRIES);
        fields.next().uint(TRUST_ROOT_FORMAT);
        fields.next().uint(self.version);
        fields.next().uint(self.issued_at_unix_ms);
        fields.next().text(&self.name);
        write_root_key(fields.next(), &self.root_key);
        match &self.previous_root_key {
            Some(key) => write_root_key(fields.next(), key),
            None => {
                fields.next().null();
            }
        }
        let w = fields.next().array(self.keys.len());
        self.keys().for_each(|record| record.write(w));
        Ok(w.finish())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = fields::payload(PART, bytes)?;
        let mut r = Fields::open(PART, "trust-root", &mut reader)?;
        let version = r.next("format", Reader::uint)?;
        if version != TRUST_ROOT_FORMAT {
            return Err(Error::UnknownVersion { part: PART, version });
        }
        r.expect("trust-root", ENTRIES)?;
        let version = r.next("version", Reader::uint)?;
        check_version(version)?;
        let issued_at_unix_ms = r.next("issued_at_unix_ms", Reader::uint)?;
        let name = r.next("name", text)?;
        let root_key = read_root_key(r.nested("root_key")?)?;
        let reader = r.nested("previous_root_key")?;
        let previous_root_key = if reader.skip_null() { None } else { Some(read_root_key(reader)?) };
        let keys = read_keys(r.nested("keys")?)?;
        Ok(Self { version, issued_at_unix_ms, name, root_key, previous_root_key, keys })
    }
}

fn write_root_key(w: &mut Writer, key: &slhdsa::VerifyingKey) {
    let algorithm = Algorithm::SlhDsa(key.parameter_set());
    w.array(2).int(algorithm.cose_number()).bytes(key.as_bytes());
}

fn read_root_key(r: &mut Reader<'_>) -> Result<slhdsa::VerifyingKey, Error> {
    r.array().and_then(|n| crate::cose::length(2, n)).map_err(|problem| field("root_key", problem))?;
    let number = r.int().map_err(|problem| field("root_key", problem))?;
    let algorithm = Algorithm::from_cose_number(PART, number)?;
    match record::public_key(algorithm, r).map_err(|problem| field("root_key", problem))? {
        PublicKey::SlhDsa(key) => Ok(key),
        PublicKey::MlDsa65(_) => Err(Error::UnknownAlgorithm { part: PART, algorithm: number }),
    }
}

fn read_keys(r: &mut Reader<'_>) -> Result<BTreeMap<KeyId, KeyRecord>, Error> {
    let count = r.array().map_err(|problem| field("keys", problem))?;
    check_count(count)?;
    let mut keys = BTreeMap::new();
    for _ in 0..count {
        let record = KeyRecord::read(r)?;
        let key_id = record.key_id();
        if keys.last_key_value().is_some_and(|(last, _)| *last >= key_id) {
            return Err(field("keys", FieldProblem::Unordered));
        }
        keys.insert(key_id, record);
    }
    Ok(keys)
}

/// Versions begin with 1.
fn check_version(version: u64) -> Result<(), Error> {
    if version == 0 { Err(field("version", FieldProblem::UnknownValue)) } else { Ok(()) }
}

fn check_count(count: u64) -> Result<(), Error> {
    let max = MAX_ROOT_KEYS as u64;
    if count <= max { Ok(()) } else { Err(field("keys", FieldProblem::OutOfRange { max, actual: count })) }
}

fn field(field: &'static str, problem: FieldProblem) -> Error {
    Error::Field { part: PART, field, problem }
}

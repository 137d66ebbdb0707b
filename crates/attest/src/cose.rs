//! COSE structures (RFC 9052) that every signed object here is made of.

use crate::algorithm::{KEY_ID_BYTES, KeyId, PublicKey, Signer};
use crate::cbor::{self, Reader, Writer};
use crate::error::{Error, FieldProblem, HeaderLabel, Part};

const TAG_COSE_SIGN1: u64 = 18;
/// The tag of `COSE_Sign1` as it is encoded.
pub(crate) const FIRST_BYTE: u8 = 0xd2;
pub(crate) const LABEL_ALG: i64 = 1;
pub(crate) const LABEL_CRIT: i64 = 2;
pub(crate) const LABEL_KID: i64 = 4;
pub(crate) const LABEL_TYP: i64 = 16;

/// What the protected header of every signature begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signature {
    /// COSE number of the algorithm.
    pub(crate) algorithm: i64,
    /// The signing key.
    pub(crate) key_id: KeyId,
}

impl Signature {
    /// Checks that the algorithm of the header is that of the key.
    pub(crate) fn check_algorithm(&self, part: Part, key: &PublicKey) -> Result<(), Error> {
        if self.algorithm == key.algorithm().cose_number() {
            return Ok(());
        }
        Err(Error::AlgorithmMismatch { part, key_id: self.key_id, claimed: self.algorithm })
    }
}

/// What the rest of a protected header must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderForm {
    /// Where errors lie.
    pub(crate) part: Part,
    /// `typ`: what is signed here, and nothing else.
    pub(crate) typ: &'static str,
    /// The labels that `crit` must have, in their order.
    pub(crate) critical: &'static [i64],
    /// Entries after `typ`.
    pub(crate) more: usize,
}

impl HeaderForm {
    /// A header of `alg`, `kid` and `typ`.
    pub(crate) const fn plain(part: Part, typ: &'static str) -> Self {
        Self { part, typ, critical: &[], more: 0 }
    }

    /// Writes the header up to `typ`.
    pub(crate) fn write(&self, key: &PublicKey) -> Writer {
        let mut w = Writer::default();
        w.map(self.entries());
        w.int(LABEL_ALG).int(key.algorithm().cose_number());
        if !self.critical.is_empty() {
            w.int(LABEL_CRIT).array(self.critical.len());
            for label in self.critical {
                w.int(*label);
            }
        }
        w.int(LABEL_KID).bytes(&key.key_id());
        w.int(LABEL_TYP).text(self.typ);
        w
    }

    /// Reads a header up to `typ`: the reader stands at the entries after it.
    pub(crate) fn read<'a>(&self, bytes: &'a [u8]) -> Result<(Signature, Reader<'a>), Error> {
        cbor::check(self.part, bytes)?;
        let at = |field| self.at(field);
        let mut r = Reader::new(bytes);
        let entries = r.map().map_err(at("protected"))?;
        label(&mut r, LABEL_ALG).map_err(at("alg"))?;
        let algorithm = r.int().map_err(at("alg"))?;
        if r.next_is_int(LABEL_CRIT) {
            self.read_critical(&mut r)?;
        } else if !self.critical.is_empty() {
            return Err(at("crit")(FieldProblem::Missing));
        }
        length(self.entries(), entries).map_err(at("protected"))?;
        let key_id = label(&mut r, LABEL_KID).and_then(|()| r.bytes_exact::<KEY_ID_BYTES>());
        let key_id = key_id.map_err(at("kid"))?;
        label(&mut r, LABEL_TYP).and_then(|()| known(r.text()? == self.typ)).map_err(at("typ"))?;
        Ok((Signature { algorithm, key_id }, r))
    }

    fn entries(&self) -> usize {
        3 + usize::from(!self.critical.is_empty()) + self.more
    }

    /// `crit`, the labels of which a reader must understand.
    fn read_critical(&self, r: &mut Reader<'_>) -> Result<(), Error> {
        let at = self.at("crit");
        label(r, LABEL_CRIT).map_err(&at)?;
        let labels = r.array().map_err(&at)?;
        let mut found = Vec::new();
        for _ in 0..labels {
            let label =
                if r.skip_text() { HeaderLabel::Text } else { HeaderLabel::Int(r.int().map_err(&at)?) };
            if !matches!(label, HeaderLabel::Int(number) if self.critical.contains(&number)) {
                return Err(Error::UnknownCriticalHeader { part: self.part, label });
            }
            found.push(label);
        }
        let expected = self.critical.iter().map(|number| HeaderLabel::Int(*number));
        if expected.eq(found.iter().copied()) { Ok(()) } else { Err(at(FieldProblem::UnknownValue)) }
    }

    fn at(&self, field: &'static str) -> impl Fn(FieldProblem) -> Error + use<> {
        let part = self.part;
        move |problem| Error::Field { part, field, problem }
    }
}

/// The items of a `COSE_Sign1` structure.
pub(crate) struct Sign1<'a, U> {
    pub(crate) protected: &'a [u8],
    pub(crate) unprotected: U,
    /// `None` if it is detached.
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) signature: &'a [u8],
}

impl<'a, U> Sign1<'a, U> {
    /// Takes the structure apart; `unprotected` reads the unprotected header.
    pub(crate) fn parse(
        part: Part,
        max_bytes: usize,
        bytes: &'a [u8],
        unprotected: impl FnOnce(&mut Reader<'a>) -> Result<U, Error>,
    ) -> Result<Self, Error> {
        check_size(part, max_bytes, bytes)?;
        cbor::check(part, bytes)?;
        let at = |field| move |problem| Error::Field { part, field, problem };
        let mut r = Reader::new(bytes);
        r.tag().and_then(|n| known(n == TAG_COSE_SIGN1)).map_err(at("tag"))?;
        r.array().and_then(|n| length(4, n)).map_err(at("COSE_Sign1"))?;
        let protected = r.bytes().map_err(at("protected"))?;
        let unprotected = unprotected(&mut r)?;
        let payload = if r.skip_null() { None } else { Some(r.bytes().map_err(at("payload"))?) };
        let signature = r.bytes().map_err(at("signature"))?;
        Ok(Self { protected, unprotected, payload, signature })
    }

    /// The payload, which must be there.
    pub(crate) fn attached(&self, part: Part) -> Result<&'a [u8], Error> {
        self.payload.ok_or(Error::Field { part, field: "payload", problem: FieldProblem::WrongType })
    }
}

/// The `typ` of what may be a `COSE_Sign1` structure.
pub(crate) fn content_type(bytes: &[u8]) -> Option<&str> {
    let mut r = Reader::new(bytes);
    if r.tag().ok()? != TAG_COSE_SIGN1 {
        return None;
    }
    r.array().ok()?;
    let mut r = Reader::new(r.bytes().ok()?);
    for _ in 0..r.map().ok()? {
        if r.next_is_int(LABEL_TYP) {
            r.int().ok()?;
            return r.text().ok();
        }
        r.skip_item()?;
        r.skip_item()?;
    }
    None
}

/// Reads an empty unprotected header.
pub(crate) fn no_unprotected(part: Part) -> impl Fn(&mut Reader<'_>) -> Result<(), Error> {
    move |r| {
        r.map().and_then(|n| length(0, n)).map_err(|problem| Error::Field {
            part,
            field: "unprotected",
            problem,
        })
    }
}

/// Writes a tagged `COSE_Sign1` structure; `unprotected` is an encoded map.
pub(crate) fn write_sign1(
    protected: &[u8],
    unprotected: &[u8],
    payload: Option<&[u8]>,
    signature: &[u8],
) -> Vec<u8> {
    let mut w = Writer::default();
    w.tag(TAG_COSE_SIGN1).array(4).bytes(protected).encoded(unprotected);
    match payload {
        Some(payload) => w.bytes(payload),
        None => w.null(),
    };
    w.bytes(signature).finish()
}

/// Signs a payload under a header of `alg`, `kid` and `typ` and an empty unprotected header.
pub(crate) fn sign1<K: Signer + ?Sized>(
    form: &HeaderForm,
    payload: &[u8],
    key: &K,
) -> Result<Vec<u8>, Error> {
    let protected = form.write(&key.public_key()).finish();
    let signature = key.sign_message(&sig_structure(&protected, payload)).map_err(Error::Signing)?;
    Ok(write_sign1(&protected, &EMPTY_MAP, Some(payload), &signature))
}

/// An encoded map without entries.
pub(crate) const EMPTY_MAP: [u8; 1] = [0xa0];

/// `Sig_structure` of RFC 9052 section 4.4 for `COSE_Sign1` with empty external data: the bytes that are signed.
pub(crate) fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut w = Writer::default();
    w.array(4).text("Signature1").bytes(protected).bytes(&[]).bytes(payload);
    w.finish()
}

pub(crate) fn check_size(part: Part, max_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() <= max_bytes {
        return Ok(());
    }
    Err(Error::TooLarge { part, actual_bytes: bytes.len(), max_bytes })
}

pub(crate) fn label(reader: &mut Reader<'_>, expected: i64) -> Result<(), FieldProblem> {
    if reader.int() == Ok(expected) { Ok(()) } else { Err(FieldProblem::Missing) }
}

pub(crate) fn known(is_known: bool) -> Result<(), FieldProblem> {
    if is_known { Ok(()) } else { Err(FieldProblem::UnknownValue) }
}

/// Whether an array or a map has the expected number of items.
pub(crate) fn length(expected: usize, actual: u64) -> Result<(), FieldProblem> {
    if actual == expected as u64 {
        return Ok(());
    }
    Err(FieldProblem::WrongLength { expected, actual: actual as usize })
}

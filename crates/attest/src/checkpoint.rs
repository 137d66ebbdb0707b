//! The checkpoint: what a log was at a time, signed by the log, and by others if they like.

use crate::algorithm::{Algorithm, KeyId, PublicKey, Signer};
use crate::cbor::{Reader, Writer};
use crate::cose::{
    EMPTY_MAP, HeaderForm, Sign1, Signature, check_size, known, label, length, no_unprotected, sig_structure,
    write_sign1,
};
use crate::error::{Error, FieldProblem, Part};
use crate::log::{Hash, MAX_LOG_SIZE};

/// Version of the checkpoint, the first item of its tree head.
pub const CHECKPOINT_VERSION: u64 = 1;

/// Largest checkpoint or receipt: room for the largest SLH-DSA signature and some co-signatures.
pub const MAX_CHECKPOINT_BYTES: usize = 256 * 1024;

/// Largest checkpoint that a log publishes. A receipt is a checkpoint with a proof, and has its limit.
pub const MAX_PUBLISHED_CHECKPOINT_BYTES: usize = MAX_CHECKPOINT_BYTES - MAX_PROOF_BYTES;

/// More than the proof takes up in a receipt.
const MAX_PROOF_BYTES: usize = 8 * 1024;

/// Most co-signatures of one checkpoint.
pub const MAX_COSIGNATURES: usize = 16;

/// The `typ` of the protected header of checkpoints and receipts.
pub const CHECKPOINT_CONTENT_TYPE: &str = "application/vnd.tyto.checkpoint+cbor";

/// The `typ` of the protected header of co-signatures.
pub const COSIGNATURE_CONTENT_TYPE: &str = "application/vnd.tyto.cosignature+cbor";

/// Verifiable data structure (RFC 9942 section 4.1) of private use: the tree of RFC 9162 with SHA3-256 and the
/// prefixes of this crate.
pub const VDS_RFC9162_SHA3_256: i64 = -70_100;

/// Header parameter of private use that holds the tree head.
pub const LABEL_TREE_HEAD: i64 = -70_101;

/// Header parameter of private use that holds the time of a co-signature, in milliseconds.
pub const LABEL_COSIGNED_AT: i64 = -70_102;

const LABEL_VDS: i64 = 395;
/// Version 2 of COSE countersignatures (RFC 9338).
pub(crate) const LABEL_COUNTERSIGNATURES: i64 = 11;
const DOMAIN_LOG_ID: &[u8] = b"tyto/v1/log";

const HEADER: HeaderForm = HeaderForm {
    part: Part::Checkpoint,
    typ: CHECKPOINT_CONTENT_TYPE,
    critical: &[LABEL_TREE_HEAD],
    more: 2,
};
const COSIGNATURE_HEADER: HeaderForm = HeaderForm {
    part: Part::Cosignature,
    typ: COSIGNATURE_CONTENT_TYPE,
    critical: &[LABEL_COSIGNED_AT],
    more: 1,
};

/// The id of a log: SHA3-256 of a domain string, the log's origin (its name, at most 255 bytes) with its length
/// before it, and the id of the first key that signed its checkpoints.
pub fn log_id(origin: &str, first_key: &KeyId) -> Result<[u8; 32], Error> {
    let too_long = FieldProblem::TooLong { max_bytes: 255, actual_bytes: origin.len() };
    let length = u8::try_from(origin.len()).map_err(|_| field("origin", too_long))?;
    Ok(tyto_pqc::digest::sha3_256(&[DOMAIN_LOG_ID, &[length], origin.as_bytes(), first_key]))
}

/// What a checkpoint says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// The log.
    pub log_id: [u8; 32],
    /// Entries of the log.
    pub size: u64,
    /// Root of its tree.
    pub root: Hash,
    /// When it was signed, by the log's clock. No entry is younger.
    pub time_unix_ms: u64,
}

impl TreeHead {
    fn write(&self, w: &mut Writer) {
        w.array(5).uint(CHECKPOINT_VERSION).bytes(&self.log_id).uint(self.size);
        w.bytes(&self.root).uint(self.time_unix_ms);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let items = r.array().map_err(at("tree-head"))?;
        let version = r.uint().map_err(at("version"))?;
        if version != CHECKPOINT_VERSION {
            return Err(Error::UnknownVersion { part: Part::Checkpoint, version });
        }
        length(5, items).map_err(at("tree-head"))?;
        let log_id = r.bytes_exact().map_err(at("log_id"))?;
        let size = r.uint().map_err(at("size"))?;
        if size > MAX_LOG_SIZE {
            return Err(field("size", FieldProblem::OutOfRange { max: MAX_LOG_SIZE, actual: size }));
        }
        let root = r.bytes_exact().map_err(at("root"))?;
        Ok(Self { log_id, size, root, time_unix_ms: r.uint().map_err(at("time_unix_ms"))? })
    }
}

/// A signed tree head with its co-signatures. Reading one verifies nothing: that is for [`crate::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    head: TreeHead,
    signed: Signature,
    protected: Vec<u8>,
    signature: Vec<u8>,
    cosignatures: Vec<Cosignature>,
}

/// The signature of a witness over a checkpoint and the log's own signature of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    signed: Signature,
    time_unix_ms: u64,
    protected: Vec<u8>,
    signature: Vec<u8>,
}

impl Checkpoint {
    /// Signs a tree head.
    ///
    /// # Errors
    /// [`Error::Signing`].
    ///
    /// # Security
    /// Whoever signs must know that the tree extends every tree that was ever signed for this log.
    pub fn sign(head: TreeHead, key: &tyto_pqc::slhdsa::SigningKey) -> Result<Self, Error> {
        let public = key.public_key();
        let mut w = HEADER.write(&public);
        w.int(LABEL_VDS).int(VDS_RFC9162_SHA3_256).int(LABEL_TREE_HEAD);
        head.write(&mut w);
        let protected = w.finish();
        let signature = key.sign_message(&sig_structure(&protected, &head.root)).map_err(Error::Signing)?;
        let signed = Signature { algorithm: public.algorithm().cose_number(), key_id: public.key_id() };
        Ok(Self { head, signed, protected, signature, cosignatures: Vec::new() })
    }

    /// The tagged `COSE_Sign1` structure, with the root as its payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut unprotected = Writer::default();
        unprotected.map(usize::from(!self.cosignatures.is_empty()));
        self.write_cosignatures(&mut unprotected);
        write_sign1(&self.protected, &unprotected.finish(), Some(&self.head.root), &self.signature)
    }

    /// Reads what [`Checkpoint::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Cbor`], [`Error::TrailingBytes`], [`Error::Field`],
    /// [`Error::UnknownCriticalHeader`] or [`Error::UnknownVersion`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let part = Part::Checkpoint;
        let envelope = Sign1::parse(part, MAX_CHECKPOINT_BYTES, bytes, |r| {
            let entries = r.map().map_err(at("unprotected"))?;
            length(usize::from(entries > 0), entries).map_err(at("unprotected"))?;
            if entries == 0 { Ok(Vec::new()) } else { read_cosignatures(r) }
        })?;
        let root = envelope.attached(part)?;
        let checkpoint = Self::assemble(envelope.protected, envelope.signature, envelope.unprotected)?;
        if checkpoint.head.root == *root {
            return Ok(checkpoint);
        }
        Err(field("payload", FieldProblem::UnknownValue))
    }

    /// From the pieces of a checkpoint or a receipt.
    pub(crate) fn assemble(
        protected: &[u8],
        signature: &[u8],
        cosignatures: Vec<Cosignature>,
    ) -> Result<Self, Error> {
        let (signed, mut r) = HEADER.read(protected)?;
        Algorithm::from_cose_number(Part::Checkpoint, signed.algorithm)?;
        label(&mut r, LABEL_VDS).and_then(|()| known(r.int()? == VDS_RFC9162_SHA3_256)).map_err(at("vds"))?;
        label(&mut r, LABEL_TREE_HEAD).map_err(at("tree-head"))?;
        let head = TreeHead::read(&mut r)?;
        Ok(Self { head, signed, protected: protected.to_vec(), signature: signature.to_vec(), cosignatures })
    }

    /// What it says.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The key that signed it.
    pub fn key_id(&self) -> KeyId {
        self.signed.key_id
    }

    /// COSE number of the algorithm that its header names.
    pub fn algorithm(&self) -> i64 {
        self.signed.algorithm
    }

    /// Its co-signatures.
    pub fn cosignatures(&self) -> &[Cosignature] {
        &self.cosignatures
    }

    /// Adds a co-signature. Nothing of it is verified.
    ///
    /// # Errors
    /// [`Error::Field`] if there are [`MAX_COSIGNATURES`] already; [`Error::TooLarge`] if the checkpoint would be
    /// larger than [`MAX_PUBLISHED_CHECKPOINT_BYTES`]. It is as it was then.
    pub fn add_cosignature(&mut self, cosignature: Cosignature) -> Result<(), Error> {
        if self.cosignatures.len() == MAX_COSIGNATURES {
            return Err(field("countersignatures", TOO_MANY_COSIGNATURES));
        }
        self.cosignatures.push(cosignature);
        let checked = check_size(Part::Checkpoint, MAX_PUBLISHED_CHECKPOINT_BYTES, &self.encode());
        if checked.is_err() {
            self.cosignatures.pop();
        }
        checked
    }

    /// Adds the co-signatures that another copy of this checkpoint has, by keys that have none here yet.
    ///
    /// # Errors
    /// [`Error::InvalidSignature`] if it is no copy: it says something else, or has another signature.
    /// As [`Checkpoint::add_cosignature`]: those that had room are added.
    pub fn join_cosignatures(&mut self, copy: &Self) -> Result<(), Error> {
        if (&self.protected, &self.signature) != (&copy.protected, &copy.signature) {
            return Err(Error::InvalidSignature { part: Part::Checkpoint });
        }
        for cosignature in &copy.cosignatures {
            if self.cosignatures.iter().all(|own| own.key_id() != cosignature.key_id()) {
                self.add_cosignature(cosignature.clone())?;
            }
        }
        Ok(())
    }

    /// Co-signs the checkpoint, as a witness that saw that it extends every other one it co-signed.
    ///
    /// # Errors
    /// [`Error::Signing`].
    pub fn cosign<K: Signer + ?Sized>(&self, time_unix_ms: u64, key: &K) -> Result<Cosignature, Error> {
        let public = key.public_key();
        let mut w = COSIGNATURE_HEADER.write(&public);
        w.int(LABEL_COSIGNED_AT).uint(time_unix_ms);
        let protected = w.finish();
        let signature = key.sign_message(&self.countersign_structure(&protected)).map_err(Error::Signing)?;
        let signed = Signature { algorithm: public.algorithm().cose_number(), key_id: public.key_id() };
        Ok(Cosignature { signed, time_unix_ms, protected, signature })
    }

    /// Checks the log's own signature.
    pub(crate) fn verify_signature(&self, key: &PublicKey) -> Result<(), Error> {
        self.signed.check_algorithm(Part::Checkpoint, key)?;
        key.verify(Part::Checkpoint, &sig_structure(&self.protected, &self.head.root), &self.signature)
    }

    /// Checks a co-signature.
    pub(crate) fn verify_cosignature(&self, cosignature: &Cosignature, key: &PublicKey) -> Result<(), Error> {
        cosignature.signed.check_algorithm(Part::Cosignature, key)?;
        let signed = self.countersign_structure(&cosignature.protected);
        key.verify(Part::Cosignature, &signed, &cosignature.signature)
    }

    pub(crate) fn signed(&self) -> &Signature {
        &self.signed
    }

    pub(crate) fn protected(&self) -> &[u8] {
        &self.protected
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// `Countersign_structure` of RFC 9338 section 3.3.
    fn countersign_structure(&self, sign_protected: &[u8]) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(6).text("CounterSignatureV2").bytes(&self.protected).bytes(sign_protected).bytes(&[]);
        w.bytes(&self.head.root).array(1).bytes(&self.signature);
        w.finish()
    }

    /// The entry of the unprotected header with the co-signatures, if there are any.
    pub(crate) fn write_cosignatures(&self, w: &mut Writer) {
        if self.cosignatures.is_empty() {
            return;
        }
        w.int(LABEL_COUNTERSIGNATURES).array(self.cosignatures.len());
        for cosignature in &self.cosignatures {
            w.array(3).bytes(&cosignature.protected).encoded(&EMPTY_MAP).bytes(&cosignature.signature);
        }
    }
}

impl Cosignature {
    /// The key that signed it.
    pub fn key_id(&self) -> KeyId {
        self.signed.key_id
    }

    /// COSE number of the algorithm that its header names.
    pub fn algorithm(&self) -> i64 {
        self.signed.algorithm
    }

    /// When it was signed, by the witness's clock.
    pub fn time_unix_ms(&self) -> u64 {
        self.time_unix_ms
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let part = Part::Cosignature;
        let at = |field| move |problem| Error::Field { part, field, problem };
        r.array().and_then(|n| length(3, n)).map_err(at("countersignature"))?;
        let protected = r.bytes().map_err(at("protected"))?;
        no_unprotected(part)(r)?;
        let signature = r.bytes().map_err(at("signature"))?;
        let (signed, mut header) = COSIGNATURE_HEADER.read(protected)?;
        let time = label(&mut header, LABEL_COSIGNED_AT).and_then(|()| header.uint());
        let time_unix_ms = time.map_err(at("cosigned-at"))?;
        Ok(Self { signed, time_unix_ms, protected: protected.to_vec(), signature: signature.to_vec() })
    }
}

const TOO_MANY_COSIGNATURES: FieldProblem =
    FieldProblem::OutOfRange { max: MAX_COSIGNATURES as u64, actual: MAX_COSIGNATURES as u64 + 1 };

/// Reads the entry with the co-signatures.
pub(crate) fn read_cosignatures(r: &mut Reader<'_>) -> Result<Vec<Cosignature>, Error> {
    label(r, LABEL_COUNTERSIGNATURES).map_err(at("countersignatures"))?;
    let count = r.array().map_err(at("countersignatures"))?;
    if !(1..=MAX_COSIGNATURES as u64).contains(&count) {
        return Err(field(
            "countersignatures",
            FieldProblem::OutOfRange { max: MAX_COSIGNATURES as u64, actual: count },
        ));
    }
    (0..count).map(|_| Cosignature::read(r)).collect()
}

fn field(field: &'static str, problem: FieldProblem) -> Error {
    Error::Field { part: Part::Checkpoint, field, problem }
}

fn at(name: &'static str) -> impl Fn(FieldProblem) -> Error {
    move |problem| field(name, problem)
}

//! Receipts (RFC 9942): a proof and, with its payload detached, the checkpoint that the proof leads to.

use crate::cbor::{self, Reader, Writer};
use crate::checkpoint::{
    Checkpoint, Cosignature, LABEL_COUNTERSIGNATURES, MAX_CHECKPOINT_BYTES, TreeHead, read_cosignatures,
};
use crate::cose::{Sign1, label, length, write_sign1};
use crate::error::{Error, FieldProblem, Part};
use crate::log::{Hash, LogError, root_from_consistency, root_from_inclusion};

/// `vdp`, the proofs of a receipt (RFC 9942 section 2).
const LABEL_VDP: i64 = 396;
const INCLUSION: i64 = -1;
const CONSISTENCY: i64 = -2;
/// More hashes than the proof of any log has.
const MAX_PROOF_HASHES: u64 = 128;

/// A proof that an entry is in a log. Reading one verifies nothing: that is for [`crate::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    checkpoint: Checkpoint,
    index: u64,
    path: Vec<Hash>,
}

/// A proof that a log was only appended to. Reading one verifies nothing: that is for
/// [`crate::verify_consistency`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyReceipt {
    checkpoint: Checkpoint,
    old_size: u64,
    path: Vec<Hash>,
}

impl Receipt {
    /// The receipt of entry `index`, with the inclusion proof in the tree of the checkpoint.
    pub fn new(checkpoint: Checkpoint, index: u64, path: Vec<Hash>) -> Self {
        Self { checkpoint, index, path }
    }

    /// The tagged `COSE_Sign1` structure.
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.checkpoint, INCLUSION, [self.checkpoint.head().size, self.index], &self.path)
    }

    /// Reads what [`Receipt::encode`] wrote.
    ///
    /// # Errors
    /// As [`Checkpoint::parse`]; [`Error::SizeMismatch`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (checkpoint, [size, index], path) = parse(bytes, INCLUSION)?;
        check_size(size, checkpoint.head())?;
        Ok(Self { checkpoint, index, path })
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Place of the entry in the log.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The hashes of the inclusion proof, from the leaf upwards.
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// Checks that the proof leads from the leaf to the root of the checkpoint.
    pub(crate) fn verify_proof(&self, leaf: &Hash) -> Result<(), Error> {
        let head = self.checkpoint.head();
        let root = root_from_inclusion(leaf, self.index, head.size, &self.path).map_err(proof)?;
        if root == head.root { Ok(()) } else { Err(proof(LogError::WrongRoot)) }
    }
}

impl ConsistencyReceipt {
    /// The receipt that the tree of the checkpoint extends that of the first `old_size` entries.
    pub fn new(checkpoint: Checkpoint, old_size: u64, path: Vec<Hash>) -> Self {
        Self { checkpoint, old_size, path }
    }

    /// The tagged `COSE_Sign1` structure.
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.checkpoint, CONSISTENCY, [self.old_size, self.checkpoint.head().size], &self.path)
    }

    /// Reads what [`ConsistencyReceipt::encode`] wrote.
    ///
    /// # Errors
    /// As [`Checkpoint::parse`]; [`Error::SizeMismatch`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (checkpoint, [old_size, size], path) = parse(bytes, CONSISTENCY)?;
        check_size(size, checkpoint.head())?;
        Ok(Self { checkpoint, old_size, path })
    }

    /// The checkpoint of the later tree.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Entries of the earlier tree.
    pub fn old_size(&self) -> u64 {
        self.old_size
    }

    /// The hashes of the consistency proof.
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// Checks that the later tree extends the earlier one.
    pub(crate) fn verify_proof(&self, old: &TreeHead) -> Result<(), Error> {
        let head = self.checkpoint.head();
        if old.log_id != head.log_id {
            let part = Part::Receipt;
            return Err(Error::OtherLog { part, expected: old.log_id, actual: head.log_id });
        }
        if old.size != self.old_size {
            return Err(Error::SizeMismatch { proof: self.old_size, checkpoint: old.size });
        }
        let root = root_from_consistency(old.size, &old.root, head.size, &self.path).map_err(proof)?;
        if root == head.root { Ok(()) } else { Err(proof(LogError::WrongNewRoot)) }
    }
}

fn encode(checkpoint: &Checkpoint, proof_type: i64, numbers: [u64; 2], path: &[Hash]) -> Vec<u8> {
    let mut proof = Writer::default();
    proof.array(3).uint(numbers[0]).uint(numbers[1]).array(path.len());
    for hash in path {
        proof.bytes(hash);
    }
    let mut unprotected = Writer::default();
    unprotected.map(1 + usize::from(!checkpoint.cosignatures().is_empty()));
    checkpoint.write_cosignatures(&mut unprotected);
    unprotected.int(LABEL_VDP).map(1).int(proof_type).array(1).bytes(&proof.finish());
    write_sign1(checkpoint.protected(), &unprotected.finish(), None, checkpoint.signature())
}

/// The checkpoint, the two numbers and the hashes of a receipt.
fn parse(bytes: &[u8], proof_type: i64) -> Result<(Checkpoint, [u64; 2], Vec<Hash>), Error> {
    let envelope = Sign1::parse(Part::Receipt, MAX_CHECKPOINT_BYTES, bytes, |r| unprotected(r, proof_type))?;
    if envelope.payload.is_some() {
        return Err(at("payload")(FieldProblem::NotNull));
    }
    let (cosignatures, proof) = envelope.unprotected;
    cbor::check(Part::Receipt, proof)?;
    let mut r = Reader::new(proof);
    r.array().and_then(|n| length(3, n)).map_err(at("proof"))?;
    let mut number = |name| r.uint().map_err(at(name));
    let numbers = [number("proof")?, number("proof")?];
    let hashes = r.array().map_err(at("path"))?;
    if hashes > MAX_PROOF_HASHES {
        return Err(at("path")(FieldProblem::OutOfRange { max: MAX_PROOF_HASHES, actual: hashes }));
    }
    let path = (0..hashes).map(|_| r.bytes_exact()).collect::<Result<_, _>>().map_err(at("path"))?;
    let checkpoint = Checkpoint::assemble(envelope.protected, envelope.signature, cosignatures)?;
    Ok((checkpoint, numbers, path))
}

/// Co-signatures, if there are any, and the one proof.
fn unprotected<'a>(r: &mut Reader<'a>, proof_type: i64) -> Result<(Vec<Cosignature>, &'a [u8]), Error> {
    let entries = r.map().map_err(at("unprotected"))?;
    let cosigned = r.next_is_int(LABEL_COUNTERSIGNATURES);
    length(1 + usize::from(cosigned), entries).map_err(at("unprotected"))?;
    let cosignatures = if cosigned { read_cosignatures(r)? } else { Vec::new() };
    label(r, LABEL_VDP).map_err(at("vdp"))?;
    r.map().and_then(|n| length(1, n)).map_err(at("vdp"))?;
    label(r, proof_type).map_err(at("proofs"))?;
    r.array().and_then(|n| length(1, n)).map_err(at("proofs"))?;
    Ok((cosignatures, r.bytes().map_err(at("proof"))?))
}

fn check_size(proof: u64, head: &TreeHead) -> Result<(), Error> {
    if proof == head.size { Ok(()) } else { Err(Error::SizeMismatch { proof, checkpoint: head.size }) }
}

fn proof(problem: LogError) -> Error {
    Error::Proof { part: Part::Receipt, problem }
}

fn at(field: &'static str) -> impl Fn(FieldProblem) -> Error {
    move |problem| Error::Field { part: Part::Receipt, field, problem }
}

//! How the bytes of the cases are made.

use tyto_attest::log::{consistency_proof, inclusion_proof};
use tyto_attest::{
    Bundle, CHECKPOINT_CONTENT_TYPE, Checkpoint, ConsistencyReceipt, Content, Cosignature,
    DECISION_CONTENT_TYPE, LABEL_TREE_HEAD, Purpose, Signer, Statement, TreeHead, TrustRoot,
    VDS_RFC9162_SHA3_256, sign,
};
use tyto_pqc::slhdsa::SigningKey;

use super::trust_root;
use crate::world::{self, COSIGNED_AT, INDEX, ISSUED_AT, SIZE, log_key, root_key, witness_key};
use crate::{raw, sample};

pub(super) fn default_bundle() -> Vec<u8> {
    encoded(&world::bundle())
}

pub(super) fn encoded(bundle: &Bundle) -> Vec<u8> {
    bundle.encode().unwrap()
}

pub(super) fn decided() -> Vec<u8> {
    encoded(&world::decided(world::bundle(), |_| {}))
}

pub(super) fn receipt_only() -> Vec<u8> {
    encoded(&world::receipt_only(&world::statement()))
}

/// The default bundle with a co-signature by this key, of this time.
pub(super) fn cosigned_at(time_unix_ms: u64, key: &dyn Signer) -> Vec<u8> {
    cosigned_with(|checkpoint| checkpoint.cosign(time_unix_ms, key).unwrap())
}

pub(super) fn cosigned_with(cosign: impl FnOnce(&Checkpoint) -> Cosignature) -> Vec<u8> {
    let attestation = world::attestation();
    let mut checkpoint = Checkpoint::sign(world::head(&attestation, SIZE), log_key()).unwrap();
    checkpoint.add_cosignature(cosign(&checkpoint)).unwrap();
    let path = inclusion_proof(&world::log(&attestation).0, INDEX, SIZE).unwrap();
    let receipt = tyto_attest::Receipt::new(checkpoint, INDEX, path).encode();
    let keys = vec![world::signer_entry(), world::log_entry()];
    let content = Content::Attestation(attestation);
    encoded(&Bundle { content, receipt: Some(receipt), keys, decision: None })
}

pub(super) fn cosigned() -> Vec<u8> {
    cosigned_at(COSIGNED_AT, witness_key())
}

/// The bundle with a co-signature of which some bytes are replaced.
pub(super) fn cosigned_altered(key: &dyn Signer, needle: &[u8], replacement: &[u8]) -> Vec<u8> {
    spliced(cosigned_at(COSIGNED_AT, key), needle, replacement)
}

/// The entries of a decision that is a match about nobody.
pub(super) fn decision_without_subject(bundle: &mut Bundle) {
    let decision = world::decision(bundle.content.leaf_hash());
    let key = world::decision_key();
    let header = raw::map(&[
        (raw::uint(1), raw::negative(-49)),
        (raw::uint(4), raw::bytes(&key.verifying_key().key_id())),
        (raw::uint(16), raw::text(DECISION_CONTENT_TYPE)),
    ]);
    let payload = raw::map(&[
        (raw::uint(1), raw::uint(1)),
        (raw::uint(2), raw::text(&decision.tenant)),
        (raw::uint(3), raw::text(&decision.audience)),
        (raw::uint(4), raw::uint(decision.decided_at_unix_ms)),
        (raw::uint(5), raw::null()),
        (raw::uint(6), raw::text("match")),
        (raw::uint(7), raw::negative(decision.threshold)),
        (raw::uint(8), raw::bytes(&decision.attestation_digest)),
    ]);
    let signature = key.sign(&sample::to_sign(&header, &payload)).unwrap();
    let empty = raw::map(&[]);
    bundle.decision =
        Some(sample::envelope(&raw::bytes(&header), &empty, &raw::bytes(&payload), &raw::bytes(&signature)));
    bundle.keys.push(world::entry(&key, Purpose::Decision));
}

pub(super) fn without_receipt() -> Bundle {
    let content = Content::Attestation(world::attestation());
    Bundle { content, receipt: None, keys: vec![world::signer_entry()], decision: None }
}

/// A bundle of a statement that was changed before it was signed.
pub(super) fn stated(change: impl FnOnce(&mut Statement)) -> Vec<u8> {
    let mut statement = world::statement();
    change(&mut statement);
    encoded(&world::bundle_of(sign(&statement, &sample::signing_key()).unwrap()))
}

/// The default bundle with something changed afterwards.
pub(super) fn altered(change: impl FnOnce(&mut Bundle)) -> Vec<u8> {
    let mut bundle = world::bundle();
    change(&mut bundle);
    encoded(&bundle)
}

pub(super) fn flip(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1;
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// The pieces of a receipt, each an encoded item, before it is signed.
pub(super) struct RawReceipt {
    pub(super) protected: Entries,
    pub(super) unprotected: Entries,
    pub(super) payload: Vec<u8>,
    pub(super) proof: Vec<Vec<u8>>,
    pub(super) path: Vec<[u8; 32]>,
    pub(super) root: [u8; 32],
    pub(super) key: &'static SigningKey,
}

pub(super) const ALG: usize = 0;
pub(super) const CRIT: usize = 1;
pub(super) const KID: usize = 2;
pub(super) const TYP: usize = 3;
pub(super) const VDS: usize = 4;
pub(super) const HEAD: usize = 5;

pub(super) fn raw_head(head: &TreeHead, version: u64) -> Vec<u8> {
    raw::array(&[
        raw::uint(version),
        raw::bytes(&head.log_id),
        raw::uint(head.size),
        raw::bytes(&head.root),
        raw::uint(head.time_unix_ms),
    ])
}

impl RawReceipt {
    fn of(entry: &[u8]) -> Self {
        let head = world::head(entry, SIZE);
        let path = inclusion_proof(&world::log(entry).0, INDEX, SIZE).unwrap();
        let protected = vec![
            (raw::uint(1), raw::negative(-70_026)),
            (raw::uint(2), raw::array(&[raw::negative(LABEL_TREE_HEAD)])),
            (raw::uint(4), raw::bytes(&log_key().verifying_key().key_id())),
            (raw::uint(16), raw::text(CHECKPOINT_CONTENT_TYPE)),
            (raw::uint(395), raw::negative(VDS_RFC9162_SHA3_256)),
            (raw::negative(LABEL_TREE_HEAD), raw_head(&head, 1)),
        ];
        Self {
            protected,
            unprotected: Vec::new(),
            payload: raw::null(),
            proof: vec![raw::uint(SIZE), raw::uint(INDEX)],
            path,
            root: head.root,
            key: log_key(),
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let path: Vec<_> = self.path.iter().map(|hash| raw::bytes(hash)).collect();
        self.proof.push(raw::array(&path));
        let proofs = raw::array(&[raw::bytes(&raw::array(&self.proof))]);
        self.unprotected.push((raw::uint(396), raw::map(&[(raw::negative(-1), proofs)])));
        let protected = raw::map(&self.protected);
        let signature = self.key.sign(&sample::to_sign(&protected, &self.root), &[]).unwrap();
        sample::envelope(
            &raw::bytes(&protected),
            &raw::map(&self.unprotected),
            &self.payload,
            &raw::bytes(&signature),
        )
    }
}

/// The default bundle around a receipt that was changed before it was signed.
pub(super) fn raw_receipt(change: impl FnOnce(&mut RawReceipt)) -> Vec<u8> {
    let attestation = world::attestation();
    let mut receipt = RawReceipt::of(&attestation);
    change(&mut receipt);
    let receipt = Some(receipt.finish());
    let keys = vec![world::signer_entry(), world::log_entry()];
    encoded(&Bundle { content: Content::Attestation(attestation), receipt, keys, decision: None })
}

/// The same with another tree head.
pub(super) fn raw_headed(change: impl Fn(&mut TreeHead)) -> Vec<u8> {
    let attestation = world::attestation();
    let mut head = world::head(&attestation, SIZE);
    change(&mut head);
    let mut receipt = RawReceipt::of(&attestation);
    receipt.protected[HEAD].1 = raw_head(&head, 1);
    receipt.root = head.root;
    let keys = vec![world::signer_entry(), world::log_entry()];
    let content = Content::Attestation(attestation);
    encoded(&Bundle { content, receipt: Some(receipt.finish()), keys, decision: None })
}

pub(super) fn consistency(old_size: u64, change: impl FnOnce(&mut Vec<[u8; 32]>)) -> Vec<u8> {
    let (tiles, _) = world::log(b"the entry");
    let checkpoint = Checkpoint::sign(world::head(b"the entry", SIZE), log_key()).unwrap();
    let mut path = consistency_proof(&tiles, old_size, SIZE).unwrap();
    change(&mut path);
    ConsistencyReceipt::new(checkpoint, old_size, path).encode()
}

/// A receipt of consistency from the empty tree, with one hash.
pub(super) fn consistency_from_nothing() -> Vec<u8> {
    let checkpoint = Checkpoint::sign(world::head(b"the entry", SIZE), log_key()).unwrap();
    ConsistencyReceipt::new(checkpoint, 0, vec![[0; 32]]).encode()
}

/// A later version of the trust root, of which something is changed.
pub(super) fn newer_root(change: impl FnOnce(&mut TrustRoot)) -> Vec<u8> {
    newer_root_of("signer-revoked-after-checkpoint", change)
}

pub(super) fn newer_root_of(name: &str, change: impl FnOnce(&mut TrustRoot)) -> Vec<u8> {
    let mut roots = trust_root(name).next_version(ISSUED_AT);
    change(&mut roots);
    roots.sign(root_key(), None).unwrap()
}

pub(super) fn spliced(mut bytes: Vec<u8>, needle: &[u8], replacement: &[u8]) -> Vec<u8> {
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes.splice(at..at + needle.len(), replacement.iter().copied());
    bytes
}

//! Keys, a log and trust roots from which evidence is made. All keys are public: for tests and vectors only.

use std::sync::OnceLock;

use tyto_attest::log::{Hash, Sequencer, TileSet, inclusion_proof};
use tyto_attest::{
    Bundle, Checkpoint, Content, Decision, KeyEntry, KeyRecord, LogState, Outcome, PreviousCheckpoint,
    Purpose, Receipt, Signer, Statement, TreeHead, TrustRoot, sign,
};
use tyto_pqc::slhdsa::{ParameterSet, SigningKey};
use tyto_pqc::{mldsa, slhdsa};

use crate::sample;

/// When statements are issued, checkpoints signed, decisions made.
pub(crate) const ISSUED_AT: u64 = sample::ISSUED_AT;
pub(crate) const CHECKPOINT_AT: u64 = ISSUED_AT + 1_000;
pub(crate) const DECIDED_AT: u64 = ISSUED_AT + 2_000;
pub(crate) const COSIGNED_AT: u64 = ISSUED_AT + 3_000;
/// When the verifier looks, unless a case says otherwise.
pub(crate) const NOW: u64 = ISSUED_AT + 1_000_000;
const DAY: u64 = 24 * 3600 * 1000;

/// Whose decisions the key for decisions signs.
pub(crate) const TENANT: &str = "tenant.example";

/// Place of the evidence in the log, and size of the log.
pub(crate) const INDEX: u64 = 5;
pub(crate) const SIZE: u64 = 11;

/// An SLH-DSA key with the seeds `first, first + 1, ...`; `root` is what FIPS 205 algorithm 18 makes of them.
fn slh_dsa_key(set: ParameterSet, first: u8, root: &str) -> SigningKey {
    let digit = |i: usize| u8::from_str_radix(&root[i..i + 2], 16).unwrap();
    let seeds = (0..3 * set.public_key_bytes() / 2).map(|i| first + i as u8);
    let bytes: Vec<u8> = seeds.chain((0..root.len()).step_by(2).map(digit)).collect();
    SigningKey::from_bytes(set, &bytes).unwrap()
}

macro_rules! key {
    ($name:ident, $set:ident, $first:expr, $root:expr) => {
        pub(crate) fn $name() -> &'static SigningKey {
            static KEY: OnceLock<SigningKey> = OnceLock::new();
            KEY.get_or_init(|| slh_dsa_key(ParameterSet::$set, $first, $root))
        }
    };
}

key!(log_key, Shake128s, 0x40, "94bd67e8340a647cf8e802d2dd1cb1d6");
key!(root_key, Shake128s, 0x80, "90704a6b257f06dd7842ab25a0dd5a3a");
key!(new_root_key, Shake128s, 0xa0, "148be43638d4f4a3b9eaef0aa23ad516");
key!(unknown_log_key, Shake128s, 0xc0, "2cb21fd2322514e359e6e3f139aa6c35");
key!(witness_key, Shake128f, 0x60, "c43511f9965356567690da7dd5d978ee");

/// The tenant's key.
pub(crate) fn decision_key() -> mldsa::SigningKey {
    sample::key_with_seed([0xd1; 32])
}

pub(crate) fn log_id() -> [u8; 32] {
    tyto_attest::log_id("tyto.example/log", &log_key().verifying_key().key_id()).unwrap()
}

pub(crate) fn record<K: Signer>(key: &K, purpose: Purpose) -> KeyRecord {
    KeyRecord {
        key: key.public_key(),
        purpose,
        log_id: (purpose == Purpose::Log).then(log_id),
        name: if purpose == Purpose::Decision { TENANT.into() } else { format!("{purpose} key") },
        valid_from_unix_ms: ISSUED_AT - DAY,
        valid_until_unix_ms: Some(ISSUED_AT + 365 * DAY),
        revocation: None,
    }
}

/// Version 1 of the trust root, with a key of each purpose.
pub(crate) fn roots() -> TrustRoot {
    let mut roots =
        TrustRoot::new("tyto.example".into(), ISSUED_AT - DAY, root_key().verifying_key().clone());
    roots.insert(record(&sample::signing_key(), Purpose::Attestation));
    roots.insert(record(log_key(), Purpose::Log));
    roots.insert(record(witness_key(), Purpose::Witness));
    roots.insert(record(&decision_key(), Purpose::Decision));
    roots
}

/// The same with the record of one key changed.
pub(crate) fn roots_with<K: Signer>(key: &K, change: impl FnOnce(&mut KeyRecord)) -> TrustRoot {
    let mut roots = roots();
    let mut record = roots.get(&key.public_key().key_id()).unwrap().clone();
    change(&mut record);
    roots.insert(record);
    roots
}

/// The statement of [`sample`], in the log of these tests.
pub(crate) fn statement() -> Statement {
    let previous = PreviousCheckpoint { size: 3, root: log(&[]).1[2] };
    Statement {
        log: Some(LogState { log_id: log_id(), previous_checkpoint: Some(previous) }),
        ..sample::statement()
    }
}

/// The entries of the log but for the one under test.
fn other_entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// A log with `entry` at its place: all tiles, and the root at each size from 1 on.
pub(crate) fn log(entry: &[u8]) -> (TileSet, Vec<Hash>) {
    let mut sequencer = Sequencer::new();
    let (mut tiles, mut roots) = (TileSet::new(), Vec::new());
    for index in 0..SIZE {
        let entry = if index == INDEX { entry.to_vec() } else { other_entry(index) };
        let appended = sequencer.append(&[entry]).unwrap();
        tiles.extend(appended.tiles);
        roots.push(appended.root);
    }
    (tiles, roots)
}

/// The head of the log at a size, with `entry` at its place.
pub(crate) fn head(entry: &[u8], size: u64) -> TreeHead {
    TreeHead { log_id: log_id(), size, root: log(entry).1[size as usize - 1], time_unix_ms: CHECKPOINT_AT }
}

pub(crate) fn receipt_with(head: TreeHead, key: &SigningKey, entry: &[u8]) -> Receipt {
    let checkpoint = Checkpoint::sign(head, key).unwrap();
    Receipt::new(checkpoint, INDEX, inclusion_proof(&log(entry).0, INDEX, SIZE).unwrap())
}

pub(crate) fn receipt(entry: &[u8]) -> Receipt {
    receipt_with(head(entry, SIZE), log_key(), entry)
}

pub(crate) fn attestation() -> Vec<u8> {
    sign(&statement(), &sample::signing_key()).unwrap()
}

pub(crate) fn entry<K: Signer>(key: &K, purpose: Purpose) -> KeyEntry {
    KeyEntry { purpose, key: key.public_key() }
}

pub(crate) fn signer_entry() -> KeyEntry {
    entry(&sample::signing_key(), Purpose::Attestation)
}

pub(crate) fn log_entry() -> KeyEntry {
    entry(log_key(), Purpose::Log)
}

/// An attestation and its receipt: the default.
pub(crate) fn bundle() -> Bundle {
    bundle_of(attestation())
}

pub(crate) fn bundle_of(attestation: Vec<u8>) -> Bundle {
    Bundle {
        receipt: Some(receipt(&attestation).encode()),
        content: Content::Attestation(attestation),
        keys: vec![signer_entry(), log_entry()],
        decision: None,
    }
}

/// A statement that only the log vouches for.
pub(crate) fn receipt_only(statement: &Statement) -> Bundle {
    let content = statement.encode().unwrap();
    Bundle {
        receipt: Some(receipt(&content).encode()),
        content: Content::Statement(content),
        keys: vec![log_entry()],
        decision: None,
    }
}

pub(crate) fn decision(attestation_digest: Hash) -> Decision {
    Decision {
        tenant: TENANT.into(),
        audience: "border-control.example".into(),
        decided_at_unix_ms: DECIDED_AT,
        subject: Some([0x5b; 16]),
        outcome: Outcome::Match,
        threshold: -412,
        attestation_digest,
    }
}

/// Adds a decision to a bundle.
pub(crate) fn decided(mut bundle: Bundle, change: impl FnOnce(&mut Decision)) -> Bundle {
    let mut decision = decision(bundle.content.leaf_hash());
    change(&mut decision);
    bundle.decision = Some(decision.sign(&decision_key()).unwrap());
    bundle.keys.push(entry(&decision_key(), Purpose::Decision));
    bundle
}

/// The log key, as the public key of the other crate.
pub(crate) fn verifying(key: &SigningKey) -> slhdsa::VerifyingKey {
    key.verifying_key().clone()
}

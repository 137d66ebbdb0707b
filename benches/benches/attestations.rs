//! What an attested document costs beside the bare signature, and an entry of the log beside bare Keccak permutations.
//!
//! Ratios are taken within one run, by turns, and printed as `attestations: ...`. The service signs documents on threads that
//! give way: on a machine that others use as well, run it at the lowest priority of all, so that both sides have the
//! same (`nice -n 19 cargo bench -p tyto-benches --bench attestations`), and with `taskset -c 0` besides to see the
//! service share one core with its own storage.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sha3::{Digest as _, Sha3_256};
use tokio::runtime::Runtime;
use tyto_api::attest::{Attest, AttestMode, Attested};
use tyto_api::proto::attest::v1::attest_service_client::AttestServiceClient;
use tyto_api::proto::attest::v1::{AttestRequest, AttestResponse};
use tyto_attest::log::{Sequencer, leaf_hashes};
use tyto_attest::{
    Claim, Document, DocumentDigest, LogState, PreviousCheckpoint, Statement, TrustedKeys, verify_attestation,
};
use tyto_benches::smoke;
use tyto_measure::timing::in_turn;
use tyto_pqc::mldsa::SigningKey;
use tyto_server::{Config, RunningServer, Server};

/// Documents of one call.
const DOCUMENTS: usize = 256;
/// Entries of one batch.
const BATCHES: [usize; 2] = [1_000, 4_096];
/// Entries that are in the tree before.
const BEFORE: usize = 100_003;

fn request(mode: AttestMode, round: u64) -> Attest {
    let document = |number: usize| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(round * DOCUMENTS as u64 + number as u64).to_le_bytes());
        Document { digest: DocumentDigest::Sha3_256(digest), label: Some("contract.pdf".to_owned()) }
    };
    let documents = (0..DOCUMENTS).map(document).collect();
    Attest { mode, audience: "court".to_owned(), nonce: [7; 32], documents }
}

fn statement(number: usize) -> Vec<u8> {
    let Attest { audience, nonce, mut documents, .. } = request(AttestMode::ReceiptOnly, number as u64);
    let previous_checkpoint = Some(PreviousCheckpoint { size: number as u64, root: [3; 32] });
    let statement = Statement {
        issuer: "tyto".to_owned(),
        issued_at_unix_ms: 1_800_000_000_000,
        audience,
        nonce: Some(nonce),
        principal: None,
        software_version: "tytod 0.1.0".to_owned(),
        build_digest: Some(format!("sha3-256:{}", "0".repeat(64))),
        log: Some(LogState { log_id: [1; 32], previous_checkpoint }),
        claim: Claim::Document(documents.swap_remove(0)),
    };
    statement.encode().expect("within its limits")
}

/// Documents attested in the server's process, and over gRPC, beside the same number of bare signatures.
fn immediate(_: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server: RunningServer = runtime.block_on(async {
        let mut config = Config::local(directory.path());
        // What is measured is not the disk: all that waits for it fits.
        config.transparency.queued_entries = 1 << 17;
        Server::start(config).await.expect("the server starts")
    });
    let endpoint = format!("http://{}", server.local_addr());
    let mut client = runtime.block_on(AttestServiceClient::connect(endpoint)).expect("it connects");
    let key = SigningKey::generate().expect("OS randomness");
    let message = statement(0);
    assert!(key.verifying_key().verify(&message, &key.sign(&message).expect("it signs")).is_ok());
    let attested = runtime.block_on(server.attest(request(AttestMode::Immediate, 0))).expect("attested");
    let keys: &TrustedKeys = server.trusted_keys();
    assert!(attested.entries.iter().all(|entry| verify_attestation(entry, keys).is_ok()));

    let (mut round, mut promised) = (0, 0);
    let mut remote_round = 1_u64 << 40;
    let mut attest = |mode, round: &mut u64| {
        *round += 1;
        let Attested { entries } = runtime.block_on(server.attest(request(mode, *round))).expect("attested");
        assert_eq!(black_box(entries).len(), DOCUMENTS);
    };
    let attest = std::cell::RefCell::new(&mut attest);
    let turns = in_turn(
        if smoke() { 1 } else { 60 },
        [
            &mut || {
                for _ in 0..DOCUMENTS {
                    _ = black_box(key.sign(black_box(&message)).expect("it signs"));
                }
            },
            &mut || attest.borrow_mut()(AttestMode::Immediate, &mut round),
            &mut || {
                remote_round += 1;
                let request = AttestRequest::from(request(AttestMode::Immediate, remote_round));
                let answer = runtime.block_on(client.attest(request)).expect("attested");
                let AttestResponse { attested } = answer.into_inner();
                assert_eq!(black_box(attested).len(), DOCUMENTS);
            },
            &mut || {
                promised += 1;
                let mut round = (1 << 50) + promised;
                attest.borrow_mut()(AttestMode::ReceiptOnly, &mut round);
            },
        ],
    );
    let rate = |time: Duration| DOCUMENTS as f64 / time.as_secs_f64();
    println!(
        "attestations: ML-DSA-65 alone {:.0}/s; attested at once in the process {:.0}/s, {:.1} % of it; over gRPC on \
         loopback {:.0}/s, {:.1} %; promised a receipt, durable {:.0}/s",
        rate(turns.fastest(0)),
        rate(turns.fastest(1)),
        100.0 / turns.ratio(1, 0),
        rate(turns.fastest(2)),
        100.0 / turns.ratio(2, 0),
        rate(turns.fastest(3)),
    );
    runtime.block_on(server.shutdown()).expect("it stops");
}

/// All that is computed for the entries of receipt-only mode: their names, their hashes in the outbox, and the tree with
/// its tiles. Storage is left out.
fn append(before: &Sequencer, entries: &[Vec<u8>]) -> [u8; 32] {
    let names = leaf_hashes(entries);
    assert_eq!(black_box(names).len(), black_box(leaf_hashes(entries)).len());
    before.clone().append(entries).expect("room").root
}

fn appending(_: &mut Criterion) {
    let all: Vec<_> = (0..BATCHES[1]).map(statement).collect();
    let mut before = Sequencer::new();
    let hashes = vec![[9; 32]; if smoke() { 1_003 } else { BEFORE }];
    before.append_hashes(&hashes).expect("room");
    for batch in BATCHES {
        let entries = &all[..batch];
        let mut one_by_one = before.clone();
        entries.iter().for_each(|entry| _ = one_by_one.append(&[entry]).expect("room"));
        assert_eq!(append(&before, entries), one_by_one.root());
        let turns = in_turn(
            if smoke() { 1 } else { 41 },
            [
                &mut || {
                    // One block: one permutation.
                    for _ in 0..batch {
                        _ = black_box(Sha3_256::digest(black_box([5; 32])));
                    }
                },
                &mut || _ = black_box(append(black_box(&before), black_box(entries))),
                &mut || _ = black_box(before.clone().append(black_box(entries)).expect("room").root),
            ],
        );
        println!(
            "attestations: an entry of {} bytes in batches of {batch}: {:.2} us, {:.1} permutations of the crate sha3 \
             ({:.0} ns each); tree and tiles alone {:.1}",
            entries[0].len(),
            turns.fastest(1).as_secs_f64() * 1e6 / batch as f64,
            turns.ratio(1, 0),
            turns.fastest(0).as_secs_f64() * 1e9 / batch as f64,
            turns.ratio(2, 0),
        );
    }
}

criterion_group!(benches, appending, immediate);
criterion_main!(benches);

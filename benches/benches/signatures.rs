//! SLH-DSA beside the crates `slh-dsa` and `fips205`, and a Merkle tree beside the crate `sha3`, all on one thread.
//!
//! Ratios are taken within one run, by turns, and printed as `signatures: ...`, for the best backend of this CPU and, in
//! a process of its own, for AVX2.

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fips205::traits::{KeyGen, SerDes, Signer as _, Verifier as _};
use sha3::{Digest as _, Sha3_256};
use slh_dsa::signature::{Keypair as _, Signer as _, Verifier as _};
use tyto_benches::smoke;
use tyto_kernels::{Backend, detect};
use tyto_measure::timing::in_turn;
use tyto_pqc::digest::sha3_256_many;
use tyto_pqc::slhdsa::{ParameterSet, SigningKey};

const MESSAGE: &[u8] = b"the checkpoint of a log";

/// Leaves of the tree.
const LEAVES: usize = 65_536;

/// What RFC 9162 hashes before a leaf and before two nodes.
const LEAF: &[u8] = &[0];
const NODE: &[u8] = &[1];

fn report(set: ParameterSet, what: &str, rounds: usize, work: [&mut dyn FnMut(); 3]) {
    let turns = in_turn(rounds, work);
    let rate = |index: usize| 1.0 / turns.fastest(index).as_secs_f64();
    println!(
        "signatures: {set} {what}, {}: {:.1}/s; slh-dsa {:.1}/s, {:.2} times; fips205 {:.1}/s, {:.2} times",
        detect(),
        rate(0),
        rate(1),
        turns.ratio(1, 0),
        rate(2),
        turns.ratio(2, 0)
    );
}

/// Key generation, signing and verification with one parameter set. Each signer's signatures must verify with the
/// others before anything is timed.
macro_rules! compare {
    ($set:ident, $fips205:ident, $rounds:expr) => {{
        use fips205::$fips205::{KG, PrivateKey, PublicKey};
        let (set, rounds) = (ParameterSet::$set, if smoke() { 1 } else { $rounds });
        let ours = SigningKey::generate(set).expect("OS randomness");
        let bytes = ours.to_bytes();
        let library = slh_dsa::SigningKey::<slh_dsa::$set>::try_from(&bytes[..]).expect("its length");
        let private: [u8; 4 * N] = bytes[..].try_into().expect("its length");
        let peer = PrivateKey::try_from_bytes(private).expect("a consistent key");

        let signature = ours.sign(MESSAGE, b"").expect("OS randomness");
        let library_signature = library.sign(MESSAGE);
        let peer_signature = peer.try_sign(MESSAGE, b"", true).expect("OS randomness");
        let public = ours.verifying_key();
        let library_public = library.verifying_key();
        let peer_public = PublicKey::try_from_bytes(public.as_bytes().try_into().expect("its length"));
        let peer_public = peer_public.expect("every string is a key");
        let for_library = slh_dsa::Signature::try_from(&signature[..]).expect("its length");
        let for_peer = signature[..].try_into().expect("its length");
        assert!(public.verify(MESSAGE, b"", &library_signature.to_bytes()).is_ok());
        assert!(public.verify(MESSAGE, b"", &peer_signature).is_ok());
        assert!(library_public.verify(MESSAGE, &for_library).is_ok());
        assert!(peer_public.verify(MESSAGE, for_peer, b""));

        report(
            set,
            "signing",
            rounds,
            [
                &mut || {
                    _ = black_box(ours.sign(black_box(MESSAGE), b""));
                },
                &mut || {
                    _ = black_box(library.sign(black_box(MESSAGE)));
                },
                &mut || {
                    _ = black_box(peer.try_sign(black_box(MESSAGE), b"", true));
                },
            ],
        );
        report(
            set,
            "verification",
            3 * rounds,
            [
                &mut || {
                    _ = black_box(public.verify(black_box(MESSAGE), b"", &signature));
                },
                &mut || {
                    _ = black_box(library_public.verify(black_box(MESSAGE), &for_library));
                },
                &mut || {
                    _ = black_box(peer_public.verify(black_box(MESSAGE), for_peer, b""));
                },
            ],
        );
        let seed: [u8; N] = bytes[..N].try_into().expect("its length");
        report(
            set,
            "key generation",
            rounds,
            [
                &mut || {
                    _ = black_box(SigningKey::generate(set));
                },
                &mut || {
                    let key = slh_dsa::SigningKey::<slh_dsa::$set>::slh_keygen_internal(&seed, &seed, &seed);
                    _ = black_box(key);
                },
                &mut || {
                    _ = black_box(KG::keygen_from_seed(&seed, &seed, &seed));
                },
            ],
        );
    }};
}

/// Bytes of a hash value of the 128-bit sets.
const N: usize = 16;

fn slh_dsa(_: &mut Criterion) {
    compare!(Shake128f, slh_dsa_shake_128f, 11);
    // Seconds for each signature of the peers.
    if !smoke() {
        compare!(Shake128s, slh_dsa_shake_128s, 3);
    }
}

fn root_of_many(leaves: &[[u8; 32]]) -> [u8; 32] {
    let mut nodes = sha3_256_many(leaves.iter().map(|leaf| [LEAF, leaf]));
    while nodes.len() > 1 {
        nodes = sha3_256_many(nodes.as_chunks::<2>().0.iter().map(|[left, right]| [NODE, left, right]));
    }
    nodes[0]
}

fn root_one_by_one(leaves: &[[u8; 32]]) -> [u8; 32] {
    let hash = |parts: &[&[u8]]| -> [u8; 32] {
        let mut hasher = Sha3_256::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize().into()
    };
    let mut nodes: Vec<_> = leaves.iter().map(|leaf| hash(&[LEAF, leaf])).collect();
    while nodes.len() > 1 {
        nodes = nodes.as_chunks::<2>().0.iter().map(|[left, right]| hash(&[NODE, left, right])).collect();
    }
    nodes[0]
}

fn merkle_tree(_: &mut Criterion) {
    let leaves: Vec<[u8; 32]> = (0..LEAVES as u64)
        .map(|i| {
            let mut leaf = [0; 32];
            leaf[..8].copy_from_slice(&i.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
            leaf
        })
        .collect();
    assert_eq!(root_of_many(&leaves), root_one_by_one(&leaves));
    let turns = in_turn(
        if smoke() { 1 } else { 15 },
        [&mut || _ = black_box(root_of_many(black_box(&leaves))), &mut || {
            _ = black_box(root_one_by_one(black_box(&leaves)));
        }],
    );
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "signatures: Merkle tree over {LEAVES} leaves, {}: {:.1} ms; sha3 {:.1} ms, {:.2} times",
        detect(),
        ms(turns.fastest(0)),
        ms(turns.fastest(1)),
        turns.ratio(1, 0)
    );
}

/// The same with the AVX2 backend, if it is not the best one.
fn with_avx2(_: &mut Criterion) {
    if detect() == Backend::Avx2 || !Backend::Avx2.is_supported() {
        return;
    }
    let program = std::env::current_exe().expect("this is a program");
    let mut again = Command::new(program);
    again.args(std::env::args_os().skip(1)).env("TYTO_BACKEND", Backend::Avx2.to_string());
    assert!(again.status().expect("it runs again").success(), "with AVX2");
}

criterion_group!(benches, slh_dsa, merkle_tree, with_avx2);
criterion_main!(benches);

//! SLH-DSA and what else hashes eight inputs at a time.

use tyto_kernels::{N, Poly};
use tyto_pqc::digest::{sha3_256, sha3_256_many};
use tyto_pqc::slhdsa::{ParameterSet, SigningKey};
use tyto_scheme::mask::{Family, MaskSeed, expand};

use crate::counted::path;

/// Nodes of one level of a Merkle tree.
const NODES: usize = 1024;

/// Counts all paths of this file.
pub(crate) fn paths() {
    // Two keys, two messages: no work of signing may depend on either.
    for (name, message) in
        [("slh-dsa-shake-128f/sign, key 1", b"message"), ("slh-dsa-shake-128f/sign, key 2", b"another")]
    {
        let key = SigningKey::generate(ParameterSet::Shake128f).expect("OS randomness");
        path(
            name,
            || (),
            |()| key.sign(message, b"").expect("OS randomness"),
            |signature| assert_eq!(key.verifying_key().verify(message, b"", signature), Ok(())),
        );
    }
    let nodes: Vec<[u8; 32]> = (0..2 * NODES as u64).map(|i| sha3_256(&[&i.to_le_bytes()])).collect();
    let pairs = nodes.as_chunks::<2>().0;
    path(
        "merkle/one level",
        || (),
        |()| sha3_256_many(pairs.iter().map(|[left, right]| [&[1][..], left, right])),
        |parents| assert_eq!(parents[NODES - 1], sha3_256(&[&[1], pairs[NODES - 1].as_flattened()])),
    );
    let seed = MaskSeed([7; 32]);
    path(
        "masks/expand eight",
        || (),
        |()| expand(&seed, Family::Gallery, 0..8),
        |polys: &Vec<Poly>| {
            let alone = expand(&seed, Family::Gallery, 7..8);
            assert!(polys[7].as_slice() == alone[0].as_slice() && alone[0].as_slice().len() == N);
        },
    );
}

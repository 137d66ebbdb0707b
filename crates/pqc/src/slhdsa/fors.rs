//! Few-time signatures FORS (FIPS 205 section 8).

use tyto_kernels::in_parallel;
use tyto_kernels::keccak::{LANES, Words};
use tyto_kernels::split;
use zeroize::Zeroizing;

use super::address::{Subtree, each_lane};
use super::hash::{Lockstep, Node, in_lane};
use super::merkle::{Branch, root_and_path, roots_of};
use super::params::Parameters;

/// Where a FORS key is: under a leaf of the lowest layer of the hypertree.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Subtree,
    pub(super) key_pair: u32,
}

/// Signs the leaves that the digest selects (algorithm 16), one in each tree, and gives the public key, too.
pub(super) fn sign<const W: usize>(
    new: impl Fn() -> Lockstep<W> + Sync,
    threads: usize,
    parameters: &Parameters,
    sk_seed: &Node<W>,
    place: Place,
    leaves: &[usize],
    signature: &mut Vec<Node<W>>,
) -> Node<W> {
    let height = parameters.a;
    let parts = in_parallel(split(threads, leaves.len(), 1), |trees| {
        let mut hashes = new();
        let (mut signature, mut roots) = (Vec::new(), Vec::new());
        for tree in trees {
            roots.push(sign_tree(&mut hashes, height, sk_seed, place, tree, leaves[tree], &mut signature));
        }
        (signature, roots)
    });
    let mut roots = Vec::with_capacity(leaves.len());
    for (part, part_roots) in parts {
        signature.extend(part);
        roots.extend(part_roots);
    }
    new().compress_one(&place.at.fors_roots(place.key_pair), &roots)
}

/// Appends the secret value of a leaf and its path; gives the root.
fn sign_tree<const W: usize>(
    hashes: &mut Lockstep<W>,
    height: usize,
    sk_seed: &Node<W>,
    Place { at, key_pair }: Place,
    tree: usize,
    selected: usize,
    signature: &mut Vec<Node<W>>,
) -> Node<W> {
    let count = 1 << height;
    let index = |leaf: usize| (tree * count + leaf) as u32;
    let mut leaves = Vec::with_capacity(count);
    // SK.seed, the secret values, the leaves.
    let mut values = Zeroizing::new([[Words::default(); W]; 3]);
    values[0] = sk_seed.map(Words::splat);
    for first in (0..count).step_by(LANES) {
        let secrets = each_lane(|lane| at.fors_prf(key_pair, index(first + lane)));
        hashes.chain(LANES, &secrets, &mut values[..2]);
        let hashed = each_lane(|lane| at.fors_tree(key_pair, 0, index(first + lane)));
        hashes.chain(LANES, &hashed, &mut values[1..]);
        leaves.extend((0..LANES).map(|lane| in_lane(&values[2], lane)));
        if selected / LANES == first / LANES {
            // Which leaf this is, the message says.
            signature.push(in_lane(&values[1], selected % LANES));
        }
    }
    let address = |level: u32, i: u32| at.fors_tree(key_pair, level, (index(0) >> level) + i);
    root_and_path(hashes, address, leaves, selected, signature)
}

/// The public key that a signature leads to (algorithm 17), eight trees in lockstep.
pub(super) fn public_key_from_signature<const W: usize>(
    hashes: &mut Lockstep<W>,
    parameters: &Parameters,
    Place { at, key_pair }: Place,
    leaves: &[usize],
    signature: &[Node<W>],
) -> Node<W> {
    let height = parameters.a;
    let signatures: Vec<_> = signature.chunks(1 + height).collect();
    let mut roots = Vec::with_capacity(leaves.len());
    for first in (0..leaves.len()).step_by(LANES) {
        let lanes = LANES.min(leaves.len() - first);
        let tree = |lane: usize| first + lane.min(lanes - 1);
        let index = |lane: usize, level: u32, i: u32| (tree(lane) << (height as u32 - level)) as u32 + i;
        let mut values = [each_lane(|lane| signatures[tree(lane)][0]), [Words::default(); W]];
        let address = each_lane(|lane| at.fors_tree(key_pair, 0, index(lane, 0, leaves[tree(lane)] as u32)));
        hashes.chain(lanes, &address, &mut values);
        let branches: Vec<_> = (0..lanes)
            .map(|lane| Branch {
                leaf: in_lane(&values[1], lane),
                index: leaves[tree(lane)],
                path: &signatures[tree(lane)][1..],
            })
            .collect();
        let address = |lane: usize, level: u32, i: u32| at.fors_tree(key_pair, level, index(lane, level, i));
        let found = roots_of(hashes, address, &branches);
        roots.extend((0..lanes).map(|lane| in_lane(&found, lane)));
    }
    hashes.compress_one(&at.fors_roots(key_pair), &roots)
}

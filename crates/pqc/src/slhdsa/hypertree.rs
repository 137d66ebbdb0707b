//! XMSS trees and the hypertree of them (FIPS 205 sections 6 and 7).
//!
//! A layer signs the root of the one below. All trees that a signature passes through are known from the start, so
//! their leaves are computed first, in any order, on several threads. The chains of the leaves that sign are kept until
//! the roots are known.

use tyto_kernels::keccak::LANES;
use tyto_kernels::{in_parallel, split};

use super::address::Subtree;
use super::hash::{Lockstep, Node, in_lane};
use super::merkle::{Branch, root_and_path, roots_of};
use super::params::Parameters;
use super::wots::{self, Chains};

/// The tree and the leaf of each layer, from the lowest (algorithms 12 and 13, steps 6 and 7).
pub(super) fn way_up(parameters: &Parameters, tree: u64, leaf: u32) -> Vec<(Subtree, u32)> {
    let height = parameters.h_prime as u32;
    let mut place = (tree, leaf);
    (0..parameters.d as u32)
        .map(|layer| {
            let here = (Subtree { layer, tree: place.0 }, place.1);
            place = (place.0 >> height, (place.0 & ((1 << height) - 1)) as u32);
            here
        })
        .collect()
}

/// The leaves of one tree, and the chains of the leaf that signs.
struct Leaves<const W: usize> {
    nodes: Vec<Node<W>>,
    chains: Option<Chains<W>>,
}

/// The leaves of some trees. In each, the leaf that is named signs.
fn leaves_of<const W: usize>(
    new: impl Fn() -> Lockstep<W> + Sync,
    threads: usize,
    parameters: &Parameters,
    sk_seed: &Node<W>,
    trees: &[(Subtree, Option<u32>)],
) -> Vec<Leaves<W>> {
    let count = 1 << parameters.h_prime;
    // No parameter set has trees of fewer than eight leaves.
    let batches = count / LANES;
    let parts = in_parallel(split(threads, trees.len() * batches, 1), |items| {
        let mut hashes = new();
        let batch = |item: usize| {
            let ((at, signer), first) = (trees[item / batches], item % batches * LANES);
            let place = signer.map(|leaf| (leaf as usize).wrapping_sub(first)).filter(|place| *place < LANES);
            wots::public_keys(&mut hashes, parameters, sk_seed, at, first as u32, place)
        };
        items.map(batch).collect::<Vec<_>>()
    });
    let mut parts = parts.into_iter().flatten();
    let mut leaves = Vec::with_capacity(trees.len());
    for _ in trees {
        let mut tree = Leaves { nodes: Vec::with_capacity(count), chains: None };
        for (keys, chains) in parts.by_ref().take(batches) {
            tree.nodes.extend((0..LANES).map(|lane| in_lane(&keys, lane)));
            tree.chains = tree.chains.or(chains);
        }
        leaves.push(tree);
    }
    leaves
}

/// `PK.root`: the root of the only tree of the highest layer (algorithm 18).
pub(super) fn public_root<const W: usize>(
    new: impl Fn() -> Lockstep<W> + Sync,
    threads: usize,
    parameters: &Parameters,
    sk_seed: &Node<W>,
) -> Node<W> {
    let top = Subtree { layer: parameters.d as u32 - 1, tree: 0 };
    let mut leaves = leaves_of(&new, threads, parameters, sk_seed, &[(top, None)]);
    let leaves = leaves.pop().expect("the leaves of one tree");
    root_and_path(&mut new(), |height, i| top.tree(height, i), leaves.nodes, 0, &mut Vec::new())
}

/// Signs `message`, the public key of FORS (algorithm 12), and gives the root of the highest tree.
pub(super) fn sign<const W: usize>(
    new: impl Fn() -> Lockstep<W> + Sync,
    threads: usize,
    parameters: &Parameters,
    sk_seed: &Node<W>,
    way: &[(Subtree, u32)],
    message: Node<W>,
    signature: &mut Vec<Node<W>>,
) -> Node<W> {
    let trees: Vec<_> = way.iter().map(|&(at, leaf)| (at, Some(leaf))).collect();
    let leaves = leaves_of(&new, threads, parameters, sk_seed, &trees);
    let mut hashes = new();
    let mut message = message;
    for (&(at, leaf), leaves) in way.iter().zip(leaves) {
        let chains = leaves.chains.expect("the signing leaf is one of the tree's");
        wots::sign(&chains, &message, signature);
        let address = |height, i| at.tree(height, i);
        message = root_and_path(&mut hashes, address, leaves.nodes, leaf as usize, signature);
    }
    message
}

/// The root that a signature of `message` leads to (algorithm 13).
pub(super) fn root_from_signature<const W: usize>(
    hashes: &mut Lockstep<W>,
    parameters: &Parameters,
    way: &[(Subtree, u32)],
    message: Node<W>,
    signature: &[Node<W>],
) -> Node<W> {
    let layers = signature.chunks(parameters.len() + parameters.h_prime);
    way.iter().zip(layers).fold(message, |message, (&(at, leaf), layer)| {
        let (signature, path) = layer.split_at(parameters.len());
        let key = wots::public_key_from_signature(hashes, at, leaf, signature, &message);
        let branch = Branch { leaf: key, index: leaf as usize, path };
        in_lane(&roots_of(hashes, |_, height, i| at.tree(height, i), &[branch]), 0)
    })
}

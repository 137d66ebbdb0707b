//! The internal functions of FIPS 205 section 9, for the SHAKE sets.
//!
//! # Secrets
//!
//! `SK.seed`, `SK.prf`, the values of WOTS+ chains below those that a signature shows, and the values of FORS leaves
//! that it does not show are secret. They go through Keccak, which has neither branches nor addresses that depend on
//! content, and are copied whole; nothing else is done with them. What branches and addresses do depend on:
//!
//! - the length of the message and of the context;
//! - the digest of the message (`H_msg`): leaves in FORS trees and in the hypertree. Its inputs are `R`, which is the
//!   first part of the signature, the public key and the message, so that every verifier computes it;
//! - the digits of WOTS+: those of the FORS public key and of the roots of XMSS trees. Every verifier computes them from
//!   the signature;
//! - the number of threads.
//!
//! So time and addresses of signing are functions of what is public once the signature is. A signature that is never
//! released would tell an observer of addresses no more than its own digest and digits do.
//!
//! `benches/instructions/run` counts the instructions of signatures with two keys and fails if they differ by as much as
//! one permutation.
//!
//! Buffers of secret values are wiped; what the compiler leaves in registers and on the stack is not.

use tyto_kernels::Backend;
use zeroize::Zeroizing;

use super::ParameterSet;
use super::address::Subtree;
use super::digits::Selected;
use super::fors::{self, Place};
use super::hash::{Lockstep, Node, h_msg, node, prf_msg, to_bytes};
use super::hypertree::{public_root, root_from_signature, sign as sign_hypertree, way_up};
use super::params::Parameters;

/// How the work is done; the results do not depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) backend: Backend,
    pub(super) threads: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { backend: tyto_kernels::detect(), threads: 1 }
    }
}

/// Runs a function for the set's number of words in a hash value.
macro_rules! by_width {
    ($parameters:expr, $function:ident($($argument:expr),*)) => {
        match $parameters.n {
            16 => $function::<2>($($argument),*),
            24 => $function::<3>($($argument),*),
            _ => $function::<4>($($argument),*),
        }
    };
}

/// `PK.root` for `SK.seed` and `PK.seed` (algorithm 18).
pub(super) fn root(set: ParameterSet, effort: Effort, sk_seed: &[u8], pk_seed: &[u8]) -> Vec<u8> {
    let parameters = set.parameters();
    by_width!(parameters, root_of(&parameters, effort, sk_seed, pk_seed))
}

fn root_of<const W: usize>(
    parameters: &Parameters,
    effort: Effort,
    sk_seed: &[u8],
    pk_seed: &[u8],
) -> Vec<u8> {
    let (sk_seed, pk_seed) = (Zeroizing::new(node::<W>(sk_seed)), node(pk_seed));
    let new = || Lockstep::new(effort.backend, pk_seed);
    to_bytes(&[public_root(new, effort.threads, parameters, &sk_seed)])
}

/// `slh_sign_internal` (algorithm 19) of the message that is `parts` one after the other. Nothing if the root of the
/// highest tree is not the public key's, which only a fault can cause; of faults in other trees it shows nothing.
pub(super) fn sign(
    set: ParameterSet,
    effort: Effort,
    key: &[u8],
    parts: [&[u8]; 2],
    opt_rand: &[u8],
) -> Option<Vec<u8>> {
    let parameters = set.parameters();
    by_width!(parameters, sign_with(&parameters, effort, key, parts, opt_rand))
}

fn sign_with<const W: usize>(
    parameters: &Parameters,
    effort: Effort,
    key: &[u8],
    parts: [&[u8]; 2],
    opt_rand: &[u8],
) -> Option<Vec<u8>> {
    let Effort { backend, threads } = effort;
    let (secret, public) = key.split_at(2 * parameters.n);
    let (sk_seed, sk_prf) = secret.split_at(parameters.n);
    let (sk_seed, pk_seed) = (Zeroizing::new(node::<W>(sk_seed)), node(public));
    let new = || Lockstep::new(backend, pk_seed);

    let mut signature: Vec<Node<W>> = vec![prf_msg(backend, sk_prf, opt_rand, parts)];
    let digest = h_msg(backend, &to_bytes(&signature), public, parts);
    let selected = Selected::new(parameters, &digest[..]);
    let place = place(&selected);
    let fors_leaves = &selected.fors_leaves;
    let message = fors::sign(new, threads, parameters, &sk_seed, place, fors_leaves, &mut signature);
    let way = way_up(parameters, selected.tree, selected.leaf);
    let root = sign_hypertree(new, threads, parameters, &sk_seed, &way, message, &mut signature);
    (to_bytes(&[root]) == public[parameters.n..]).then(|| to_bytes(&signature))
}

/// `slh_verify_internal` (algorithm 20) of the message that is `parts` one after the other.
pub(super) fn verify(
    set: ParameterSet,
    backend: Backend,
    public: &[u8],
    parts: [&[u8]; 2],
    signature: &[u8],
) -> bool {
    let parameters = set.parameters();
    signature.len() == set.signature_bytes()
        && by_width!(parameters, verify_with(&parameters, backend, public, parts, signature))
}

fn verify_with<const W: usize>(
    parameters: &Parameters,
    backend: Backend,
    public: &[u8],
    parts: [&[u8]; 2],
    signature: &[u8],
) -> bool {
    let n = parameters.n;
    let mut hashes = Lockstep::<W>::new(backend, node(public));
    let digest = h_msg(backend, &signature[..n], public, parts);
    let selected = Selected::new(parameters, &digest[..]);
    let nodes: Vec<Node<W>> = signature[n..].chunks_exact(n).map(node).collect();
    let (fors_nodes, hypertree_nodes) = nodes.split_at(parameters.k * (1 + parameters.a));
    let (place, leaves) = (place(&selected), &selected.fors_leaves);
    let message = fors::public_key_from_signature(&mut hashes, parameters, place, leaves, fors_nodes);
    let way = way_up(parameters, selected.tree, selected.leaf);
    let root = root_from_signature(&mut hashes, parameters, &way, message, hypertree_nodes);
    to_bytes(&[root]) == public[n..]
}

/// Where the FORS key is that the digest selects.
fn place(selected: &Selected) -> Place {
    Place { at: Subtree { layer: 0, tree: selected.tree }, key_pair: selected.leaf }
}

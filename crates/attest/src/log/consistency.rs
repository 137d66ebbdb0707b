//! Consistency proofs (RFC 9162 section 2.1.4): the later tree is the earlier one with more leaves.

use super::hash::{Hash, empty_root, node_hash};
use super::source::{NodeSource, range_root};
use super::{LogError, check_size};

/// `k` of RFC 9162 section 2.1.1: the largest power of two below `n`, for `n` of at least 2.
pub(super) fn largest_power_below(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// Splits of the later tree on the way down to the old edge: for each, the half that goes into the proof, as
/// `(start, end)`, and whether it lies left of the edge. The last item is the subtree at the end of the way,
/// `None` if it is the whole earlier tree, whose root the verifier has.
struct Descent {
    halves: Vec<(u64, u64, bool)>,
    last: Option<(u64, u64)>,
}

/// `SUBPROOF(m, D[n], true)` of RFC 9162 section 2.1.4.1, for 0 < m < n.
fn descend(old_size: u64, new_size: u64) -> Descent {
    let (mut start, mut end) = (0, new_size);
    let mut halves = Vec::new();
    while end != old_size {
        let middle = start + largest_power_below(end - start);
        if old_size <= middle {
            halves.push((middle, end, false));
            end = middle;
        } else {
            halves.push((start, middle, true));
            start = middle;
        }
    }
    Descent { halves, last: (start != 0).then_some((start, end)) }
}

fn check(old_size: u64, new_size: u64) -> Result<(), LogError> {
    check_size(new_size)?;
    if old_size > new_size { Err(LogError::SizesReversed { old_size, new_size }) } else { Ok(()) }
}

/// How many hashes a consistency proof has: none from the empty tree and none between equal trees.
///
/// # Errors
/// [`LogError::SizeOutOfRange`] or [`LogError::SizesReversed`].
pub fn consistency_proof_length(old_size: u64, new_size: u64) -> Result<usize, LogError> {
    check(old_size, new_size)?;
    if old_size == 0 || old_size == new_size {
        return Ok(0);
    }
    let descent = descend(old_size, new_size);
    Ok(descent.halves.len() + usize::from(descent.last.is_some()))
}

/// The consistency proof between the trees of the first `old_size` and the first `new_size` leaves, in the order
/// of RFC 9162 section 2.1.4.1.
///
/// # Errors
/// [`LogError::SizeOutOfRange`], [`LogError::SizesReversed`] and what the source says.
pub fn consistency_proof<S: NodeSource + ?Sized>(
    source: &S,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<Hash>, LogError> {
    check(old_size, new_size)?;
    if old_size == 0 || old_size == new_size {
        return Ok(Vec::new());
    }
    let Descent { halves, last } = descend(old_size, new_size);
    let upwards = halves.into_iter().rev().map(|(start, end, _)| (start, end));
    last.into_iter().chain(upwards).map(|(start, end)| range_root(source, start, end)).collect()
}

/// The root of the later tree, to which a consistency proof leads, once it is seen to lead to the earlier one
/// too.
///
/// # Errors
/// [`LogError::SizeOutOfRange`], [`LogError::SizesReversed`], [`LogError::WrongProofLength`],
/// [`LogError::WrongOldRoot`]. From the empty tree no proof leads anywhere: `old_size` of 0 is
/// [`LogError::IndexOutOfRange`].
pub fn root_from_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    proof: &[Hash],
) -> Result<Hash, LogError> {
    let expected = consistency_proof_length(old_size, new_size)?;
    if old_size == 0 {
        return Err(LogError::IndexOutOfRange { index: 0, size: 0 });
    }
    if proof.len() != expected {
        return Err(LogError::WrongProofLength { expected, actual: proof.len() });
    }
    if old_size == new_size {
        return Ok(*old_root);
    }
    let Descent { halves, last } = descend(old_size, new_size);
    let (first, rest) = if last.is_some() { (proof[0], &proof[1..]) } else { (*old_root, proof) };
    let (mut old, mut new) = (first, first);
    for ((_, _, is_left), hash) in halves.into_iter().rev().zip(rest) {
        if is_left {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
        } else {
            new = node_hash(&new, hash);
        }
    }
    if old == *old_root { Ok(new) } else { Err(LogError::WrongOldRoot) }
}

/// Verifies that the later tree begins with the leaves of the earlier one. Every tree begins with those of the
/// empty tree.
///
/// # Errors
/// As [`root_from_consistency`]; [`LogError::WrongNewRoot`].
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), LogError> {
    if old_size == 0 && proof.is_empty() {
        check(old_size, new_size)?;
        let empty = empty_root();
        return match (*old_root == empty, new_size > 0 || *new_root == empty) {
            (true, true) => Ok(()),
            (false, _) => Err(LogError::WrongOldRoot),
            (true, false) => Err(LogError::WrongNewRoot),
        };
    }
    let computed = root_from_consistency(old_size, old_root, new_size, proof)?;
    if computed == *new_root { Ok(()) } else { Err(LogError::WrongNewRoot) }
}

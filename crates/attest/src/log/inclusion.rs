//! Inclusion proofs (RFC 9162 section 2.1.3).

use super::hash::{Hash, node_hash};
use super::source::{NodeSource, range_root};
use super::{LogError, check_size};

/// How many hashes the inclusion proof of a leaf has.
///
/// # Errors
/// [`LogError::SizeOutOfRange`] or [`LogError::IndexOutOfRange`].
pub fn inclusion_proof_length(index: u64, size: u64) -> Result<usize, LogError> {
    let (inner, border) = lengths(index, size)?;
    Ok(inner + border)
}

/// The hashes of a proof up to where the leaf's way joins the right edge of the tree, and those along the edge.
fn lengths(index: u64, size: u64) -> Result<(usize, usize), LogError> {
    check_size(size)?;
    if index >= size {
        return Err(LogError::IndexOutOfRange { index, size });
    }
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = (index >> inner).count_ones();
    Ok((inner as usize, border as usize))
}

/// The inclusion proof of a leaf in the tree of the first `size` leaves (RFC 9162 section 2.1.3.1), from the
/// leaf upwards.
///
/// # Errors
/// [`LogError::SizeOutOfRange`], [`LogError::IndexOutOfRange`] and what the source says.
pub fn inclusion_proof<S: NodeSource + ?Sized>(
    source: &S,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, LogError> {
    lengths(index, size)?;
    // PATH(m, D[n]), from the root downwards: the sibling of the half that has the leaf.
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + super::consistency::largest_power_below(end - start);
        if index < middle {
            path.push(range_root(source, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(source, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The root to which an inclusion proof leads (RFC 9162 section 2.1.3.2).
///
/// # Errors
/// [`LogError::SizeOutOfRange`], [`LogError::IndexOutOfRange`] or [`LogError::WrongProofLength`].
pub fn root_from_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash]) -> Result<Hash, LogError> {
    let (inner, border) = lengths(index, size)?;
    if proof.len() != inner + border {
        return Err(LogError::WrongProofLength { expected: inner + border, actual: proof.len() });
    }
    let (inner, border) = proof.split_at(inner);
    let joined = inner.iter().enumerate().fold(*leaf, |node, (height, sibling)| {
        if index >> height & 1 == 1 { node_hash(sibling, &node) } else { node_hash(&node, sibling) }
    });
    // Along the edge every sibling is on the left.
    Ok(border.iter().fold(joined, |node, sibling| node_hash(sibling, &node)))
}

/// Verifies that a leaf is in a tree.
///
/// # Errors
/// As [`root_from_inclusion`]; [`LogError::WrongRoot`].
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), LogError> {
    let computed = root_from_inclusion(leaf, index, size, proof)?;
    if computed == *root { Ok(()) } else { Err(LogError::WrongRoot) }
}

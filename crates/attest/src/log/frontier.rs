//! The right edge of a tree: all that appending and the root need.

use super::hash::{Hash, empty_root, node_hash, parents};
use super::{LogError, check_size};

/// The roots of the perfect subtrees that a tree is made of, one for each bit set in its size.
///
/// Appending `n` leaves costs fewer than `n + 62` hashes of nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Largest first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of which only the size and the perfect subtrees are known, largest first.
    ///
    /// # Errors
    /// [`LogError::SizeOutOfRange`]; [`LogError::WrongProofLength`] if there is not one subtree for each bit
    /// set in the size.
    pub fn from_subtrees(size: u64, subtrees: Vec<Hash>) -> Result<Self, LogError> {
        check_size(size)?;
        let expected = size.count_ones() as usize;
        if subtrees.len() == expected {
            return Ok(Self { size, subtrees });
        }
        Err(LogError::WrongProofLength { expected, actual: subtrees.len() })
    }

    /// Leaves of the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The perfect subtrees, largest first.
    pub fn subtrees(&self) -> &[Hash] {
        &self.subtrees
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let from_right = self.subtrees.iter().rev().copied();
        from_right.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// Appends one leaf, given by its hash.
    ///
    /// # Errors
    /// [`LogError::SizeOutOfRange`] if the log is full.
    pub fn append(&mut self, leaf: Hash) -> Result<(), LogError> {
        self.extend(&[leaf], |_, _, _| {})
    }

    /// Appends leaves, given by their hashes, level by level. `on_level` is told of every node that comes into
    /// being: height (0 for leaves), index of the first, and the hashes from there on.
    ///
    /// # Errors
    /// [`LogError::SizeOutOfRange`] if the log would be too large; nothing is appended then.
    pub fn extend(
        &mut self,
        leaves: &[Hash],
        mut on_level: impl FnMut(u32, u64, &[Hash]),
    ) -> Result<(), LogError> {
        let new_size = self.size.saturating_add(leaves.len() as u64);
        check_size(new_size)?;
        let mut left_over = Vec::new();
        let mut fresh = leaves.to_vec();
        let mut height = 0;
        // Every level up to the highest bit of the new size has a subtree to take or to leave.
        while new_size >> height != 0 {
            let first = self.size >> height;
            on_level(height, first, &fresh);
            let mut nodes = Vec::with_capacity(fresh.len() + 1);
            if first % 2 == 1 {
                // The subtree of this height ends at the old edge: it is the smallest that is left.
                nodes.extend(self.subtrees.pop());
            }
            nodes.append(&mut fresh);
            if nodes.len() % 2 == 1 {
                left_over.extend(nodes.last().copied());
            }
            fresh = parents(&nodes);
            height += 1;
        }
        left_over.reverse();
        self.subtrees = left_over;
        self.size = new_size;
        Ok(())
    }
}

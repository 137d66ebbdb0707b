use std::collections::HashMap;
use tyto_scheme::Pseudonym;

/// Parts of the index. A map that grows is copied whole: in parts, nobody who waits for the index waits for long.
const SHARDS: usize = 128;

/// Which blocks hold templates of a subject. Nearly all subjects are in one block only, so the others have a map
/// of their own and the large one stays small: 20 bytes an entry.
#[derive(Default)]
pub(crate) struct SubjectIndex {
    /// None before the first entry.
    first: Vec<HashMap<Pseudonym, u32>>,
    more: HashMap<Pseudonym, Vec<u32>>,
}

impl SubjectIndex {
    /// The ordinals of the blocks, in no order.
    pub(crate) fn blocks_of(&self, subject: Pseudonym) -> impl Iterator<Item = u32> {
        let first = self.first.get(shard(subject)).and_then(|shard| shard.get(&subject));
        first.into_iter().chain(self.more.get(&subject).into_iter().flatten()).copied()
    }

    /// Notes that block `ordinal` holds templates of `subject`.
    pub(crate) fn add(&mut self, subject: Pseudonym, ordinal: u32) {
        if self.first.is_empty() {
            self.first = vec![HashMap::new(); SHARDS];
        }
        let first = *self.first[shard(subject)].entry(subject).or_insert(ordinal);
        if first != ordinal {
            let more = self.more.entry(subject).or_default();
            if !more.contains(&ordinal) {
                more.push(ordinal);
            }
        }
    }

    /// Notes that block `ordinal` holds no template of `subject` any more.
    pub(crate) fn remove(&mut self, subject: Pseudonym, ordinal: u32) {
        let left: Vec<u32> = self.blocks_of(subject).filter(|&other| other != ordinal).collect();
        if let Some(shard) = self.first.get_mut(shard(subject)) {
            shard.remove(&subject);
        }
        self.more.remove(&subject);
        for ordinal in left {
            self.add(subject, ordinal);
        }
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        // One control byte beside each bucket; the second map is too small to count.
        let entries: usize = self.first.iter().map(HashMap::capacity).sum();
        entries * (size_of::<(Pseudonym, u32)>() + 1) + size_of_val(&*self.first)
    }
}

/// Pseudonyms are pseudo-random; a tenant that chooses others makes its own gallery slower and nobody else's.
fn shard(subject: Pseudonym) -> usize {
    usize::from(subject.0[0]) % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_in_several_blocks_is_found_in_each_until_it_leaves() {
        let (alice, bob) = (Pseudonym([1; 16]), Pseudonym([2; 16]));
        let mut index = SubjectIndex::default();
        for ordinal in [3, 1, 3, 7] {
            index.add(alice, ordinal);
        }
        index.add(bob, 2);
        let blocks_of = |index: &SubjectIndex, subject| {
            let mut ordinals: Vec<u32> = index.blocks_of(subject).collect();
            ordinals.sort_unstable();
            ordinals
        };
        assert_eq!(blocks_of(&index, alice), [1, 3, 7]);
        index.remove(alice, 3);
        assert_eq!(blocks_of(&index, alice), [1, 7]);
        index.remove(alice, 1);
        index.remove(alice, 7);
        assert!(blocks_of(&index, alice).is_empty());
        assert_eq!(blocks_of(&index, bob), [2]);
    }
}

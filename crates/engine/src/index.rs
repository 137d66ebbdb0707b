use std::collections::BTreeSet;
use tyto_scheme::Pseudonym;

/// Bytes of memory that an entry takes: nodes of eleven entries, filled to seven tenths after many changes.
const ENTRY_BYTES: usize = 33;

/// Which blocks hold templates of a subject.
///
/// A search tree, because no change of it may take long, whatever subjects and blocks a tenant chooses: a hash map that
/// grows is copied whole while whoever reads it waits.
pub(crate) struct SubjectIndex<Subject = Pseudonym> {
    entries: BTreeSet<(Subject, u32)>,
}

impl<Subject: Ord + Copy> SubjectIndex<Subject> {
    /// The ordinals of the blocks, in order.
    pub(crate) fn blocks_of(&self, subject: Subject) -> impl Iterator<Item = u32> {
        self.entries.range((subject, 0)..=(subject, u32::MAX)).map(|&(_, ordinal)| ordinal)
    }

    /// Notes that block `ordinal` holds templates of `subject`.
    pub(crate) fn add(&mut self, subject: Subject, ordinal: u32) {
        self.entries.insert((subject, ordinal));
    }

    /// Notes that block `ordinal` holds no template of `subject` any more.
    pub(crate) fn remove(&mut self, subject: Subject, ordinal: u32) {
        self.entries.remove(&(subject, ordinal));
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        self.entries.len() * ENTRY_BYTES
    }
}

impl<Subject: Ord> FromIterator<(Subject, u32)> for SubjectIndex<Subject> {
    fn from_iter<I: IntoIterator<Item = (Subject, u32)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::cmp::Ordering;

    fn blocks_of<Subject: Ord + Copy>(index: &SubjectIndex<Subject>, subject: Subject) -> Vec<u32> {
        index.blocks_of(subject).collect()
    }

    #[test]
    fn a_subject_in_several_blocks_is_found_in_each_until_it_leaves() {
        let (alice, bob) = (Pseudonym([1; 16]), Pseudonym([2; 16]));
        let mut index = SubjectIndex::from_iter([(alice, 3), (bob, 2), (alice, 1)]);
        for ordinal in [3, 7] {
            index.add(alice, ordinal);
        }
        assert_eq!(blocks_of(&index, alice), [1, 3, 7]);
        index.remove(alice, 3);
        assert_eq!(blocks_of(&index, alice), [1, 7]);
        index.remove(alice, 1);
        index.remove(bob, 5);
        index.remove(alice, 7);
        assert!(blocks_of(&index, alice).is_empty());
        assert_eq!(blocks_of(&index, bob), [2]);
    }

    thread_local! {
        static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    }

    /// A subject that counts how often it is looked at.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Counted(u8);

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            COMPARISONS.set(COMPARISONS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    #[test]
    fn a_subject_in_very_many_blocks_makes_no_step_long() {
        const BLOCKS: u32 = 16_384;
        /// Entries looked at on the way down: four or five nodes of at most eleven, down and for a bound beside.
        const MOST: usize = 128;
        let mut index = SubjectIndex::from_iter([(Counted(0), 1), (Counted(2), 1)]);
        let mut most = 0;
        let mut count = |index: &mut SubjectIndex<Counted>, step: &dyn Fn(&mut SubjectIndex<Counted>)| {
            COMPARISONS.set(0);
            step(index);
            most = most.max(COMPARISONS.get());
        };
        // In an order that is neither rising nor falling: 5 is odd.
        let order = |i: u32| i * 5 % BLOCKS;
        for i in 0..BLOCKS {
            count(&mut index, &|index| index.add(Counted(1), order(i)));
            count(&mut index, &|index| {
                assert_eq!(index.blocks_of(Counted(1)).take(4).count(), 4.min(i as usize + 1));
            });
        }
        assert_eq!(blocks_of(&index, Counted(1)), (0..BLOCKS).collect::<Vec<_>>());
        for i in 0..BLOCKS / 2 {
            count(&mut index, &|index| index.remove(Counted(1), order(i)));
        }
        let mut left: Vec<_> = (BLOCKS / 2..BLOCKS).map(order).collect();
        left.sort_unstable();
        assert_eq!(blocks_of(&index, Counted(1)), left);
        for i in BLOCKS / 2..BLOCKS {
            count(&mut index, &|index| index.remove(Counted(1), order(i)));
        }
        assert!(blocks_of(&index, Counted(1)).is_empty());
        assert!((1..MOST).contains(&most), "{most} comparisons");
        assert_eq!(blocks_of(&index, Counted(2)), [1]);
    }
}

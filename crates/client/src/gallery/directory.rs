//! Where a subject's templates may be: an index over every slot that was ever enrolled.
//!
//! The index is a hint that only grows: it may name a slot whose template was removed or (with a hash collision) is
//! somebody else's, and never misses one. Whoever uses it asks the slot maps of a view, which are authenticated.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use tyto_scheme::BlockId;
use tyto_tenant::SubjectId;

/// About 30 bytes per template.
#[derive(Default)]
pub(crate) struct Directory {
    numbers: HashMap<BlockId, u32>,
    blocks: Vec<BlockId>,
    slots: HashMap<u64, Slots>,
}

/// A block's number in the directory, and a slot. Ordered as they were enrolled, more or less.
type Place = (u32, u16);

/// Most subjects have one template.
enum Slots {
    One(Place),
    #[expect(clippy::box_collection, reason = "keeps the common case small")]
    Many(Box<Vec<Place>>),
}

/// Hashes subjects under a random key of the process, so that nobody can choose ids that collide.
#[derive(Clone, Default)]
pub(crate) struct SubjectHasher(RandomState);

impl SubjectHasher {
    pub(crate) fn hash(&self, subject: &SubjectId) -> u64 {
        self.0.hash_one(subject.as_bytes())
    }
}

/// Slots of one block that were enrolled, each with the hash of its subject.
#[derive(Default)]
pub(crate) struct Enrolled {
    pub(crate) slots: Vec<(u64, u16)>,
}

impl Directory {
    /// Adds slots of a block. Repetitions are ignored.
    pub(crate) fn extend(&mut self, block: BlockId, enrolled: &Enrolled) {
        let next = self.blocks.len() as u32;
        let number = *self.numbers.entry(block).or_insert(next);
        if number == next {
            self.blocks.push(block);
        }
        self.slots.reserve(enrolled.slots.len());
        for &(hash, slot) in &enrolled.slots {
            let place = (number, slot);
            match self.slots.entry(hash) {
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(Slots::One(place));
                }
                std::collections::hash_map::Entry::Occupied(mut entry) => entry.get_mut().insert(place),
            }
        }
    }

    /// Every slot where templates of the subject with this hash may be.
    pub(crate) fn places(&self, hash: u64) -> Vec<(BlockId, u16)> {
        let places: &[Place] = match self.slots.get(&hash) {
            None => &[],
            Some(Slots::One(place)) => std::slice::from_ref(place),
            Some(Slots::Many(places)) => places,
        };
        places.iter().map(|&(number, slot)| (self.blocks[number as usize], slot)).collect()
    }
}

impl Slots {
    fn insert(&mut self, place: Place) {
        match self {
            Self::One(known) if *known == place => {}
            Self::One(known) => {
                let mut places = vec![*known, place];
                places.sort_unstable();
                *self = Self::Many(Box::new(places));
            }
            Self::Many(places) => {
                // Nearly always at the end.
                if let Err(at) = places.binary_search(&place) {
                    places.insert(at, place);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_of_a_subject_is_found_however_often_it_is_added() {
        let hasher = SubjectHasher::default();
        let [ada, bob] = ["ada", "bob"].map(|name| hasher.hash(&SubjectId::new(name).unwrap()));
        let [a, b] = [BlockId([1; 16]), BlockId([2; 16])];
        let mut directory = Directory::default();
        directory.extend(b, &Enrolled { slots: vec![(ada, 5), (bob, 6)] });
        directory.extend(a, &Enrolled { slots: vec![(ada, 9)] });
        directory.extend(b, &Enrolled { slots: vec![(ada, 5), (ada, 2), (bob, 6)] });
        directory.extend(a, &Enrolled { slots: vec![(ada, 9)] });
        assert_eq!(directory.places(ada), [(b, 2), (b, 5), (a, 9)]);
        assert_eq!(directory.places(bob), [(b, 6)]);
        assert_eq!(directory.places(ada ^ bob ^ 1), []);
    }
}

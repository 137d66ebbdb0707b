/// A set of the slots of one block, one bit each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotSet(Box<[u64]>);

impl SlotSet {
    /// The empty set of slots below `slots`.
    pub fn new(slots: usize) -> Self {
        Self(vec![0; slots.div_ceil(64)].into())
    }

    /// Whether `slot` is in the set.
    ///
    /// # Panics
    /// If `slot` is past the end of the block, as for the other methods.
    pub fn contains(&self, slot: u16) -> bool {
        self.0[usize::from(slot) / 64] >> (slot % 64) & 1 == 1
    }

    /// Adds `slot`; false if it was there.
    pub fn insert(&mut self, slot: u16) -> bool {
        let new = !self.contains(slot);
        self.0[usize::from(slot) / 64] |= 1 << (slot % 64);
        new
    }

    /// Takes `slot` out; false if it was not there.
    pub fn remove(&mut self, slot: u16) -> bool {
        let held = self.contains(slot);
        self.0[usize::from(slot) / 64] &= !(1 << (slot % 64));
        held
    }

    /// How many slots it holds.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }
}

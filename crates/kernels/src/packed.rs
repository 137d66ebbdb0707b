//! The resident forms of a block and of a query, laid out for the match kernel.

use crate::aligned::{LINE_BYTES, Lanes};
use crate::pack::{pack_group, unpack_group};
use crate::slab::{Place, idle_bytes};
use crate::{GROUP_BYTES, GROUPS, LANES, NttPoly, Q, modq};

/// Polynomials that one block or query may have: the bound on the kernel's lazy sums.
pub const MAX_POLYNOMIALS: usize = 2048;

fn check_count(polynomials: usize) {
    assert!(
        (1..=MAX_POLYNOMIALS).contains(&polynomials),
        "a block has 1 to {MAX_POLYNOMIALS} polynomials, not {polynomials}"
    );
}

/// A gallery block in memory: `C` polynomials in NTT form, 41 bits per value.
///
/// Layout: `[group of 8 values: 256][polynomial: C][41 bytes]`, 64-byte aligned, with enough bytes after the
/// last group that a 64-byte load of it stays inside. Blocks of one size lie together in huge pages where the
/// system gives them; memory goes back to it when no block is left nearby, or is kept for the next ones.
#[derive(Clone)]
pub struct PackedBlock {
    polynomials: usize,
    bytes: Place,
}

impl PackedBlock {
    /// A block of `polynomials` zero polynomials.
    ///
    /// # Panics
    ///
    /// If `polynomials` is 0 or more than [`MAX_POLYNOMIALS`].
    pub fn new(polynomials: usize) -> Self {
        check_count(polynomials);
        Self { polynomials, bytes: Place::zeroed(Self::needed_bytes(polynomials)) }
    }

    fn needed_bytes(polynomials: usize) -> usize {
        GROUPS * polynomials * GROUP_BYTES + LINE_BYTES - GROUP_BYTES
    }

    /// Bytes of memory of this process that dropped blocks still hold once there are `count` more blocks of
    /// `polynomials` polynomials: those take what blocks of their size left.
    pub fn idle_bytes(polynomials: usize, count: usize) -> usize {
        idle_bytes(Self::needed_bytes(polynomials), count)
    }

    /// The number `C` of polynomials.
    pub fn polynomials(&self) -> usize {
        self.polynomials
    }

    /// Bytes of memory taken, padding included.
    pub fn bytes(&self) -> usize {
        self.bytes.as_bytes().len()
    }

    /// Replaces polynomial `c`.
    ///
    /// # Panics
    ///
    /// If there is no polynomial `c`.
    pub fn set(&mut self, c: usize, p: &NttPoly) {
        for (bytes, group) in self.groups_mut(c).zip(p.values().as_chunks().0) {
            pack_group(group, bytes);
        }
    }

    /// Polynomial `c`.
    ///
    /// # Panics
    ///
    /// If there is no polynomial `c`.
    pub fn get(&self, c: usize) -> NttPoly {
        assert!(c < self.polynomials, "polynomial {c} of a block of {}", self.polynomials);
        let packed = self.bytes.as_bytes().as_chunks::<GROUP_BYTES>().0;
        let mut out = NttPoly::zero();
        let groups = out.values_mut().as_chunks_mut::<LANES>().0;
        for (group, bytes) in groups.iter_mut().zip(packed[c..].iter().step_by(self.polynomials)) {
            *group = unpack_group(bytes);
        }
        out
    }

    /// Adds `p` to polynomial `c`, modulo `Q`.
    ///
    /// # Panics
    ///
    /// If there is no polynomial `c`.
    pub fn add(&mut self, c: usize, p: &NttPoly) {
        for (bytes, group) in self.groups_mut(c).zip(p.values().as_chunks::<LANES>().0) {
            let mut sum = unpack_group(bytes);
            for (s, x) in sum.iter_mut().zip(group) {
                *s = modq::add(*s, *x);
            }
            pack_group(&sum, bytes);
        }
    }

    fn groups_mut(&mut self, c: usize) -> impl Iterator<Item = &mut [u8; GROUP_BYTES]> {
        assert!(c < self.polynomials, "polynomial {c} of a block of {}", self.polynomials);
        let packed = self.bytes.as_bytes_mut().as_chunks_mut::<GROUP_BYTES>().0;
        packed[c..].iter_mut().step_by(self.polynomials)
    }

    /// The whole memory, padding included.
    pub(crate) fn as_lanes(&self) -> &[Lanes] {
        self.bytes.as_lanes()
    }

    /// The packed values of group `group` from polynomial `first` on, and all that follows, padding included:
    /// at least 64 bytes from the beginning of every polynomial's 41.
    pub(crate) fn bytes_from(&self, group: usize, first: usize) -> &[u8] {
        &self.bytes.as_bytes()[(group * self.polynomials + first) * GROUP_BYTES..]
    }
}

/// A query in memory: `C` polynomials in NTT form, 64 bits per value.
///
/// Layout: `[group of 8 values: 256][polynomial: C][8 x u64]`, 64-byte aligned.
#[derive(Clone)]
pub struct PackedQuery {
    polynomials: usize,
    lanes: Vec<Lanes>,
}

impl PackedQuery {
    /// A query of `polynomials` zero polynomials.
    ///
    /// # Panics
    ///
    /// If `polynomials` is 0 or more than [`MAX_POLYNOMIALS`].
    pub fn new(polynomials: usize) -> Self {
        check_count(polynomials);
        Self { polynomials, lanes: vec![Lanes([0; LANES]); GROUPS * polynomials] }
    }

    /// The number `C` of polynomials.
    pub fn polynomials(&self) -> usize {
        self.polynomials
    }

    /// Bytes of memory taken.
    pub fn bytes(&self) -> usize {
        size_of_val(self.lanes.as_slice())
    }

    /// Replaces polynomial `c`.
    ///
    /// # Panics
    ///
    /// If there is no polynomial `c`.
    pub fn set(&mut self, c: usize, p: &NttPoly) {
        for (lanes, group) in self.lanes_mut(c).zip(p.values().as_chunks().0) {
            lanes.0 = *group;
        }
    }

    /// Polynomial `c`.
    ///
    /// # Panics
    ///
    /// If there is no polynomial `c`.
    pub fn get(&self, c: usize) -> NttPoly {
        assert!(c < self.polynomials, "polynomial {c} of a query of {}", self.polynomials);
        let mut out = NttPoly::zero();
        let groups = out.values_mut().as_chunks_mut::<LANES>().0;
        for (group, lanes) in groups.iter_mut().zip(self.lanes[c..].iter().step_by(self.polynomials)) {
            *group = lanes.0;
        }
        out
    }

    /// Adds `p` to polynomial `c`, modulo `Q`.
    ///
    /// # Panics
    ///
    /// If there is no polynomial `c`.
    pub fn add(&mut self, c: usize, p: &NttPoly) {
        for (lanes, group) in self.lanes_mut(c).zip(p.values().as_chunks::<LANES>().0) {
            for (s, x) in lanes.0.iter_mut().zip(group) {
                *s = modq::add(*s, *x);
            }
        }
    }

    /// Adds the number `value` (below `Q`) to polynomial `c`: to its constant coefficient, which is to say to
    /// every value of its NTT.
    ///
    /// # Panics
    ///
    /// If there is no polynomial `c`, or `value` is not below `Q`.
    pub fn add_constant(&mut self, c: usize, value: u64) {
        assert!(value < Q, "a constant is below the modulus");
        for lanes in self.lanes_mut(c) {
            for s in &mut lanes.0 {
                *s = modq::add(*s, value);
            }
        }
    }

    fn lanes_mut(&mut self, c: usize) -> impl Iterator<Item = &mut Lanes> {
        assert!(c < self.polynomials, "polynomial {c} of a query of {}", self.polynomials);
        self.lanes[c..].iter_mut().step_by(self.polynomials)
    }

    /// The values of group `group`, of at most `count` polynomials from `first` on.
    pub(crate) fn row(&self, group: usize, first: usize, count: usize) -> &[Lanes] {
        let end = self.polynomials.min(first + count);
        &self.lanes[group * self.polynomials..][first..end]
    }

    /// `count` of all polynomials of all groups, one after the other, from number `first` on.
    pub(crate) fn products(&self, first: usize, count: usize) -> &[Lanes] {
        &self.lanes[first..first + count]
    }
}

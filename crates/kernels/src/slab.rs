//! Memory of resident blocks: places in slabs of huge pages, neighbours one after the other.
//!
//! A gallery is read from end to end at the speed of memory, which 4 KiB pages would slow down by a page walk each.
//! So blocks lie in slabs that are aligned to huge pages and, on Linux, advised to be such. All blocks of a gallery
//! have one size; a slab holds places of one size only, so nothing is lost between them, and a place that a changed
//! block leaves is taken by the next. A slab goes back to the system when its last place is free.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::aligned::{LINE_BYTES, Lanes};

/// Bytes of a huge page of x86-64, and of the usual one of `AArch64`.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Bytes of a slab, at most, unless one place needs more. What is not used yet of a slab takes no memory.
const MAX_SLAB_BYTES: usize = 64 << 20;

/// Places that a slab has, unless that makes it too large.
const PLACES: usize = 64;

/// A buffer of bytes of its own, aligned to cache lines and made of whole ones.
pub(crate) struct Place {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a place is memory that nothing else points to, as with a `Box<[u8]>`.
unsafe impl Send for Place {}
// SAFETY: a shared place can only be read.
unsafe impl Sync for Place {}

impl Place {
    /// At least `min_bytes` bytes, all zero.
    pub(crate) fn zeroed(min_bytes: usize) -> Self {
        let (mut place, used) = Self::take(min_bytes);
        if used {
            place.as_bytes_mut().fill(0);
        }
        place
    }

    /// A place with any content, and whether it was used before: if not, it is zero. All of it is initialised.
    fn take(min_bytes: usize) -> (Self, bool) {
        let bytes = min_bytes.next_multiple_of(LINE_BYTES);
        let (start, used) = sizes().entry(bytes).or_default().take(bytes);
        (Self { start, bytes }, used)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: the place is `bytes` bytes of a slab that stays mapped until the place is dropped; they are
        // initialised, since the system gives memory zeroed; nothing writes them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_bytes`; `&mut self` makes the borrow unique.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }

    /// The whole buffer, in little-endian words.
    pub(crate) fn as_lanes(&self) -> &[Lanes] {
        // SAFETY: as in `as_bytes`; the start is aligned to a line, `bytes` is a multiple of one, and every byte
        // pattern is a valid `Lanes`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.bytes / LINE_BYTES) }
    }
}

impl Clone for Place {
    fn clone(&self) -> Self {
        let (mut copy, _) = Self::take(self.bytes);
        copy.as_bytes_mut().copy_from_slice(self.as_bytes());
        copy
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sizes = sizes();
        let size = sizes.get_mut(&self.bytes).expect("a place belongs to a slab of its size");
        size.give_back(self.start, self.bytes);
        if size.slabs.is_empty() {
            sizes.remove(&self.bytes);
        }
    }
}

/// All slabs, by the bytes of their places. Whoever holds the lock leaves it consistent before anything can panic.
fn sizes() -> MutexGuard<'static, BTreeMap<usize, Size>> {
    static SIZES: Mutex<BTreeMap<usize, Size>> = Mutex::new(BTreeMap::new());
    SIZES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The slabs with places of one size.
#[derive(Default)]
struct Size {
    /// By address.
    slabs: BTreeMap<usize, Slab>,
    /// Addresses of those with a place that was used and is free.
    with_free: BTreeSet<usize>,
    /// The address of the one with places that were never used, if there is one.
    unfinished: Option<usize>,
}

struct Slab {
    region: Region,
    /// Places that were taken at some time: the first ones.
    begun: usize,
    /// Those of them that are free.
    free: BTreeSet<usize>,
}

impl Size {
    /// A free place and whether it was used before; used places first, since the others take no memory yet.
    fn take(&mut self, place_bytes: usize) -> (NonNull<u8>, bool) {
        let address = self.with_free.first().copied().or(self.unfinished);
        let address = address.unwrap_or_else(|| self.add_slab(place_bytes));
        let slab = self.slabs.get_mut(&address).expect("a slab with room is a slab");
        let used = slab.free.pop_first();
        if slab.free.is_empty() {
            self.with_free.remove(&address);
        }
        let index = used.unwrap_or(slab.begun);
        slab.begun = slab.begun.max(index + 1);
        if self.unfinished == Some(address) && slab.begun == slab.region.bytes / place_bytes {
            self.unfinished = None;
        }
        // SAFETY: `index` is below the number of places, so that the place lies within the slab.
        (unsafe { slab.region.start.add(index * place_bytes) }, used.is_some())
    }

    fn add_slab(&mut self, place_bytes: usize) -> usize {
        let bytes = (PLACES * place_bytes).min(MAX_SLAB_BYTES).max(place_bytes);
        let region = Region::map(bytes.next_multiple_of(HUGE_PAGE_BYTES));
        let address = region.start.addr().get();
        self.slabs.insert(address, Slab { region, begun: 0, free: BTreeSet::new() });
        self.unfinished = Some(address);
        address
    }

    fn give_back(&mut self, start: NonNull<u8>, place_bytes: usize) {
        let (&address, slab) =
            self.slabs.range_mut(..=start.addr().get()).next_back().expect("a place lies in a slab");
        slab.free.insert((start.addr().get() - address) / place_bytes);
        self.with_free.insert(address);
        if slab.free.len() == slab.begun {
            self.with_free.remove(&address);
            self.unfinished.take_if(|unfinished| *unfinished == address);
            self.slabs.remove(&address);
        }
    }
}

/// Memory from the system, zeroed, aligned to huge pages and a multiple of one long.
struct Region {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the region is memory that only its owner knows of; any thread may unmap it.
unsafe impl Send for Region {}

#[cfg(target_os = "linux")]
mod system {
    use std::alloc::{Layout, handle_alloc_error};
    use std::ptr::{NonNull, null_mut};

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

    use super::{HUGE_PAGE_BYTES, Region};

    impl Region {
        pub(super) fn map(bytes: usize) -> Self {
            let mapped_bytes = bytes + HUGE_PAGE_BYTES;
            // SAFETY: a new private mapping, at an address that the system chooses, touches no other memory.
            let mapped = unsafe {
                let access = ProtFlags::READ | ProtFlags::WRITE;
                mmap_anonymous(null_mut(), mapped_bytes, access, MapFlags::PRIVATE)
            };
            let mapped = mapped.ok().and_then(|mapped| NonNull::new(mapped.cast::<u8>()));
            let Some(mapped) = mapped else {
                handle_alloc_error(Layout::array::<u8>(bytes).expect("a slab is smaller than memory"))
            };
            let before = mapped.align_offset(HUGE_PAGE_BYTES);
            // SAFETY: what is kept are `bytes` bytes of the mapping, which is a whole huge page longer; what is
            // unmapped are the parts of it before and after them, in whole pages, that nobody knows of. The advice
            // changes no content.
            unsafe {
                let start = mapped.add(before);
                unmap(mapped, before);
                unmap(start.add(bytes), HUGE_PAGE_BYTES - before);
                // Without huge pages everything works too, only slower.
                let _ = madvise(start.as_ptr().cast(), bytes, Advice::LinuxHugepage);
                Self { start, bytes }
            }
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            // SAFETY: the region is a mapping of its own, and no place in it is in use any more.
            unsafe { unmap(self.start, self.bytes) }
        }
    }

    /// # Safety
    ///
    /// As `munmap`: whole pages of a mapping, and nothing points to them.
    unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
        if bytes > 0 {
            // SAFETY: the caller's promise. It fails only if the system runs out of mappings; the memory is lost then.
            let _ = unsafe { munmap(start.as_ptr().cast(), bytes) };
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
    use std::ptr::NonNull;

    use super::{HUGE_PAGE_BYTES, Region};

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, HUGE_PAGE_BYTES).expect("a slab is smaller than memory")
    }

    impl Region {
        pub(super) fn map(bytes: usize) -> Self {
            // SAFETY: a slab has at least one huge page.
            let start = unsafe { alloc_zeroed(layout(bytes)) };
            let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout(bytes)));
            Self { start, bytes }
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            // SAFETY: allocated with this layout, and no place in it is in use any more.
            unsafe { dealloc(self.start.as_ptr(), layout(self.bytes)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slabs of places of a size, and places taken in them; a test uses a size that no other uses.
    fn slabs(bytes: usize) -> Vec<(usize, usize)> {
        let sizes = sizes();
        let taken = |slab: &Slab| (slab.region.bytes, slab.begun - slab.free.len());
        sizes.get(&bytes).map_or(Vec::new(), |size| size.slabs.values().map(taken).collect())
    }

    fn filled(bytes: usize, byte: u8) -> Place {
        let mut place = Place::zeroed(bytes);
        assert!(place.as_bytes().len() == bytes && place.as_bytes().iter().all(|&b| b == 0));
        place.as_bytes_mut().fill(byte);
        place
    }

    #[test]
    fn places_keep_their_content_while_others_come_and_go() {
        let bytes = 64 * 1021;
        let mut places: Vec<_> = (0..150).map(|i| filled(bytes, i)).collect();
        let copies: Vec<_> = places.iter().step_by(3).cloned().collect();
        places.retain(|place| place.as_bytes()[0] % 2 == 0);
        // These take places that were used, and are zero nevertheless.
        places.extend((150..250).map(|i| filled(bytes, i)));
        let kept = (0..150).step_by(2).chain(150..250);
        for (place, byte) in places.iter().zip(kept).chain(copies.iter().zip((0..150).step_by(3))) {
            assert!(place.as_bytes().iter().all(|&b| b == byte), "place {byte}");
            assert_eq!(place.as_lanes().len(), 1021);
        }
        assert_eq!(slabs(bytes).iter().map(|&(_, taken)| taken).sum::<usize>(), places.len() + copies.len());
        let part = places.split_off(60);
        drop((places, copies));
        assert_eq!(slabs(bytes).iter().map(|&(_, taken)| taken).sum::<usize>(), part.len());
        drop(part);
        assert_eq!(slabs(bytes), []);
    }

    #[test]
    fn neighbours_lie_one_after_the_other_and_a_freed_place_is_taken_again() {
        let bytes = 64 * 4099;
        let mut places: Vec<_> = (0..5).map(|i| filled(bytes, i)).collect();
        let starts: Vec<_> = places.iter().map(|place| place.start).collect();
        assert_eq!(starts[0].align_offset(HUGE_PAGE_BYTES), 0);
        assert!(starts.windows(2).all(|pair| pair[1].addr().get() - pair[0].addr().get() == bytes));
        drop(places.remove(2));
        assert_eq!(filled(bytes, 7).start, starts[2]);
        assert_eq!(slabs(bytes), [((64 * bytes).next_multiple_of(HUGE_PAGE_BYTES), 4)]);
    }

    #[test]
    fn a_slab_is_as_large_as_it_must_be_and_no_larger() {
        let sizes = [(64 * 3, 2 << 20), (64 * 40_009, 64 << 20), (64 * 1_100_011, 68 << 20)];
        for (bytes, slab_bytes) in sizes {
            let place = filled(bytes, 1);
            assert_eq!(slabs(bytes), [(slab_bytes, 1)], "places of {bytes} bytes");
            drop(place);
        }
    }

    #[test]
    fn threads_take_and_give_back_at_once() {
        let bytes = 64 * 131;
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    for round in 0..50 {
                        let places: Vec<_> = (0..20).map(|_| filled(bytes, thread)).collect();
                        let copies = places.clone();
                        drop(places);
                        assert!(
                            copies.iter().all(|place| place.as_bytes().iter().all(|&b| b == thread)),
                            "{round}"
                        );
                    }
                });
            }
        });
        assert_eq!(slabs(bytes), []);
    }
}

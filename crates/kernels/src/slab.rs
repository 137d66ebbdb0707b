//! Memory of resident blocks: places in slabs of huge pages, neighbours one after the other.
//!
//! A gallery is read from end to end at the speed of memory, which 4 KiB pages would slow down by a page walk each.
//! So blocks lie in slabs that are aligned to huge pages and, on Linux, advised to be such. All blocks of a gallery
//! have one size; a slab holds places of one size only, so nothing is lost between them, and a place that a changed
//! block leaves is taken by the next. A slab goes back to the system when its last place is free, and huge pages
//! without a block before that, once many free places are held.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::aligned::{LINE_BYTES, Lanes};

/// Bytes of a huge page of x86-64, and of the usual one of `AArch64`.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Bytes of a slab, at most, unless one place needs more. What is not used yet of a slab takes no memory.
const MAX_SLAB_BYTES: usize = 64 << 20;

/// Places that a slab has, unless that makes it too large.
const PLACES: usize = 64;

/// Bytes of free places that are kept for the next blocks, at most, if they make up whole huge pages: as many as one
/// change of a gallery leaves.
const KEPT_IDLE_BYTES: usize = 64 << 20;

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
        let (start, used) = slabs().take(bytes);
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
        let region = slabs().give_back(self.start, self.bytes);
        // Unmapping takes a while, and nobody waits for it.
        drop(region);
    }
}

/// Bytes that free places hold in memory once `count` more places of at least `min_bytes` bytes are taken. What lies
/// between the last place and the end of its huge page is not counted: at most a huge page for each size.
pub(crate) fn idle_bytes(min_bytes: usize, count: usize) -> usize {
    slabs().idle_bytes_with(min_bytes.next_multiple_of(LINE_BYTES), count)
}

/// All slabs. Whoever holds the lock leaves them consistent before anything can panic.
fn slabs() -> MutexGuard<'static, Slabs> {
    static SLABS: Mutex<Slabs> = Mutex::new(Slabs::new(KEPT_IDLE_BYTES));
    SLABS.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Slabs {
    /// By the bytes of their places.
    sizes: BTreeMap<usize, Size>,
    /// Bytes of free places that take memory.
    idle_bytes: usize,
    /// Idle bytes from which on huge pages go back to the system.
    kept_bytes: usize,
}

impl Slabs {
    const fn new(kept_bytes: usize) -> Self {
        Self { sizes: BTreeMap::new(), idle_bytes: 0, kept_bytes }
    }

    /// A free place, and whether it was used before: if not, it is zero.
    fn take(&mut self, place_bytes: usize) -> (NonNull<u8>, bool) {
        let (start, used) = self.sizes.entry(place_bytes).or_default().take(place_bytes);
        if used {
            self.idle_bytes -= place_bytes;
        }
        (start, used)
    }

    /// Frees a place. What is returned is to be unmapped when the lock is released.
    fn give_back(&mut self, start: NonNull<u8>, place_bytes: usize) -> Option<Region> {
        self.idle_bytes += place_bytes;
        let discard = self.idle_bytes > self.kept_bytes;
        let size = self.sizes.get_mut(&place_bytes).expect("a place belongs to a slab of its size");
        let (places, region) = size.give_back(start, place_bytes, discard);
        self.idle_bytes -= places * place_bytes;
        if size.slabs.is_empty() {
            self.sizes.remove(&place_bytes);
        }
        region
    }

    fn idle_bytes_with(&self, place_bytes: usize, count: usize) -> usize {
        let reused = self.sizes.get(&place_bytes).map_or(0, |size| size.idle_places.min(count));
        self.idle_bytes - reused * place_bytes
    }
}

/// The slabs with places of one size.
#[derive(Default)]
struct Size {
    /// By address.
    slabs: BTreeMap<usize, Slab>,
    /// Addresses of those with a place that is free and takes memory.
    with_idle: BTreeSet<usize>,
    /// Addresses of those with a place that is free and takes none.
    with_fresh: BTreeSet<usize>,
    /// Places that are free and take memory.
    idle_places: usize,
}

struct Slab {
    region: Region,
    /// Places in use.
    taken: usize,
    /// Free places that were used.
    idle: BTreeSet<usize>,
    /// Free places that are zero, and of whose pages none was used since it came from the system.
    fresh: BTreeSet<usize>,
    pages: Vec<Page>,
}

/// A huge page of a slab.
#[derive(Clone, Default)]
struct Page {
    /// Places in use that begin, end or go on in it.
    taken: usize,
    /// Whether there was one since it came from the system.
    touched: bool,
}

impl Size {
    /// A free place and whether it was used before; used places first, since the others take no memory yet.
    fn take(&mut self, place_bytes: usize) -> (NonNull<u8>, bool) {
        let address = self.with_idle.first().or(self.with_fresh.first()).copied();
        let address = address.unwrap_or_else(|| self.add_slab(place_bytes));
        let slab = self.slabs.get_mut(&address).expect("a slab with room is a slab");
        let idle = slab.idle.pop_first();
        let index = idle.or_else(|| slab.fresh.pop_first()).expect("a slab with room has a free place");
        slab.taken += 1;
        for page in &mut slab.pages[pages_of(index, place_bytes)] {
            *page = Page { taken: page.taken + 1, touched: true };
        }
        // SAFETY: `index` is below the number of places, so that the place lies within the slab.
        let start = unsafe { slab.region.start.add(index * place_bytes) };
        self.idle_places -= usize::from(idle.is_some());
        self.note_room(address);
        (start, idle.is_some())
    }

    fn add_slab(&mut self, place_bytes: usize) -> usize {
        let bytes = (PLACES * place_bytes).min(MAX_SLAB_BYTES).max(place_bytes);
        let region = Region::map(bytes.next_multiple_of(HUGE_PAGE_BYTES));
        let address = region.start.addr().get();
        let fresh = (0..region.bytes / place_bytes).collect();
        let pages = vec![Page::default(); region.bytes / HUGE_PAGE_BYTES];
        self.slabs.insert(address, Slab { region, taken: 0, idle: BTreeSet::new(), fresh, pages });
        address
    }

    /// How many idle places take no memory any more, and the slab if it is empty. Otherwise, huge pages that the place
    /// leaves empty are given to the system if `discard` says so.
    fn give_back(
        &mut self,
        start: NonNull<u8>,
        place_bytes: usize,
        discard: bool,
    ) -> (usize, Option<Region>) {
        let (&address, slab) =
            self.slabs.range_mut(..=start.addr().get()).next_back().expect("a place lies in a slab");
        let index = (start.addr().get() - address) / place_bytes;
        slab.taken -= 1;
        slab.idle.insert(index);
        slab.pages[pages_of(index, place_bytes)].iter_mut().for_each(|page| page.taken -= 1);
        let (places, region) = if slab.taken == 0 {
            (slab.idle.len(), self.slabs.remove(&address).map(|slab| slab.region))
        } else if discard {
            (slab.discard_around(index, place_bytes), None)
        } else {
            (0, None)
        };
        self.idle_places += 1;
        self.idle_places -= places;
        self.note_room(address);
        (places, region)
    }

    /// Notes what free places the slab has, if there is one at this address.
    fn note_room(&mut self, address: usize) {
        let slab = self.slabs.get(&address);
        let note = |set: &mut BTreeSet<usize>, has_room: bool| {
            if has_room { set.insert(address) } else { set.remove(&address) }
        };
        note(&mut self.with_idle, slab.is_some_and(|slab| !slab.idle.is_empty()));
        note(&mut self.with_fresh, slab.is_some_and(|slab| !slab.fresh.is_empty()));
    }
}

impl Slab {
    /// Gives the huge pages of a free place to the system, where no place is in use; gives the number of idle places
    /// that became fresh. An idle place that has a page in use too remains idle: its other pages are zero now, which
    /// is as good as any content.
    fn discard_around(&mut self, index: usize, place_bytes: usize) -> usize {
        let discarded = pages_of(index, place_bytes);
        for number in discarded.clone() {
            let page = &mut self.pages[number];
            if page.taken == 0 && page.touched {
                // SAFETY: no place in use has a byte in this page, and the idle ones promise no content.
                page.touched = !unsafe { self.region.discard(number) };
            }
        }
        let first = discarded.start * HUGE_PAGE_BYTES / place_bytes;
        let end = (discarded.end * HUGE_PAGE_BYTES).div_ceil(place_bytes);
        let untouched =
            |index: usize| self.pages[pages_of(index, place_bytes)].iter().all(|page| !page.touched);
        let fresh: Vec<usize> =
            self.idle.range(first..end).copied().filter(|&index| untouched(index)).collect();
        for index in &fresh {
            self.idle.remove(index);
        }
        self.fresh.extend(&fresh);
        fresh.len()
    }
}

/// The huge pages in which a place lies.
fn pages_of(index: usize, place_bytes: usize) -> Range<usize> {
    let start = index * place_bytes;
    start / HUGE_PAGE_BYTES..(start + place_bytes).div_ceil(HUGE_PAGE_BYTES)
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

        /// Gives a huge page to the system and says whether that worked: then the page is zero.
        ///
        /// # Safety
        ///
        /// It is a page of the region, and nobody relies on what is in it.
        pub(super) unsafe fn discard(&self, page: usize) -> bool {
            // SAFETY: the caller's promise: the page is part of the mapping, and its content may change.
            unsafe {
                let start = self.start.add(page * HUGE_PAGE_BYTES);
                madvise(start.as_ptr().cast(), HUGE_PAGE_BYTES, Advice::LinuxDontNeed).is_ok()
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

        /// Pages stay where they are.
        ///
        /// # Safety
        ///
        /// None is needed here.
        pub(super) unsafe fn discard(&self, _page: usize) -> bool {
            false
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
        let slabs = super::slabs();
        let taken = |slab: &Slab| (slab.region.bytes, slab.taken);
        slabs.sizes.get(&bytes).map_or(Vec::new(), |size| size.slabs.values().map(taken).collect())
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

    fn fill(start: NonNull<u8>, bytes: usize, byte: u8) {
        // SAFETY: a place that was taken and not given back.
        unsafe { start.as_ptr().write_bytes(byte, bytes) }
    }

    fn holds(start: NonNull<u8>, bytes: usize, byte: u8) -> bool {
        // SAFETY: as in `fill`; places are initialised.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), bytes) }.iter().all(|&b| b == byte)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn huge_pages_without_a_place_in_use_go_back_and_their_places_are_zero() {
        // 2.4 MiB: every place shares its first and last page with its neighbours.
        let bytes = 64 * 40_009;
        let mut slabs = Slabs::new(0);
        let places: Vec<_> = (0..12).map(|_| slabs.take(bytes).0).collect();
        places.iter().zip(1..).for_each(|(&place, byte)| fill(place, bytes, byte));
        assert_eq!(slabs.idle_bytes, 0);
        for place in &places[3..6] {
            assert!(slabs.give_back(*place, bytes).is_none());
        }
        // The outer two have a page that a neighbour needs.
        assert_eq!(slabs.idle_bytes, 2 * bytes);
        assert_eq!([0, 1, 5].map(|count| slabs.idle_bytes_with(bytes, count)), [2 * bytes, bytes, 0]);
        assert_eq!(slabs.idle_bytes_with(64, 5), 2 * bytes);
        let again: Vec<_> = (0..3).map(|_| slabs.take(bytes)).collect();
        // What takes memory comes first.
        assert_eq!(again, [(places[3], true), (places[5], true), (places[4], false)]);
        assert!(holds(places[4], bytes, 0));
        for &(place, _) in &again {
            fill(place, bytes, 77);
        }
        for (i, (&place, byte)) in places.iter().zip(1..).enumerate() {
            assert!(holds(place, bytes, if (3..6).contains(&i) { 77 } else { byte }), "place {i}");
        }
        let regions: Vec<_> = places.iter().filter_map(|place| slabs.give_back(*place, bytes)).collect();
        assert_eq!((regions.len(), slabs.idle_bytes, slabs.sizes.len()), (1, 0, 0));
    }

    #[test]
    fn free_places_are_kept_up_to_a_limit() {
        let bytes = HUGE_PAGE_BYTES;
        let mut slabs = Slabs::new(2 * bytes);
        let places: Vec<_> = (0..6).map(|_| slabs.take(bytes).0).collect();
        let idle = [1, 2, 3, 4].map(|i| {
            slabs.give_back(places[i], bytes);
            slabs.idle_bytes / bytes
        });
        assert_eq!(idle, if cfg!(target_os = "linux") { [1, 2, 2, 2] } else { [1, 2, 3, 4] });
        // As if never used: where they are in the slab is all that matters.
        let taken: BTreeSet<_> = (0..4).map(|_| slabs.take(bytes).0).collect();
        assert_eq!((taken, slabs.idle_bytes), (places[1..5].iter().copied().collect(), 0));
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

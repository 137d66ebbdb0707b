//! How much may wait at the same time: what finds no place is refused, before it costs work or a ticket.

use crate::Error;
use crate::config::cores;
use crate::galleries::Key;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places of identifications. One gallery gets at most half of them: callers who do not read the answers of a gallery
/// of theirs keep nobody out of the others.
pub(crate) struct Places {
    total: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_gallery: HashMap<Key, usize>,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    All,
    /// The gallery has as many as it may have.
    Gallery {
        /// That many.
        max: usize,
    },
}

/// A place, until it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    gallery: Key,
}

impl Places {
    pub(crate) fn new(total: usize) -> Self {
        Self { total, taken: Mutex::default() }
    }

    // Nothing panics while it is locked.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a gallery, if there is one.
    pub(crate) fn take(self: &Arc<Self>, gallery: Key) -> Result<Place, Full> {
        let max = self.total.div_ceil(2);
        let mut taken = self.taken();
        if taken.all >= self.total {
            return Err(Full::All);
        }
        let of_gallery = taken.by_gallery.entry(gallery).or_default();
        if *of_gallery >= max {
            return Err(Full::Gallery { max });
        }
        *of_gallery += 1;
        taken.all += 1;
        Ok(Place { places: self.clone(), gallery })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(of_gallery) = taken.by_gallery.get_mut(&self.gallery) {
            *of_gallery -= 1;
            if *of_gallery == 0 {
                taken.by_gallery.remove(&self.gallery);
            }
        }
    }
}

/// Verifications of one class that are computed off the async threads: as many at the same time as there are cores, and
/// some that wait.
pub(crate) struct Lane {
    places: Arc<Semaphore>,
    /// Those that are computed.
    pub(crate) running: Semaphore,
    max_waiting: usize,
}

impl Lane {
    pub(crate) fn new(max_waiting: usize) -> Self {
        let running = cores().get();
        Self {
            places: Arc::new(Semaphore::new(running + max_waiting)),
            running: Semaphore::new(running),
            max_waiting,
        }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Error::TooManyVerifications`] if there is none.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        let full = |_| Error::TooManyVerifications { max: self.max_waiting };
        self.places.clone().try_acquire_owned().map_err(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tyto_access::TenantId;
    use tyto_scheme::GalleryId;

    #[test]
    fn a_gallery_takes_half_of_the_places_and_no_more() {
        let places = Arc::new(Places::new(5));
        let take = |gallery| places.take((TenantId::BUILT_IN, GalleryId([gallery; 16])));
        let mut first: Vec<_> = (0..3).map(|_| take(1).unwrap()).collect();
        assert_eq!(take(1).err(), Some(Full::Gallery { max: 3 }));
        let others = [take(2).unwrap(), take(3).unwrap()];
        assert_eq!(take(2).err(), Some(Full::All));
        first.pop();
        assert!(take(1).is_ok(), "what was left is free again");
        drop((first, others));
        assert!(places.taken().by_gallery.is_empty(), "what is idle is forgotten");
    }

    #[test]
    fn a_lane_refuses_what_would_wait_behind_too_many() {
        let lane = Lane::new(2);
        let taken: Vec<_> = (0..cores().get() + 2).map(|_| lane.place().unwrap()).collect();
        assert!(matches!(lane.place(), Err(Error::TooManyVerifications { max: 2 })));
        drop(taken);
        assert!(lane.place().is_ok());
    }
}

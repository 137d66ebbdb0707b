//! The memory that galleries may take.

use crate::Error;
use crate::galleries::Galleries;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tyto_api::gallery::ProvisionCommit;
use tyto_engine::Block;
use tyto_scheme::GalleryParameters;
use tyto_store::Store;

/// Bounds what is resident, and what is about to be.
pub(crate) struct Residence {
    max_bytes: u64,
    /// Bytes of blocks that are packed and not in their gallery yet.
    reserved: Mutex<u64>,
}

/// Room for the blocks of a segment until they are in their gallery.
pub(crate) struct Room<'a> {
    residence: &'a Residence,
    bytes: u64,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        *self.residence.lock() -= self.bytes;
    }
}

impl Residence {
    pub(crate) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, reserved: Mutex::default() }
    }

    /// Reserves room for a segment's blocks and its manifest. Memory that the blocks of galleries left behind, between
    /// others that are still there, counts as taken, unless the new blocks lie in it.
    ///
    /// # Errors
    /// [`Error::ResidentBytes`].
    pub(crate) fn reserve(
        &self,
        galleries: &Galleries,
        parameters: &GalleryParameters,
        commit: &ProvisionCommit,
    ) -> Result<Room<'_>, Error> {
        let records: usize = commit.records.iter().map(|record| record.sealed.len()).sum();
        let blocks = commit.records.len() * (Block::packed_bytes(&parameters.layout) + size_of::<Block>());
        let bytes = (blocks + records + commit.manifest.sealed.len()) as u64;
        let mut reserved = self.lock();
        let idle = Block::idle_bytes(&parameters.layout, commit.records.len()) as u64;
        let found = galleries.resident_bytes() + *reserved + bytes + idle;
        if found > self.max_bytes {
            return Err(Error::ResidentBytes { found, max: self.max_bytes });
        }
        *reserved += bytes;
        Ok(Room { residence: self, bytes })
    }

    /// Checks that what is stored fits, before any of it is loaded. Counts the polynomials alone, so that whatever was
    /// accepted under a limit can be loaded under it.
    ///
    /// # Errors
    /// [`Error::LoadTooLarge`].
    pub(crate) async fn check_stored(&self, store: &Store) -> Result<(), Error> {
        let mut needed_bytes = 0;
        for row in store.galleries().await? {
            let blocks = store.of(row.tenant).counts(row.parameters.gallery).await?.blocks;
            needed_bytes += blocks * Block::packed_bytes(&row.parameters.layout) as u64;
        }
        let allowed_bytes = self.max_bytes;
        if needed_bytes > allowed_bytes {
            return Err(Error::LoadTooLarge { needed_bytes, allowed_bytes });
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

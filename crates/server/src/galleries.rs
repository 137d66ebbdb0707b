//! The galleries that this server holds in memory.

use crate::Error;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use tyto_access::TenantId;
use tyto_api::gallery::GalleryInfo;
use tyto_engine::Gallery;
use tyto_scheme::GalleryId;

/// One gallery: what is resident of it, and what is not matched against.
pub(crate) struct Entry {
    resident: RwLock<Arc<Gallery>>,
    /// Held by the one writer: from the check of a change to its installation.
    pub(crate) writer: Mutex<()>,
    pub(crate) sealed_descriptor: Bytes,
    pub(crate) created_unix_ms: u64,
}

impl Entry {
    pub(crate) fn new(gallery: Gallery, sealed_descriptor: Bytes, created_unix_ms: u64) -> Self {
        let resident = RwLock::new(Arc::new(gallery));
        Self { resident, writer: Mutex::new(()), sealed_descriptor, created_unix_ms }
    }

    pub(crate) fn resident(&self) -> Arc<Gallery> {
        self.resident.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces what is in memory by what was read from the store.
    pub(crate) fn replace(&self, gallery: Gallery) {
        *self.resident.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gallery);
    }

    pub(crate) fn info(&self) -> GalleryInfo {
        let gallery = self.resident();
        let snapshot = gallery.snapshot();
        GalleryInfo {
            parameters: *gallery.parameters(),
            sealed_descriptor: self.sealed_descriptor.clone(),
            manifest_version: snapshot.manifest_version(),
            blocks: snapshot.blocks().len() as u64,
            templates: snapshot.templates() as u64,
            slots_used: snapshot.slots_used() as u64,
            slots_total: snapshot.slots_total() as u64,
            resident_bytes: gallery.resident_bytes() as u64,
            created_unix_ms: self.created_unix_ms,
        }
    }
}

/// What a gallery is known by: two tenants may use one id.
pub(crate) type Key = (TenantId, GalleryId);

/// The galleries of all tenants.
#[derive(Default)]
pub(crate) struct Galleries {
    entries: RwLock<BTreeMap<Key, Arc<Entry>>>,
    /// Held while a gallery is created or deleted, in store and memory.
    pub(crate) lifecycle: Mutex<()>,
}

/// Those of one tenant.
pub(crate) struct GalleriesOf {
    /// Those of all.
    pub(crate) all: Arc<Galleries>,
    tenant: TenantId,
}

impl Galleries {
    pub(crate) fn of(self: &Arc<Self>, tenant: TenantId) -> GalleriesOf {
        GalleriesOf { all: self.clone(), tenant }
    }

    pub(crate) fn insert(&self, key: Key, entry: Entry) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(key, Arc::new(entry));
    }

    /// What they are.
    pub(crate) fn infos(&self) -> Vec<GalleryInfo> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().map(|entry| entry.info()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Bytes of memory that all galleries take.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().map(|entry| entry.resident().resident_bytes() as u64).sum()
    }
}

impl GalleriesOf {
    pub(crate) fn get(&self, gallery: GalleryId) -> Result<Arc<Entry>, Error> {
        let entries = self.all.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(&(self.tenant, gallery)).cloned().ok_or(Error::UnknownGallery(gallery))
    }

    pub(crate) fn insert(&self, gallery: GalleryId, entry: Entry) {
        self.all.insert((self.tenant, gallery), entry);
    }

    pub(crate) fn remove(&self, gallery: GalleryId) {
        let mut entries = self.all.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&(self.tenant, gallery));
    }

    /// Up to `count` galleries after an id, in order, of those that `shown` admits.
    pub(crate) fn page(
        &self,
        after: Option<GalleryId>,
        count: usize,
        shown: impl Fn(GalleryId) -> bool,
    ) -> Vec<Arc<Entry>> {
        let start = after.map_or(Bound::Included((self.tenant, GalleryId([0; 16]))), |after| {
            Bound::Excluded((self.tenant, after))
        });
        let end = Bound::Included((self.tenant, GalleryId([u8::MAX; 16])));
        let entries = self.all.entries.read().unwrap_or_else(PoisonError::into_inner);
        let shown = entries.range((start, end)).filter(|((_, id), _)| shown(*id));
        shown.take(count).map(|(_, entry)| entry.clone()).collect()
    }
}

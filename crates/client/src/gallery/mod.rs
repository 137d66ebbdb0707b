//! A gallery that is open.

mod attestation;
mod basis;
mod change;
mod commit;
mod directory;
mod enrol;
mod identify;
mod probes;
mod ranking;
mod remove;
mod replay;
mod segment;
mod sync;
mod tickets;
mod verify;
mod view;
mod writer;

use crate::client::Shared;
use crate::state::{Cache, HighWater};
use crate::{
    EnrolReport, Error, GalleryStat, Identification, IdentifyOptions, SubjectEntry, SyncReport, Verification,
    VerifyOptions,
};
use basis::Asked;
pub(crate) use change::{LoggedState, SentChange};
use directory::{Directory, Enrolled, SubjectHasher};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use sync::Fetcher;
use tickets::Pool;
use tokio::sync::Semaphore;
use tyto_api::gallery::GalleryInfo;
use tyto_api::proto::gallery::v1::DescribeGalleryRequest;
use tyto_scheme::{BlockId, GalleryId, GalleryParameters};
use tyto_tenant::probe::{self, DeviceTicket, DeviceUse};
use tyto_tenant::{Gallery, SubjectId, Template, TenantKey};
use view::{KnownManifest, View};
use writer::Writer;

pub use tickets::TicketMode;

/// An open gallery. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct GalleryHandle(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) gallery: Arc<Gallery>,
    pub(crate) marks: Arc<HighWater>,
    pub(crate) cache: Option<Arc<Cache>>,
    opening: SyncReport,
    view: RwLock<Arc<View>>,
    directory: RwLock<Directory>,
    hasher: SubjectHasher,
    sync_turn: tokio::sync::Mutex<()>,
    /// One mutation of this process at a time, so that it never conflicts with itself.
    mutation_turn: tokio::sync::Mutex<()>,
    writer: tokio::sync::Mutex<Writer>,
    verification: Pool<probe::Verification>,
    identification: Pool<probe::Identification>,
    /// Bounds the threads that decrypt.
    decrypting: Arc<Semaphore>,
}

/// Runs a computation, or what waits for a disk, on a thread that may be busy for long.
pub(crate) async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await?
}

/// Opens a gallery, with its masks from the cache if they are there, and for the next time if they are not.
fn open_gallery(
    key: &TenantKey,
    parameters: GalleryParameters,
    descriptor: &[u8],
    cache: Option<&Cache>,
) -> Result<Gallery, Error> {
    let masks = cache.and_then(Cache::masks).unwrap_or_default();
    let gallery = Gallery::open_with_masks(key, parameters, descriptor, &masks)?;
    if let Some(cache) = cache.filter(|_| gallery.has_expanded_masks()) {
        cache.put_masks(&gallery.seal_masks()?);
    }
    Ok(gallery)
}

/// The gallery as its server describes it.
pub(crate) async fn describe(shared: &Shared, gallery: GalleryId) -> Result<GalleryInfo, Error> {
    let request = DescribeGalleryRequest { gallery_id: bytes::Bytes::copy_from_slice(&gallery.0) };
    let describe = |rpc: crate::channel::Rpc| {
        let request = request.clone();
        async move { { rpc.gallery }.describe_gallery(request).await }
    };
    let answer = shared.rpc.repeat("DescribeGallery", describe).await?;
    let message = answer.gallery.ok_or(tyto_api::Error::Missing { field: "gallery" })?;
    let info = GalleryInfo::try_from(message)?;
    if info.parameters.gallery == gallery { Ok(info) } else { Err(Error::OtherGallery { gallery }) }
}

impl GalleryHandle {
    /// Opens what a server described: its descriptor, then everything in it.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        parameters: GalleryParameters,
        descriptor: bytes::Bytes,
    ) -> Result<Self, Error> {
        let (gallery, key) = (parameters.gallery, parameters.key);
        let with_key = Arc::clone(shared);
        let opened = compute(move || {
            let key = with_key.keyring.find(key).ok_or(Error::ForeignKey { gallery, key })?;
            let marks = Arc::new(HighWater::open(gallery, with_key.state.as_ref())?);
            let cache = with_key.state.as_ref().map(|state| Cache::new(state, gallery, &parameters.layout));
            let gallery = open_gallery(key, parameters, &descriptor, cache.as_ref())?;
            let hasher = SubjectHasher::default();
            let mut cached = None;
            if let Some(cache) = &cache
                && let Some(known) = KnownManifest::cached(&gallery, cache)
            {
                // It is this tenant's own: it counts as seen even if its blocks are damaged, and two of one version are
                // two histories.
                marks.observe(None, known.mark)?;
                marks.save()?;
                cached = View::cached(&gallery, &hasher, cache, known);
            }
            Ok((Arc::new(gallery), marks, cache.map(Arc::new), hasher, cached))
        });
        let (gallery, marks, cache, hasher, cached) = opened.await?;
        let (base, mut enrolled) =
            cached.map_or((None, Vec::new()), |(view, enrolled)| (Some(Arc::new(view)), enrolled));
        let fetcher = Fetcher {
            rpc: &shared.rpc,
            gallery: &gallery,
            hasher: &hasher,
            marks: &marks,
            cache: cache.as_ref(),
        };
        let fetched = fetcher.fetch(base.as_ref()).await?;
        enrolled.extend(fetched.enrolled);
        let opening = SyncReport {
            manifest_version: fetched.view.version(),
            changed_blocks: fetched.changed_blocks,
            new_entries: fetched.new_entries,
            bytes_received: fetched.bytes_received,
        };
        let handle = Self::assemble(shared, gallery, hasher, marks, cache, fetched.view, opening);
        handle.0.index(&enrolled);
        Ok(handle)
    }

    /// Opens a gallery that was created just now.
    pub(crate) async fn fresh(
        shared: &Arc<Shared>,
        gallery: Gallery,
        sealed_manifest: &[u8],
    ) -> Result<Self, Error> {
        let marks = Arc::new(HighWater::open(gallery.parameters().gallery, shared.state.as_ref())?);
        let known = KnownManifest::open(&gallery, 1, sealed_manifest)?;
        marks.observe(None, known.mark)?;
        let view = View::empty(known)?;
        let handle = Self::assemble(
            shared,
            Arc::new(gallery),
            SubjectHasher::default(),
            marks,
            None,
            view,
            SyncReport::default(),
        );
        handle.save_marks().await?;
        Ok(handle)
    }

    fn assemble(
        shared: &Arc<Shared>,
        gallery: Arc<Gallery>,
        hasher: SubjectHasher,
        marks: Arc<HighWater>,
        cache: Option<Arc<Cache>>,
        view: View,
        opening: SyncReport,
    ) -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self(Arc::new(Inner {
            shared: Arc::clone(shared),
            gallery,
            marks,
            cache,
            opening,
            view: RwLock::new(Arc::new(view)),
            directory: RwLock::default(),
            hasher,
            sync_turn: tokio::sync::Mutex::default(),
            mutation_turn: tokio::sync::Mutex::default(),
            writer: tokio::sync::Mutex::default(),
            verification: Pool::default(),
            identification: Pool::default(),
            decrypting: Arc::new(Semaphore::new(threads)),
        }))
    }

    /// The gallery's id.
    pub fn id(&self) -> GalleryId {
        self.0.id()
    }

    /// The gallery as its tenant sees it: name, layout, quantiser, pseudonyms.
    pub fn gallery(&self) -> &Gallery {
        &self.0.gallery
    }

    /// What was fetched when the gallery was opened: everything, or what changed since the state in the cache.
    pub fn opening(&self) -> &SyncReport {
        &self.0.opening
    }

    /// Fetches what changed since the last time: manifest, records, slot maps.
    ///
    /// # Errors
    /// Every way in which the answer can fail its checks, such as [`Error::RolledBack`], [`Error::Forked`],
    /// [`Error::MissingBlock`], [`Error::OtherRecord`].
    pub async fn sync(&self) -> Result<SyncReport, Error> {
        Ok(self.synchronise().await?.1)
    }

    /// The same; gives the newest view, too.
    pub(crate) async fn synchronise(&self) -> Result<(Arc<View>, SyncReport), Error> {
        let _turn = self.0.sync_turn.lock().await;
        self.fetch().await
    }

    /// Synchronises if nobody else did so meanwhile: until a manifest version is known.
    pub(crate) async fn catch_up(&self, version: u64) -> Result<Arc<View>, Error> {
        let _turn = self.0.sync_turn.lock().await;
        let view = self.0.view();
        let caught_up =
            if view.version() >= version { Ok(view) } else { self.fetch().await.map(|(view, _)| view) };
        // Whatever came of it: the answer that this is for was of a newer manifest than was known.
        self.save_marks().await?;
        caught_up
    }

    /// The caller holds the turn.
    async fn fetch(&self) -> Result<(Arc<View>, SyncReport), Error> {
        let inner = &*self.0;
        let base = inner.view();
        let fetcher = Fetcher {
            rpc: &inner.shared.rpc,
            gallery: &inner.gallery,
            hasher: &inner.hasher,
            marks: &inner.marks,
            cache: inner.cache.as_ref(),
        };
        let fetched = fetcher.fetch(Some(&base)).await?;
        let report = SyncReport {
            manifest_version: fetched.view.version(),
            changed_blocks: fetched.changed_blocks,
            new_entries: fetched.new_entries,
            bytes_received: fetched.bytes_received,
        };
        Ok((inner.install(fetched.view, &fetched.enrolled), report))
    }

    pub(crate) async fn save_marks(&self) -> Result<(), Error> {
        sync::save_marks(&self.0.marks).await
    }

    /// Synchronises and counts.
    pub async fn stat(&self) -> Result<GalleryStat, Error> {
        self.sync().await?;
        let info = describe(&self.0.shared, self.id()).await?;
        let parameters = *self.gallery().parameters();
        if info.parameters != parameters {
            return Err(Error::OtherGallery { gallery: self.id() });
        }
        let view = self.0.view();
        let blocks = view.blocks().len() as u64;
        Ok(GalleryStat {
            id: self.id(),
            parameters,
            manifest_version: view.version(),
            blocks,
            templates: view.blocks().map(|(_, state)| u64::from(state.filled)).sum(),
            slots_used: view.blocks().map(|(_, state)| u64::from(state.used)).sum(),
            slots_total: blocks * parameters.layout.slots() as u64,
            resident_bytes: info.resident_bytes,
            created_unix_ms: info.created_unix_ms,
        })
    }

    /// Synchronises and lists the subjects in order of their ids.
    pub async fn subjects(&self) -> Result<Vec<SubjectEntry>, Error> {
        self.sync().await?;
        let view = self.0.view();
        compute(move || {
            let mut subjects = BTreeMap::<Arc<SubjectId>, u32>::new();
            for (_, subject) in view.blocks().flat_map(|(_, state)| state.filled_slots()) {
                *subjects.entry(Arc::clone(subject)).or_default() += 1;
            }
            let entry = |(subject, templates)| SubjectEntry { subject, templates };
            Ok(subjects.into_iter().map(entry).collect())
        })
        .await
    }

    /// Enrols templates, in their order. `progress` is told how many are durably enrolled, after each transaction.
    ///
    /// # Errors
    /// [`Error::Enrolment`] says how many of the first templates are enrolled.
    pub async fn enrol<I>(
        &self,
        items: I,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<EnrolReport, Error>
    where
        I: IntoIterator<Item = (SubjectId, Template)>,
        I::IntoIter: Send,
    {
        self.enrol_all(&mut items.into_iter(), progress).await
    }

    /// Removes all templates of a subject. Returns how many there were.
    pub async fn remove(&self, subject: &SubjectId) -> Result<u64, Error> {
        self.remove_all(subject).await
    }

    /// Compares a probe with all templates of a subject (1:1).
    ///
    /// # Errors
    /// [`Error::UnknownSubject`] without asking for a comparison, if the tenant's records do not list the subject.
    pub async fn verify(&self, subject: &SubjectId, probe: &Template) -> Result<Verification, Error> {
        self.verify_with(subject, probe, VerifyOptions::default()).await
    }

    /// The same with options.
    pub async fn verify_with(
        &self,
        subject: &SubjectId,
        probe: &Template,
        options: VerifyOptions,
    ) -> Result<Verification, Error> {
        self.verify_probe(subject, probe, options).await
    }

    /// Compares a probe with all templates of the gallery (1:N).
    pub async fn identify(
        &self,
        probe: &Template,
        options: IdentifyOptions,
    ) -> Result<Identification, Error> {
        self.identify_probe(probe, options).await
    }

    /// Makes and uploads tickets until `count` are ready, and keeps that many ready from then on.
    ///
    /// # Errors
    /// [`Error::TooManyTickets`].
    pub async fn prepare_tickets<M: TicketMode>(&self, count: usize) -> Result<(), Error> {
        self.fill_pool::<M>(count).await
    }

    /// Makes and uploads a ticket whose pads go to a capture device. Its use is accepted once, by this process.
    ///
    /// # Errors
    /// [`Error::TooManyTickets`] if too many wait for their use.
    pub async fn issue_device_ticket<M: TicketMode>(&self) -> Result<DeviceTicket, Error> {
        self.issue::<M>().await
    }

    /// Verifies a probe that a device bound to a ticket and to `Target::Subject(pseudonym of the subject)`.
    ///
    /// # Errors
    /// [`Error::UnknownTicket`]; what [`IssuedTicket::accept`](probe::IssuedTicket::accept) refuses. A use that the
    /// device did not make for this subject leaves the ticket as it was.
    pub async fn verify_device_use(
        &self,
        subject: &SubjectId,
        used: &DeviceUse,
    ) -> Result<Verification, Error> {
        self.verify_use(subject, used).await
    }

    /// Identifies a probe that a device bound to a ticket and to `Target::Gallery`.
    ///
    /// # Errors
    /// As [`GalleryHandle::verify_device_use`].
    pub async fn identify_device_use(
        &self,
        used: &DeviceUse,
        options: IdentifyOptions,
    ) -> Result<Identification, Error> {
        self.identify_use(used, options).await
    }
}

impl std::fmt::Debug for GalleryHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GalleryHandle({})", self.id())
    }
}

impl Inner {
    pub(crate) fn id(&self) -> GalleryId {
        self.gallery.parameters().gallery
    }

    /// What is known now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state that a request made now is made in.
    pub(crate) fn asked(&self) -> Asked {
        // In this order: the mark is never older than the view.
        let view = self.view();
        Asked { view, floor: self.marks.current() }
    }

    fn index(&self, enrolled: &[(BlockId, Enrolled)]) {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        for (block, enrolled) in enrolled {
            directory.extend(*block, enrolled);
        }
    }

    /// Makes a view the current one, unless a newer one is. Returns the current one.
    pub(crate) fn install(&self, view: View, enrolled: &[(BlockId, Enrolled)]) -> Arc<View> {
        // The directory first: it may know more than a view, never less.
        self.index(enrolled);
        let mut current = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if view.version() > current.version() {
            *current = Arc::new(view);
        }
        Arc::clone(&current)
    }

    /// The slots with templates of a subject, by a view's slot maps.
    pub(crate) fn locate(&self, view: &View, subject: &SubjectId) -> Vec<(BlockId, u16)> {
        let hash = self.hasher.hash(subject);
        let places = self.directory.read().unwrap_or_else(PoisonError::into_inner).places(hash);
        view.confirm(subject, places)
    }
}

/// Locks what only plain code holds: no panic can leave it half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The client: galleries by name.

use crate::channel::Rpc;
use crate::gallery::{Inner, LoggedState, SentChange, compute, describe, lock};
use crate::log::KnownLog;
use crate::state::{Cache, HighWater, StateDir};
use crate::{Config, Error, GalleryHandle, GallerySummary};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, Weak};
use tyto_api::content;
use tyto_api::gallery::{CreateGallery, GalleryInfo};
use tyto_api::limits::MAX_AUDIENCE_BYTES;
use tyto_api::proto::gallery::v1 as proto;
use tyto_attest::GalleryOperation;
use tyto_attest::digest::blocks_root;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::{GalleryId, Layout};
use tyto_tenant::keyring::Keyring;
use tyto_tenant::{Gallery, Metric};

/// Most galleries of a server that are listed.
const MAX_GALLERIES: usize = 100_000;

/// A connection to a server with a keyring. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What the client and its galleries share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) keyring: Keyring,
    pub(crate) rpc: Rpc,
    pub(crate) state: Option<StateDir>,
    /// Galleries that are open, so that opening one twice gives one.
    open: Mutex<HashMap<GalleryId, Weak<Inner>>>,
    /// Galleries that this process deleted, in case that there is no state directory.
    deleted: Mutex<HashSet<GalleryId>>,
    /// The server's log, once it was asked for.
    pub(crate) log: Mutex<Option<Arc<KnownLog>>>,
}

impl Shared {
    /// Whether a gallery was deleted here: a server that lists it still, or again, is not believed. Reads the disk.
    fn is_deleted(&self, gallery: GalleryId) -> bool {
        lock(&self.deleted).contains(&gallery)
            || self.state.as_ref().is_some_and(|state| HighWater::is_entombed(gallery, state))
    }
}

/// A list of galleries that is coming in.
#[derive(Default)]
struct Listed {
    count: usize,
    last: Option<GalleryId>,
}

impl Listed {
    /// Takes the next entry; none if it cannot be read, such as one of a parameter set of the future.
    fn take(&mut self, message: proto::GalleryInfo) -> Result<Option<GalleryInfo>, Error> {
        self.count += 1;
        if self.count > MAX_GALLERIES {
            return Err(Error::TooManyGalleries { max: MAX_GALLERIES });
        }
        let info = match GalleryInfo::try_from(message) {
            Ok(info) => info,
            Err(error) => {
                tracing::warn!(%error, "a listed gallery cannot be read");
                return Ok(None);
            }
        };
        let id = info.parameters.gallery;
        if self.last.is_some_and(|last| last.0 >= id.0) {
            return Err(Error::OutOfOrder { call: "ListGalleries" });
        }
        self.last = Some(id);
        Ok(Some(info))
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Endpoint`], [`Error::Audience`], [`Error::AttestationsOff`], [`Error::Connect`], [`Error::File`] for the
    /// state directory.
    pub async fn connect(config: Config, keyring: Keyring) -> Result<Self, Error> {
        let audience = &config.audience;
        if audience.len() > MAX_AUDIENCE_BYTES || audience.chars().any(char::is_control) {
            return Err(Error::Audience { max_bytes: MAX_AUDIENCE_BYTES });
        }
        if config.trusted_keys.is_some() && !config.attestations {
            return Err(Error::AttestationsOff);
        }
        let state = config.state_dir.as_deref().map(StateDir::open).transpose()?;
        let rpc = Rpc::connect(&config).await?;
        let (open, deleted, log) = (Mutex::default(), Mutex::default(), Mutex::default());
        let shared = Shared { config, keyring, rpc, state, open, deleted, log };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Creates an empty gallery under the keyring's current key. Two processes that choose one name at the same time
    /// both succeed; the galleries are then told apart by their ids.
    ///
    /// # Errors
    /// [`Error::NameTaken`] if one of this keyring's galleries has the name; [`Error::Tenant`] for a name or metric
    /// that cannot be.
    pub async fn create_gallery(
        &self,
        name: &str,
        layout: Layout,
        metric: Metric,
    ) -> Result<GalleryHandle, Error> {
        if let Some(taken) = self.galleries().await?.iter().find(|other| other.name.as_deref() == Some(name))
        {
            return Err(Error::NameTaken { gallery: taken.id });
        }
        let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
        let (gallery, new) =
            compute(move || Ok(Gallery::create(shared.keyring.current()?, &name, layout, metric)?)).await?;
        let create = CreateGallery {
            parameters: new.parameters,
            sealed_descriptor: new.sealed_descriptor.into(),
            sealed_manifest: Bytes::copy_from_slice(&new.sealed_manifest),
        };
        let (request, mut attempts) = (proto::CreateGalleryRequest::from(create.clone()), 0);
        let send = |rpc: Rpc| {
            let request = request.clone();
            attempts += 1;
            async move { { rpc.gallery }.create_gallery(request).await }
        };
        let answer = self.shared.rpc.repeat("CreateGallery", send).await?;
        let handle = GalleryHandle::fresh(&self.shared, gallery, &new.sealed_manifest).await?;
        self.keep(&handle);
        let change = SentChange {
            call: "CreateGallery",
            operation: GalleryOperation::Create,
            gallery: handle.id(),
            items: 0,
            state: Some(LoggedState::new(1, &sha3_256(&[&create.sealed_manifest]), &blocks_root(&[]))),
            repeated: attempts > 1,
        };
        let request = move |out: &mut _| content::change::create(&create, out);
        let logged = answer.logged.map(TryInto::try_into).transpose()?;
        handle.0.settle_change(change, logged, request).await?;
        Ok(handle)
    }

    /// All galleries of the server but those that were deleted here. Those of foreign keys, and those whose
    /// description is not one that this keyring made, have no name; what cannot be read at all is left out.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if the list does not ascend, [`Error::TooManyGalleries`].
    pub async fn galleries(&self) -> Result<Vec<GallerySummary>, Error> {
        let mut summaries = Vec::new();
        let mut page_token = Bytes::new();
        let mut listed = Listed::default();
        loop {
            let request = proto::ListGalleriesRequest { page_size: 0, page_token };
            let list = |rpc: Rpc| {
                let request = request.clone();
                async move { { rpc.gallery }.list_galleries(request).await }
            };
            let page = self.shared.rpc.repeat("ListGalleries", list).await?;
            // A server that gives empty pages again and again would otherwise keep us here for ever.
            if page.galleries.is_empty() && !page.next_page_token.is_empty() {
                return Err(Error::OutOfOrder { call: "ListGalleries" });
            }
            for message in page.galleries {
                summaries.extend(listed.take(message)?.map(|info| self.summary(&info)));
            }
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        let shared = Arc::clone(&self.shared);
        compute(move || {
            summaries.retain(|summary| !shared.is_deleted(summary.id));
            Ok(summaries)
        })
        .await
    }

    fn summary(&self, info: &GalleryInfo) -> GallerySummary {
        let gallery = info.parameters.gallery;
        let key = self.shared.keyring.find(info.parameters.key);
        let opened = key.and_then(|key| {
            let peeked = Gallery::peek(key, &info.parameters, &info.sealed_descriptor);
            // Anybody may have made a gallery and said that it is under our key.
            peeked.inspect_err(|error| tracing::warn!(%gallery, %error, "a listed gallery is not ours")).ok()
        });
        let (name, metric) = opened.unzip();
        GallerySummary {
            id: gallery,
            name,
            metric,
            parameters: info.parameters,
            templates: info.templates,
            blocks: info.blocks,
            created_unix_ms: info.created_unix_ms,
        }
    }

    /// Opens a gallery by its name or its id of 32 hexadecimal digits, and synchronises it.
    ///
    /// # Errors
    /// [`Error::UnknownGallery`], [`Error::AmbiguousName`], [`Error::ForeignKey`]; as [`GalleryHandle::sync`].
    pub async fn open_gallery(&self, name_or_id: &str) -> Result<GalleryHandle, Error> {
        let id = self.find(name_or_id).await?;
        let known = lock(&self.shared.open).get(&id).and_then(Weak::upgrade);
        if let Some(inner) = known {
            let handle = GalleryHandle(inner);
            handle.sync().await?;
            return Ok(handle);
        }
        let info = describe(&self.shared, id).await?;
        let handle = GalleryHandle::open(&self.shared, info.parameters, info.sealed_descriptor).await?;
        Ok(self.keep(&handle))
    }

    /// Deletes a gallery of this keyring with everything in it.
    ///
    /// # Errors
    /// As [`Client::open_gallery`].
    pub async fn delete_gallery(&self, name_or_id: &str) -> Result<(), Error> {
        let id = self.find(name_or_id).await?;
        let request = proto::DeleteGalleryRequest { gallery_id: Bytes::copy_from_slice(&id.0) };
        let mut attempts = 0;
        let delete = |rpc: Rpc| {
            let request = request.clone();
            attempts += 1;
            async move { { rpc.gallery }.delete_gallery(request).await }
        };
        let (logged, gone) = match self.shared.rpc.repeat("DeleteGallery", delete).await {
            // It was there when it was looked up: an earlier attempt arrived, or somebody else was first.
            Err(error) if error.is_not_found() => (None, true),
            done => (done?.logged, false),
        };
        let change = SentChange {
            call: "DeleteGallery",
            operation: GalleryOperation::Delete,
            gallery: id,
            items: 0,
            // Others may have changed it since it was seen.
            state: None,
            repeated: gone || attempts > 1,
        };
        lock(&self.shared.open).remove(&id);
        lock(&self.shared.deleted).insert(id);
        let shared = Arc::clone(&self.shared);
        let forget = move || {
            if let Some(state) = &shared.state {
                Cache::delete(state, id);
                HighWater::entomb(id, state)?;
            }
            let logged = logged.map(TryInto::try_into).transpose()?;
            change.settle(&shared, logged, |out| content::change::delete(id, out))
        };
        compute(forget).await
    }

    /// The one gallery of this keyring that has a name or id.
    async fn find(&self, name_or_id: &str) -> Result<GalleryId, Error> {
        let galleries = self.galleries().await?;
        if let Some(id) = GalleryId::from_hex(name_or_id)
            && let Some(found) = galleries.iter().find(|gallery| gallery.id == id)
        {
            let key = found.parameters.key;
            // With a key of ours and a description that is not, opening says what is wrong with it.
            let known = self.shared.keyring.find(key).is_some();
            return if known { Ok(id) } else { Err(Error::ForeignKey { gallery: id, key }) };
        }
        let mut named = galleries.iter().filter(|gallery| gallery.name.as_deref() == Some(name_or_id));
        let name = name_or_id.to_owned();
        match (named.next(), named.count()) {
            (Some(found), 0) => Ok(found.id),
            (Some(_), others) => Err(Error::AmbiguousName { name, count: others + 1 }),
            (None, _) => Err(Error::UnknownGallery { name }),
        }
    }

    /// Keeps a handle for the next who opens the gallery; gives the one that is kept.
    fn keep(&self, handle: &GalleryHandle) -> GalleryHandle {
        let mut open = lock(&self.shared.open);
        open.retain(|_, inner| inner.strong_count() > 0);
        let kept = open.get(&handle.id()).and_then(Weak::upgrade);
        let kept = kept.unwrap_or_else(|| Arc::clone(&handle.0));
        open.insert(handle.id(), Arc::downgrade(&kept));
        GalleryHandle(kept)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.shared.config.endpoint).finish_non_exhaustive()
    }
}

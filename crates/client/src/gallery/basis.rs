//! What an answer was computed on: the checks that every matching answer goes through before anything is decrypted.

use super::Inner;
use super::view::{KnownManifest, View};
use crate::Error;
use crate::state::Mark;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use tyto_api::matching::SnapshotState;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::BlockId;
use tyto_tenant::decrypt::BlockView;
use tyto_tenant::manifest::ManifestEntry;
use tyto_tenant::record::Record;

/// The state that a request was made in.
#[derive(Clone)]
pub(crate) struct Asked {
    /// What the client knew; its version is the one that the request states.
    pub(crate) view: Arc<View>,
    /// The newest manifest seen by then.
    pub(crate) floor: Option<Mark>,
}

/// The accepted snapshot of an answer.
pub(crate) struct Basis {
    asked: Asked,
    /// What the client knows by now, if that is newer than when it asked.
    synced: Option<Arc<View>>,
    /// The snapshot's manifest, if it is not that of the view.
    newer: Option<Newer>,
}

struct Newer {
    known: KnownManifest,
    positions: HashMap<BlockId, usize>,
}

/// A block of an answer, ready to decrypt it, and the digest of its record.
pub(crate) struct Readable {
    pub(crate) view: Arc<BlockView>,
    pub(crate) record_digest: [u8; 32],
}

impl Basis {
    /// Accepts the snapshot of an answer, or refuses it.
    ///
    /// # Errors
    /// [`Error::RolledBack`], [`Error::Forked`], [`Error::MissingManifest`], as [`View::check_successor`], or [`Error::Tenant`] for a manifest that
    /// this key did not seal.
    pub(crate) fn accept(inner: &Inner, asked: Asked, snapshot: &SnapshotState) -> Result<Self, Error> {
        let (version, stated) = (snapshot.manifest_version, asked.view.version());
        let gallery = inner.id();
        if version < stated {
            return Err(Error::RolledBack { gallery, found: version, known: stated });
        }
        let came = snapshot.sealed_manifest.as_ref();
        let came = came.map(|sealed| KnownManifest::open(&inner.gallery, version, sealed)).transpose()?;
        let newer = match came {
            None if version == stated => None,
            None => return Err(Error::MissingManifest { version }),
            Some(known) if version == stated && known.mark != asked.view.known.mark => {
                return Err(Error::Forked { gallery, version });
            }
            Some(_) if version == stated => None,
            Some(known) => {
                let entries = known.manifest.entries().iter().enumerate();
                let positions: HashMap<_, _> = entries.map(|(at, entry)| (entry.block, at)).collect();
                let listed = |block| positions.get(&block).map(|&at: &usize| &known.manifest.entries()[at]);
                asked.view.check_successor(listed)?;
                Some(Newer { known, positions })
            }
        };
        let basis = Self { asked, synced: None, newer };
        inner.marks.observe(basis.asked.floor, basis.known().mark)?;
        Ok(basis)
    }

    /// The basis of an answer that was computed on what the client knew.
    #[cfg(test)]
    pub(crate) fn of_view(view: Arc<View>) -> Self {
        Self { asked: Asked { view, floor: None }, synced: None, newer: None }
    }

    /// Whether the answer was computed on something newer than the client knew.
    pub(crate) fn is_newer(&self) -> bool {
        self.newer.is_some()
    }

    /// Adds what the client knows by now.
    pub(crate) fn set_synced(&mut self, view: Arc<View>) {
        self.synced = Some(view);
    }

    pub(crate) fn known(&self) -> &KnownManifest {
        self.newer.as_ref().map_or(&self.asked.view.known, |newer| &newer.known)
    }

    pub(crate) fn version(&self) -> u64 {
        self.known().mark.version
    }

    pub(crate) fn entries(&self) -> &[ManifestEntry] {
        self.known().manifest.entries()
    }

    /// A block's place in the snapshot's manifest, and what the manifest says of it.
    ///
    /// # Errors
    /// [`Error::UnknownBlock`], [`Error::StaleBlock`].
    pub(crate) fn listed(&self, block: BlockId, version: u64) -> Result<usize, Error> {
        let position = self.position(block).ok_or(Error::UnknownBlock(block))?;
        let listed = self.entries()[position].version;
        if version == listed {
            Ok(position)
        } else {
            Err(Error::StaleBlock { block, found: version, listed })
        }
    }

    pub(crate) fn position(&self, block: BlockId) -> Option<usize> {
        match &self.newer {
            Some(newer) => newer.positions.get(&block).copied(),
            None => self.asked.view.position(block),
        }
    }

    /// What the client caught up to, if the answer was computed on something newer than it knew.
    pub(crate) fn synced(&self) -> Option<&Arc<View>> {
        self.synced.as_ref()
    }

    /// The views that may know a block of the answer: the newest first.
    pub(crate) fn views(&self) -> impl Iterator<Item = &Arc<View>> {
        self.synced.iter().chain([&self.asked.view])
    }

    /// The record of a block at exactly the version that the snapshot lists, ready to decrypt: known, or come along.
    ///
    /// # Errors
    /// [`Error::MissingRecord`], [`Error::OtherRecord`], or [`Error::Tenant`] for a record that this key did not seal.
    pub(crate) fn readable(
        &self,
        inner: &Inner,
        position: usize,
        came: Option<&Bytes>,
    ) -> Result<Readable, Error> {
        let entry = &self.entries()[position];
        let block = entry.block;
        let hot = position < inner.shared.config.hot_blocks;
        let mut known = self.views().filter_map(|view| view.block(block));
        if let Some(state) = known.find(|state| state.is(entry)) {
            let view = state.view(&inner.gallery, block, hot)?;
            return Ok(Readable { view, record_digest: state.record_digest });
        }
        let sealed = came.ok_or(Error::MissingRecord(block))?;
        let record_digest = sha3_256(&[sealed]);
        if record_digest[..16] != entry.record_digest {
            return Err(Error::OtherRecord(block));
        }
        let record = Record::open(&inner.gallery, block, entry.version, sealed)?;
        Ok(Readable { view: Arc::new(BlockView::new(&inner.gallery, record)), record_digest })
    }
}

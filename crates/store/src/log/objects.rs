//! The objects of the log: tiles, bundles of entries and the newest checkpoint, with the paths of C2SP tlog-tiles.

use crate::{Error, Object};
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStoreExt, PutPayload};
use std::path::Path;
use tyto_attest::log::{EntryBundle, LogError, TILE_WIDTH, Tile, TileId};

/// Where the newest checkpoint is.
const CHECKPOINT: &str = "checkpoint";

pub(crate) struct LogObjects {
    /// Syncs files, and the folders that it creates; removes folders that become empty.
    files: LocalFileSystem,
}

impl LogObjects {
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        crate::sync_dir(root)?;
        let files = LocalFileSystem::new_with_prefix(root)?.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self { files })
    }

    pub(super) async fn put_tile(&self, tile: &Tile) -> Result<(), Error> {
        self.put(&tile.id().path(), tile.to_bytes().into()).await
    }

    /// Puts the entries under a tile of level 0.
    pub(super) async fn put_bundle(&self, id: TileId, bundle: Bytes) -> Result<(), Error> {
        self.put(&id.entries_path(), bundle).await
    }

    pub(super) async fn put_checkpoint(&self, signed: Bytes) -> Result<(), Error> {
        self.put(CHECKPOINT, signed).await
    }

    pub(super) async fn tile(&self, id: TileId) -> Result<Option<Tile>, Error> {
        let bytes = self.get(&id.path()).await?;
        bytes.map(|bytes| Tile::from_bytes(id, &bytes).map_err(|_| damaged(id))).transpose()
    }

    pub(super) async fn bundle(&self, id: TileId) -> Result<Option<Bytes>, Error> {
        self.get(&id.entries_path()).await
    }

    pub(super) async fn checkpoint(&self) -> Result<Option<Bytes>, Error> {
        self.get(CHECKPOINT).await
    }

    /// Deletes a partial tile and the entries under it. What cannot be deleted stays, and harms nobody.
    pub(super) async fn discard(&self, id: TileId) {
        let entries = (id.level == 0).then(|| id.entries_path());
        for path in entries.into_iter().chain([id.path()]) {
            match self.files.delete(&ObjectPath::from(path.as_str())).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => tracing::warn!(path, %error, "a partial tile could not be deleted"),
            }
        }
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        self.files.put(&ObjectPath::from(path), PutPayload::from_bytes(bytes)).await?;
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        match self.files.get(&ObjectPath::from(path)).await {
            Ok(object) => Ok(Some(object.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The error of an object that is missing or not what was put.
pub(super) fn damaged(id: TileId) -> Error {
    Error::Corrupt(Object::LogTile { level: id.level, index: id.index })
}

/// Makes bundles of entries, of which the first ones go on with the partial bundle at the edge of the log.
pub(super) fn cut_bundles<E: AsRef<[u8]>>(
    size: u64,
    edge: &mut Vec<u8>,
    entries: &[E],
) -> Result<Vec<(TileId, Bytes)>, LogError> {
    let mut bundles = Vec::new();
    let bundle = |size: u64, bytes: &[u8]| {
        let last = size - 1;
        let (index, width) = (last / TILE_WIDTH as u64, (last % TILE_WIDTH as u64 + 1) as u16);
        (TileId { level: 0, index, width }, Bytes::copy_from_slice(bytes))
    };
    let mut size = size;
    for entry in entries {
        EntryBundle::append(edge, entry.as_ref())?;
        size += 1;
        if size.is_multiple_of(TILE_WIDTH as u64) {
            bundles.push(bundle(size, edge));
            edge.clear();
        }
    }
    if !edge.is_empty() {
        bundles.push(bundle(size, edge));
    }
    Ok(bundles)
}

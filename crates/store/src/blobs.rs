//! The object store: immutable blobs by path.

use crate::{Error, sync_dir};
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStoreExt, PutPayload};
use sha3::{Digest as _, Sha3_256};
use std::path::{Path, PathBuf};

/// Kinds of objects, each in a folder of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Folder {
    Segments,
    Tickets,
    Answers,
}

impl Folder {
    pub(crate) const ALL: [Self; 3] = [Self::Segments, Self::Tickets, Self::Answers];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Tickets => "tickets",
            Self::Answers => "answers",
        }
    }
}

pub(crate) struct Blobs {
    root: PathBuf,
    /// Syncs the file before it gets its name and the folder after: a put that returned is durable. The folders
    /// themselves are made and synced when the store is opened, and are flat, so no put creates directories.
    durable: LocalFileSystem,
    /// For what may be lost in a power failure.
    relaxed: LocalFileSystem,
}

impl Blobs {
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        Folder::ALL.iter().try_for_each(|folder| sync_dir(&root.join(folder.name())))?;
        sync_dir(root)?;
        let open = || LocalFileSystem::new_with_prefix(root);
        Ok(Self { root: root.to_owned(), durable: open()?.with_fsync(true), relaxed: open()? })
    }

    pub(crate) fn folder(&self, folder: Folder) -> PathBuf {
        self.root.join(folder.name())
    }

    /// The path of an object; its id as hexadecimal digits is its name.
    pub(crate) fn path(folder: Folder, id: impl std::fmt::Display) -> String {
        format!("{}/{id}", folder.name())
    }

    pub(crate) async fn put_durable(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        self.durable.put(&ObjectPath::from(path), PutPayload::from_bytes(bytes)).await?;
        Ok(())
    }

    pub(crate) async fn put_relaxed(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        self.relaxed.put(&ObjectPath::from(path), PutPayload::from_bytes(bytes)).await?;
        Ok(())
    }

    /// Reads an object and checks its digest; `None` if it is missing or differs.
    pub(crate) async fn get_verified(&self, path: &str, digest: [u8; 32]) -> Result<Option<Bytes>, Error> {
        let object = match self.durable.get(&ObjectPath::from(path)).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let bytes = object.bytes().await?;
        crate::blocking(move || Ok((sha3_256(&bytes) == digest).then_some(bytes))).await
    }

    /// Deletes an object; that it is gone already is no error.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Error> {
        match self.durable.delete(&ObjectPath::from(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes objects that no row names any more. What cannot be deleted now is swept when the store is next
    /// opened, so the caller's work is done either way.
    pub(crate) async fn discard(&self, paths: &[String]) {
        for path in paths {
            if let Err(error) = self.delete(path).await {
                tracing::warn!(path, %error, "an object could not be deleted; it is swept at the next start");
            }
        }
    }
}

pub(crate) fn sha3_256(bytes: &[u8]) -> [u8; 32] {
    Sha3_256::digest(bytes).into()
}

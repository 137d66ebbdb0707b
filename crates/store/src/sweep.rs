//! What a crash leaves behind, deleted when the store is opened and nobody else can be using it.

use crate::blobs::Folder;
use crate::{Error, Store, blocking, uploads};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

impl Store {
    /// Deletes expired tickets, objects that no row names, and uploads without rows or without progress.
    pub(crate) async fn sweep(&self, now_ms: u64) -> Result<(), Error> {
        self.expire_tickets(now_ms).await?;
        for folder in Folder::ALL {
            let known = self.known_objects(folder).await?;
            let path = self.inner.blobs.folder(folder);
            let swept = blocking(move || remove_unknown(&path, &known)).await?;
            if swept > 0 {
                tracing::info!(folder = folder.name(), swept, "objects without rows were deleted");
            }
        }
        self.sweep_uploads(now_ms).await
    }

    /// File names of the objects that rows name.
    async fn known_objects(&self, folder: Folder) -> Result<HashSet<String>, Error> {
        let sql = match folder {
            Folder::Segments => "SELECT path FROM segments",
            Folder::Tickets => "SELECT path FROM tickets WHERE path IS NOT NULL",
            Folder::Answers => "SELECT answer_path FROM tickets WHERE answer_path IS NOT NULL",
        };
        let mut tx = self.inner.database.read().await?;
        let paths: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *tx).await?;
        let prefix = format!("{}/", folder.name());
        Ok(paths.iter().filter_map(|path| path.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    async fn sweep_uploads(&self, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.inner.database.write().await?;
        let ids: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT upload_id FROM uploads").fetch_all(&mut *tx).await?;
        let mut known = HashSet::new();
        for id in ids.iter().filter_map(|id| tyto_scheme::UploadId::from_slice(id).ok()) {
            if uploads::is_stale(&self.partial_path(id), now_ms) {
                uploads::delete_row(&mut tx, id).await?;
            } else {
                known.insert(id.to_string());
            }
        }
        tx.commit().await?;
        let folder = self.inner.uploads.clone();
        blocking(move || remove_unknown(&folder, &known)).await?;
        Ok(())
    }
}

/// Deletes the files of a folder whose names are not known, staging files of interrupted puts among them.
fn remove_unknown(folder: &Path, known: &HashSet<String>) -> Result<u64, Error> {
    let read = |error| Error::io("list", folder, error);
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        if !entry.file_name().to_str().is_some_and(|name| known.contains(name)) {
            uploads::remove_file(&entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

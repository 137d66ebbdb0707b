//! Uploads that are not committed yet: a row, and a file that grows.

use crate::blobs::sha3_256;
use crate::database::{array, number, signed};
use crate::galleries::GalleryHead;
use crate::names::Names;
use crate::segments::SegmentRow;
use crate::{
    Digest, Error, MAX_OPEN_UPLOADS, MAX_UPLOAD_BYTES, Object, STALE_UPLOAD_MS, Store, UploadStatus,
    VerifiedUpload, blocking,
};
use bytes::Bytes;
use sqlx::SqliteConnection;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tyto_scheme::{GalleryId, UploadId};

/// The row of an upload.
struct UploadRow {
    gallery: i64,
    total_bytes: u64,
    digest: Digest,
}

impl UploadRow {
    async fn find(
        connection: &mut SqliteConnection,
        names: Names,
        upload: UploadId,
    ) -> Result<Option<Self>, Error> {
        const SQL: &str = "SELECT u.gallery, u.total_bytes, u.digest FROM uploads u \
             JOIN galleries g ON g.id = u.gallery WHERE u.upload_id = ? AND g.tenant_id = ?";
        let query = sqlx::query(SQL).bind(names.upload(upload).0.to_vec()).bind(names.tenant().0.to_vec());
        let row = query.fetch_optional(connection).await?;
        row.map(|row| {
            Ok(Self {
                gallery: number(&row, "gallery", "uploads")?,
                total_bytes: number(&row, "total_bytes", "uploads")?,
                digest: array(&row, "digest", "uploads")?,
            })
        })
        .transpose()
    }
}

impl Store {
    pub(crate) fn partial_path(&self, upload: UploadId) -> PathBuf {
        self.inner.uploads.join(self.names.upload(upload).to_string())
    }

    /// Begins an upload, or finds how far the same one came before.
    ///
    /// # Errors
    /// [`Error::UploadMismatch`] if the id was begun with another gallery, size or digest; [`Error::Limit`] if it is
    /// too large or the gallery has too many open uploads.
    pub async fn begin_upload(
        &self,
        gallery: GalleryId,
        upload: UploadId,
        total_bytes: u64,
        digest: Digest,
    ) -> Result<UploadStatus, Error> {
        if total_bytes == 0 {
            return Err(Error::Empty("upload"));
        }
        Error::check_limit("upload bytes", total_bytes, MAX_UPLOAD_BYTES)?;
        let _guard = self.lock_upload(upload).await;
        let mut tx = self.inner.database.write().await?;
        let head = GalleryHead::find(&mut tx, self.names, gallery).await?;
        let check = |row: i64, total: u64, stored: Digest| {
            let fields =
                [("gallery", row == head.row), ("size", total == total_bytes), ("digest", stored == digest)];
            match fields.iter().find(|(_, same)| !same) {
                Some(&(field, _)) => Err(Error::UploadMismatch { upload, field }),
                None => Ok(()),
            }
        };
        if let Some(segment) = SegmentRow::find(&mut tx, self.names, upload).await? {
            check(segment.gallery, segment.bytes, segment.digest)?;
            return Ok(UploadStatus { received_bytes: total_bytes, total_bytes, committed: true });
        }
        if let Some(row) = UploadRow::find(&mut tx, self.names, upload).await? {
            check(row.gallery, row.total_bytes, row.digest)?;
            // Whoever continues an upload finds it as long as one who begins.
            touch(&self.partial_path(upload))?;
            return self.partial_status(upload, total_bytes);
        }
        let open: i64 = sqlx::query_scalar("SELECT count(*) FROM uploads WHERE gallery = ?")
            .bind(head.row)
            .fetch_one(&mut *tx)
            .await?;
        Error::check_limit("open uploads of a gallery", open as u64 + 1, MAX_OPEN_UPLOADS)?;
        // A file of this name can only be left over from an upload whose row is gone.
        remove_file(&self.partial_path(upload))?;
        touch(&self.partial_path(upload))?;
        let insert =
            sqlx::query("INSERT INTO uploads (upload_id, gallery, total_bytes, digest) VALUES (?, ?, ?, ?)");
        let insert =
            insert.bind(self.names.upload(upload).0.as_slice()).bind(head.row).bind(signed(total_bytes));
        insert.bind(digest.as_slice()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(UploadStatus { received_bytes: 0, total_bytes, committed: false })
    }

    fn partial_status(&self, upload: UploadId, total_bytes: u64) -> Result<UploadStatus, Error> {
        let received_bytes = file_len(&self.partial_path(upload))?;
        Ok(UploadStatus { received_bytes, total_bytes, committed: false })
    }

    /// How far an upload is.
    ///
    /// # Errors
    /// [`Error::UnknownUpload`] if this gallery has no such upload.
    pub async fn upload_status(&self, gallery: GalleryId, upload: UploadId) -> Result<UploadStatus, Error> {
        let mut tx = self.inner.database.read().await?;
        let head = GalleryHead::find(&mut tx, self.names, gallery).await?;
        if let Some(segment) =
            SegmentRow::find(&mut tx, self.names, upload).await?.filter(|s| s.gallery == head.row)
        {
            let total_bytes = segment.bytes;
            return Ok(UploadStatus { received_bytes: total_bytes, total_bytes, committed: true });
        }
        let row = UploadRow::find(&mut tx, self.names, upload).await?.filter(|row| row.gallery == head.row);
        self.partial_status(upload, row.ok_or(Error::UnknownUpload(upload))?.total_bytes)
    }

    /// Appends bytes; returns how many the store then holds. They survive the process, not a power failure: the
    /// digest is checked before the upload becomes anything.
    ///
    /// # Errors
    /// [`Error::UploadOffset`] names the offset at which the upload continues; [`Error::Limit`] if the bytes run past
    /// the announced size. Nothing is appended then.
    pub async fn append_upload(&self, upload: UploadId, offset: u64, data: Bytes) -> Result<u64, Error> {
        let guard = self.lock_upload(upload).await;
        let mut tx = self.inner.database.read().await?;
        let row = UploadRow::find(&mut tx, self.names, upload).await?.ok_or(Error::UnknownUpload(upload))?;
        drop(tx);
        let path = self.partial_path(upload);
        blocking(move || {
            // The guard goes with the work, which runs to its end even if the caller goes away.
            let _guard = guard;
            let expected = file_len(&path)?;
            if offset != expected {
                return Err(Error::UploadOffset { upload, expected, found: offset });
            }
            let end = offset.saturating_add(data.len() as u64);
            Error::check_limit("bytes of the announced upload", end, row.total_bytes)?;
            append(&path, expected, &data)?;
            Ok(end)
        })
        .await
    }

    /// All bytes of a complete upload, or of the segment that it became, with their digest checked.
    ///
    /// # Errors
    /// [`Error::UploadIncomplete`]; [`Error::UploadDigest`], after which the upload starts again at byte 0;
    /// [`Error::Corrupt`] if it is committed and its object is damaged.
    pub async fn read_upload(&self, gallery: GalleryId, upload: UploadId) -> Result<VerifiedUpload, Error> {
        let guard = self.lock_upload(upload).await;
        let mut tx = self.inner.database.read().await?;
        let head = GalleryHead::find(&mut tx, self.names, gallery).await?;
        let segment = SegmentRow::find(&mut tx, self.names, upload)
            .await?
            .filter(|segment| segment.gallery == head.row);
        if let Some(segment) = segment {
            drop(tx);
            let bytes = self.inner.blobs.get_verified(&segment.path, segment.digest).await?;
            let bytes = bytes.ok_or(Error::Corrupt(Object::Segment(upload)))?;
            return Ok(VerifiedUpload { gallery, upload, digest: segment.digest, bytes });
        }
        let row = UploadRow::find(&mut tx, self.names, upload).await?.filter(|row| row.gallery == head.row);
        let row = row.ok_or(Error::UnknownUpload(upload))?;
        drop(tx);
        let path = self.partial_path(upload);
        blocking(move || {
            let _guard = guard;
            let received = file_len(&path)?;
            if received != row.total_bytes {
                return Err(Error::UploadIncomplete { upload, received, total: row.total_bytes });
            }
            let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
            if sha3_256(&bytes) != row.digest {
                remove_file(&path)?;
                touch(&path)?;
                return Err(Error::UploadDigest(upload));
            }
            Ok(VerifiedUpload { gallery, upload, digest: row.digest, bytes: bytes.into() })
        })
        .await
    }

    /// Gives up an upload that is not committed; that there is none is no error.
    pub async fn abandon_upload(&self, upload: UploadId) -> Result<(), Error> {
        let _guard = self.lock_upload(upload).await;
        self.forget_upload(upload).await
    }

    /// Gives up the uploads that were neither begun nor continued for [`STALE_UPLOAD_MS`] before `now_ms`; returns how
    /// many. An upload that a call is continuing is not touched.
    ///
    /// # Errors
    /// [`Error::Sql`] and [`Error::File`].
    pub async fn abandon_idle_uploads(&self, now_ms: u64) -> Result<u64, Error> {
        let mut tx = self.inner.database.read().await?;
        let ids: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT upload_id FROM uploads").fetch_all(&mut *tx).await?;
        drop(tx);
        // Of all tenants.
        let by_name = self.of(Names::AS_STORED.tenant());
        let mut abandoned = 0;
        for upload in ids.iter().filter_map(|id| UploadId::from_slice(id).ok()) {
            // Looked at under the lock: who got it first has changed the file's time, or finds no upload any more.
            let _guard = by_name.lock_upload(upload).await;
            if is_stale(&by_name.partial_path(upload), now_ms) {
                by_name.forget_upload(upload).await?;
                abandoned += 1;
            }
        }
        Ok(abandoned)
    }

    /// Deletes an upload's row and file; the caller holds its lock.
    async fn forget_upload(&self, upload: UploadId) -> Result<(), Error> {
        let mut tx = self.inner.database.write().await?;
        delete_row(&mut tx, self.names.upload(upload)).await?;
        tx.commit().await?;
        remove_file(&self.partial_path(upload))
    }

    /// Deletes the file of an upload that has no row any more; the sweep does it if this fails. The caller
    /// holds the upload's lock.
    pub(crate) async fn discard_partial(&self, upload: UploadId) {
        let path = self.partial_path(upload);
        if let Err(error) = blocking(move || remove_file(&path)).await {
            tracing::warn!(%upload, %error, "a partial upload could not be deleted; it is swept at the next start");
        }
    }
}

/// Deletes an upload's row, by the name in it.
pub(crate) async fn delete_row(connection: &mut SqliteConnection, upload: UploadId) -> Result<(), Error> {
    let delete = sqlx::query("DELETE FROM uploads WHERE upload_id = ?");
    delete.bind(upload.0.as_slice()).execute(connection).await?;
    Ok(())
}

/// Length of a file; 0 if there is none.
fn file_len(path: &Path) -> Result<u64, Error> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::io("inspect", path, error)),
    }
}

/// Makes the file if there is none, and notes that the upload is in use now.
fn touch(path: &Path) -> Result<(), Error> {
    let open = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let touched = open.and_then(|file| file.set_modified(SystemTime::now()));
    touched.map_err(|e| Error::io("open", path, e))
}

/// Whether nobody used the upload of this file for too long; without a file there is nothing to keep.
pub(crate) fn is_stale(path: &Path, now_ms: u64) -> bool {
    let now = UNIX_EPOCH + Duration::from_millis(now_ms);
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.map_or(true, |modified: SystemTime| {
        now.duration_since(modified).is_ok_and(|age| age > Duration::from_millis(STALE_UPLOAD_MS))
    })
}

/// Removes a file; that there is none is no error.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Appends all of `data` or nothing.
fn append(path: &Path, length: u64, data: &[u8]) -> Result<(), Error> {
    let open = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let mut file = open.map_err(|e| Error::io("open", path, e))?;
    file.write_all(data).map_err(|error| {
        // A full disk may have taken a part; without it the client continues where it was told.
        if let Err(error) = file.set_len(length) {
            tracing::warn!(%error, "a partial append could not be undone");
        }
        Error::io("write", path, error)
    })
}

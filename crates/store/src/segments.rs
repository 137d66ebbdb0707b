//! Segments: committed uploads.

use crate::blobs::{Blobs, Folder};
use crate::database::{array, insert_rows, number, signed};
use crate::galleries::{GalleryHead, check_manifest, set_manifest};
use crate::log::{self, LogEntry};
use crate::names::Names;
use crate::{
    CommitSegment, Digest, Error, MAX_BLOCKS, MAX_RECORD_BYTES, Object, Outcome, Store,
    mutations::is_conflict, uploads,
};
use bytes::Bytes;
use sha3::{Digest as _, Sha3_256};
use sqlx::{Row, SqliteConnection};
use std::collections::HashSet;
use tyto_access::TenantId;
use tyto_scheme::segment::MAX_SEGMENT_BLOCKS;
use tyto_scheme::{BlockId, UploadId};

/// The row of a segment.
pub(crate) struct SegmentRow {
    pub(crate) gallery: i64,
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) digest: Digest,
    committed_version: u64,
    commit_digest: Digest,
}

impl SegmentRow {
    pub(crate) async fn find(
        connection: &mut SqliteConnection,
        names: Names,
        upload: UploadId,
    ) -> Result<Option<Self>, Error> {
        Self::find_by_name(connection, names.tenant(), names.upload(upload)).await
    }

    /// By the name in its row, as [`Store::load_blocks`] gives it.
    async fn find_by_name(
        connection: &mut SqliteConnection,
        tenant: TenantId,
        name: UploadId,
    ) -> Result<Option<Self>, Error> {
        const SQL: &str = "SELECT s.gallery, s.path, s.bytes, s.digest, s.committed_version, s.commit_digest \
             FROM segments s JOIN galleries g ON g.id = s.gallery WHERE s.upload_id = ? AND g.tenant_id = ?";
        let query = sqlx::query(SQL).bind(name.0.to_vec()).bind(tenant.0.to_vec());
        let row = query.fetch_optional(connection).await?;
        row.map(|row| {
            Ok(Self {
                gallery: row.try_get("gallery")?,
                path: row.try_get("path")?,
                bytes: number(&row, "bytes", "segments")?,
                digest: array(&row, "digest", "segments")?,
                committed_version: number(&row, "committed_version", "segments")?,
                commit_digest: array(&row, "commit_digest", "segments")?,
            })
        })
        .transpose()
    }
}

impl CommitSegment {
    fn check(&self) -> Result<(), Error> {
        if self.blocks.is_empty() {
            return Err(Error::Empty("segment"));
        }
        Error::check_limit("blocks of a segment", self.blocks.len() as u64, MAX_SEGMENT_BLOCKS as u64)?;
        check_manifest(&self.manifest.sealed)?;
        let mut seen = HashSet::new();
        for (block, record) in &self.blocks {
            Error::check_limit("record bytes", record.len() as u64, MAX_RECORD_BYTES as u64)?;
            if !seen.insert(block) {
                return Err(Error::DuplicateBlock(*block));
            }
        }
        Ok(())
    }

    /// Digest of everything that the commit carries beside the upload's bytes.
    fn digest(&self) -> Digest {
        let mut hash = Sha3_256::new();
        hash.update(self.upload.gallery.0);
        hash.update(self.manifest.version.to_le_bytes());
        hash.update((self.manifest.sealed.len() as u64).to_le_bytes());
        hash.update(&self.manifest.sealed);
        for (block, record) in &self.blocks {
            hash.update(block.0);
            hash.update((record.len() as u64).to_le_bytes());
            hash.update(record);
        }
        hash.finalize().into()
    }
}

impl Store {
    /// Makes an upload a segment of its gallery: the blob is put and synced first, then one transaction adds its
    /// blocks (version 1, empty) and moves the manifest.
    ///
    /// A repetition of a commit that succeeded is recognised however often the gallery changed since.
    ///
    /// `entry` is put in the log's outbox by the same transaction, if it commits something new.
    ///
    /// # Errors
    /// [`Error::UploadCommitted`] if the upload was committed with other content; [`Error::DuplicateBlock`] if the
    /// gallery has one of the blocks; [`Error::Limit`]; for the entry [`Error::EntryIdUsed`] and as [`Store::add_log_entries`].
    pub async fn commit_segment(
        &self,
        commit: CommitSegment,
        entry: Option<&LogEntry>,
    ) -> Result<Outcome, Error> {
        commit.check()?;
        let upload = commit.upload.upload;
        let digest = commit.digest();
        let _guard = self.lock_upload(upload).await;
        // A first look, so that a commit that cannot succeed does not write a blob.
        let mut tx = self.inner.database.read().await?;
        if let Some(outcome) = look(&mut tx, self.names, &commit, digest).await? {
            return Ok(outcome);
        }
        drop(tx);
        let path = Blobs::path(Folder::Segments, self.names.upload(upload));
        self.inner.blobs.put_durable(&path, commit.upload.bytes.clone()).await?;
        let outcome = self.commit_rows(&commit, digest, &path, entry).await;
        match &outcome {
            Ok(Outcome::Committed { .. }) => self.discard_partial(upload).await,
            // An error of the database leaves unknown whether the commit took effect: the blob stays for the sweep.
            Ok(Outcome::Repeated { .. }) | Err(Error::Sql(_)) => {}
            Ok(Outcome::Conflict { .. }) | Err(_) => self.inner.blobs.discard(&[path]).await,
        }
        outcome
    }

    async fn commit_rows(
        &self,
        commit: &CommitSegment,
        digest: Digest,
        path: &str,
        entry: Option<&LogEntry>,
    ) -> Result<Outcome, Error> {
        const SEGMENT: &str = "INSERT INTO segments (upload_id, gallery, path, bytes, digest, blocks, \
             committed_version, commit_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id";
        let upload = &commit.upload;
        let mut tx = self.inner.database.write().await?;
        if let Some(outcome) = look(&mut tx, self.names, commit, digest).await? {
            return Ok(outcome);
        }
        let head = GalleryHead::find(&mut tx, self.names, upload.gallery).await?;
        let segment: i64 = sqlx::query_scalar(SEGMENT)
            .bind(self.names.upload(upload.upload).0.as_slice())
            .bind(head.row)
            .bind(path)
            .bind(upload.bytes.len() as i64)
            .bind(upload.digest.as_slice())
            .bind(commit.blocks.len() as i64)
            .bind(signed(commit.manifest.version))
            .bind(digest.as_slice())
            .fetch_one(&mut *tx)
            .await?;
        insert_blocks(&mut tx, commit, head.row, segment).await?;
        set_manifest(&mut tx, head.row, &commit.manifest).await?;
        uploads::delete_row(&mut tx, self.names.upload(upload.upload)).await?;
        log::add(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Outcome::Committed { manifest_version: commit.manifest.version })
    }

    /// The bytes of a segment as [`Store::load_blocks`] names it, with their digest checked.
    ///
    /// # Errors
    /// [`Error::Corrupt`] names a segment whose object is missing or damaged.
    pub async fn read_segment(&self, upload: UploadId) -> Result<Bytes, Error> {
        let mut tx = self.inner.database.read().await?;
        let row = SegmentRow::find_by_name(&mut tx, self.tenant(), upload)
            .await?
            .ok_or(Error::UnknownUpload(upload))?;
        drop(tx);
        let bytes = self.inner.blobs.get_verified(&row.path, row.digest).await?;
        bytes.ok_or(Error::Corrupt(Object::Segment(upload)))
    }
}

/// How the commit ends if it is decided before anything is written.
async fn look(
    connection: &mut SqliteConnection,
    names: Names,
    commit: &CommitSegment,
    digest: Digest,
) -> Result<Option<Outcome>, Error> {
    let head = GalleryHead::find(connection, names, commit.upload.gallery).await?;
    let upload = commit.upload.upload;
    if let Some(segment) = SegmentRow::find(connection, names, upload).await? {
        let same = segment.gallery == head.row && segment.commit_digest == digest;
        let manifest_version = segment.committed_version;
        return if same {
            Ok(Some(Outcome::Repeated { manifest_version }))
        } else {
            Err(Error::UploadCommitted(upload))
        };
    }
    Ok(is_conflict(head.manifest_version, commit.manifest.version)
        .then_some(Outcome::Conflict { current: head.manifest_version }))
}

async fn insert_blocks(
    connection: &mut SqliteConnection,
    commit: &CommitSegment,
    gallery: i64,
    segment: i64,
) -> Result<(), Error> {
    const INSERT: &str = "INSERT INTO blocks (gallery, block_id, ordinal, segment, index_in_segment, version, \
         entries, filled, used, changed_at, record)";
    const FIND: &str = "SELECT 1 FROM blocks WHERE gallery = ? AND block_id = ?";
    let first: i64 = sqlx::query_scalar("SELECT coalesce(max(ordinal) + 1, 0) FROM blocks WHERE gallery = ?")
        .bind(gallery)
        .fetch_one(&mut *connection)
        .await?;
    Error::check_limit("blocks of a gallery", first as u64 + commit.blocks.len() as u64, MAX_BLOCKS)?;
    for (block, _) in &commit.blocks {
        let found = sqlx::query(FIND).bind(gallery).bind(block.0.as_slice());
        if found.fetch_optional(&mut *connection).await?.is_some() {
            return Err(Error::DuplicateBlock(*block));
        }
    }
    let rows: Vec<(i64, &(BlockId, Bytes))> = (0..).zip(&commit.blocks).collect();
    let changed_at = signed(commit.manifest.version);
    insert_rows(connection, INSERT, 11, &rows, |query, (index, (block, record))| {
        let query = query.bind(gallery).bind(block.0.as_slice()).bind(first + index);
        let query = query.bind(segment).bind(*index).bind(1_i64).bind(0_i64).bind(0_i64).bind(0_i64);
        query.bind(changed_at).bind(record.as_ref())
    })
    .await?;
    Ok(())
}

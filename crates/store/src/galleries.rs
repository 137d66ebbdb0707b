//! Galleries: creation, description, deletion.

use crate::blobs::sha3_256;
use crate::database::{array, bytes, number, signed};
use crate::log::{self, LogEntry};
use crate::names::Names;
use crate::templates::Templates;
use crate::{
    Counts, Created, Error, Gallery, MAX_DESCRIPTOR_BYTES, MAX_MANIFEST_BYTES, NewGallery, Object,
    SealedManifest, Store,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::sync::LazyLock;
use tyto_access::TenantId;
use tyto_scheme::{GalleryId, GalleryParameters, KeyId, UploadId};

/// What a write needs to know of its gallery.
pub(crate) struct GalleryHead {
    pub(crate) row: i64,
    pub(crate) slots: u16,
    pub(crate) delta_bytes: usize,
    pub(crate) manifest_version: u64,
}

impl GalleryHead {
    pub(crate) async fn find(
        connection: &mut SqliteConnection,
        names: Names,
        gallery: GalleryId,
    ) -> Result<Self, Error> {
        const SQL: &str = "SELECT id, slots, delta_bytes, manifest_version FROM galleries WHERE gallery_id = ? AND tenant_id = ?";
        let name = names.gallery(gallery);
        let query = sqlx::query(SQL).bind(name.0.as_slice()).bind(names.tenant().0.to_vec());
        let row = query.fetch_optional(connection).await?;
        let row = row.ok_or(Error::UnknownGallery(gallery))?;
        Ok(Self {
            row: row.try_get("id")?,
            slots: number(&row, "slots", "galleries")?,
            delta_bytes: number(&row, "delta_bytes", "galleries")?,
            manifest_version: number(&row, "manifest_version", "galleries")?,
        })
    }
}

/// Moves a gallery to its next manifest.
pub(crate) async fn set_manifest(
    connection: &mut SqliteConnection,
    gallery_row: i64,
    manifest: &SealedManifest,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE galleries SET manifest_version = ?, manifest = ? WHERE id = ?";
    let query = sqlx::query(SQL).bind(signed(manifest.version)).bind(manifest.sealed.as_ref());
    query.bind(gallery_row).execute(connection).await?;
    Ok(())
}

/// Checks the size of a manifest.
pub(crate) fn check_manifest(sealed: &[u8]) -> Result<(), Error> {
    Error::check_limit("manifest bytes", sealed.len() as u64, MAX_MANIFEST_BYTES as u64)
}

const COLUMNS: &str = "SELECT tenant_id, coalesce(own_id, gallery_id) AS gallery_id, parameter_set, dimension, stride, mask_epoch, key_id, created_ms, \
     first_manifest_digest, manifest_version, descriptor, manifest FROM galleries";

fn from_row(row: &SqliteRow) -> Result<Gallery, Error> {
    const TABLE: &str = "galleries";
    let parameters = GalleryParameters::new(
        GalleryId(array(row, "gallery_id", TABLE)?),
        number(row, "parameter_set", TABLE)?,
        number(row, "dimension", TABLE)?,
        number(row, "stride", TABLE)?,
        number(row, "mask_epoch", TABLE)?,
        KeyId(array(row, "key_id", TABLE)?),
    );
    Ok(Gallery {
        parameters: parameters.map_err(|_| Error::Corrupt(Object::Row(TABLE)))?,
        sealed_descriptor: bytes(row, "descriptor")?,
        manifest: SealedManifest {
            version: number(row, "manifest_version", TABLE)?,
            sealed: bytes(row, "manifest")?,
        },
        created_ms: number(row, "created_ms", TABLE)?,
        tenant: TenantId(array(row, "tenant_id", TABLE)?),
    })
}

async fn find(
    connection: &mut SqliteConnection,
    names: Names,
    gallery: GalleryId,
) -> Result<Option<SqliteRow>, Error> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("{COLUMNS} WHERE gallery_id = ? AND tenant_id = ?"));
    let name = names.gallery(gallery);
    let query = sqlx::query(SQL.as_str()).bind(name.0.as_slice()).bind(names.tenant().0.to_vec());
    Ok(query.fetch_optional(connection).await?)
}

impl Store {
    /// Creates an empty gallery with manifest version 1. `entry` is put in the log's outbox by the same transaction, if
    /// the gallery is new.
    ///
    /// # Errors
    /// [`Error::GalleryExists`] if the id belongs to a gallery with other parameters, descriptor or first manifest;
    /// [`Error::GalleryDeleted`] if it belonged to one; for the entry [`Error::EntryIdUsed`] and as [`Store::add_log_entries`].
    pub async fn create_gallery(&self, new: NewGallery, entry: Option<&LogEntry>) -> Result<Created, Error> {
        const SQL: &str = "INSERT INTO galleries (gallery_id, parameter_set, dimension, stride, mask_epoch, \
             key_id, slots, delta_bytes, created_ms, first_manifest_digest, manifest_version, descriptor, \
             manifest, tenant_id, own_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?)";
        Error::check_limit(
            "descriptor bytes",
            new.sealed_descriptor.len() as u64,
            MAX_DESCRIPTOR_BYTES as u64,
        )?;
        check_manifest(&new.sealed_manifest)?;
        let (id, layout) = (new.parameters.gallery, new.parameters.layout);
        let name = self.names.gallery(id);
        let digest = sha3_256(&new.sealed_manifest);
        let mut tx = self.inner.database.write().await?;
        if let Some(row) = find(&mut tx, self.names, id).await? {
            let stored = from_row(&row)?;
            let same = stored.parameters == new.parameters
                && stored.sealed_descriptor == new.sealed_descriptor
                && array(&row, "first_manifest_digest", "galleries")? == digest;
            return if same { Ok(Created::AlreadyThere) } else { Err(Error::GalleryExists(id)) };
        }
        let deleted = sqlx::query("SELECT 1 FROM deleted_galleries WHERE gallery_id = ?");
        if deleted.bind(name.0.as_slice()).fetch_optional(&mut *tx).await?.is_some() {
            return Err(Error::GalleryDeleted(id));
        }
        let inserted = sqlx::query(SQL)
            .bind(name.0.as_slice())
            .bind(i64::from(layout.parameter_set().id()))
            .bind(layout.dimension() as i64)
            .bind(layout.stride() as i64)
            .bind(i64::from(new.parameters.mask_epoch))
            .bind(new.parameters.key.0.as_slice())
            .bind(layout.slots() as i64)
            .bind(layout.delta_bytes() as i64)
            .bind(signed(new.created_ms))
            .bind(digest.as_slice())
            .bind(new.sealed_descriptor.as_ref())
            .bind(new.sealed_manifest.as_ref())
            .bind(self.tenant().0.as_slice())
            .bind((name != id).then_some(id.0.as_slice()))
            .execute(&mut *tx)
            .await?;
        Templates::of(inserted.last_insert_rowid()).create(&mut tx).await?;
        log::add(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Created::New)
    }

    /// All galleries of all tenants.
    pub async fn galleries(&self) -> Result<Vec<Gallery>, Error> {
        static SQL: LazyLock<String> = LazyLock::new(|| format!("{COLUMNS} ORDER BY gallery_id"));
        let mut tx = self.inner.database.read().await?;
        sqlx::query(SQL.as_str()).fetch_all(&mut *tx).await?.iter().map(from_row).collect()
    }

    /// One gallery.
    ///
    /// # Errors
    /// [`Error::UnknownGallery`].
    pub async fn gallery(&self, gallery: GalleryId) -> Result<Gallery, Error> {
        let mut tx = self.inner.database.read().await?;
        find(&mut tx, self.names, gallery)
            .await?
            .map_or(Err(Error::UnknownGallery(gallery)), |row| from_row(&row))
    }

    /// What a gallery holds.
    ///
    /// # Errors
    /// [`Error::UnknownGallery`].
    pub async fn counts(&self, gallery: GalleryId) -> Result<Counts, Error> {
        const SQL: &str = "SELECT count(*) AS blocks, coalesce(sum(filled), 0) AS filled, \
             coalesce(sum(used), 0) AS used FROM blocks WHERE gallery = ?";
        let mut tx = self.inner.database.read().await?;
        let head = GalleryHead::find(&mut tx, self.names, gallery).await?;
        let row = sqlx::query(SQL).bind(head.row).fetch_one(&mut *tx).await?;
        Ok(Counts {
            blocks: number(&row, "blocks", "blocks")?,
            templates: number(&row, "filled", "blocks")?,
            slots_used: number(&row, "used", "blocks")?,
        })
    }

    /// Deletes a gallery with everything in it: rows in one transaction, then blobs and log. Its id and the ids of
    /// its tickets stay unusable. `entry` is put in the log's outbox by the same transaction.
    ///
    /// # Errors
    /// [`Error::UnknownGallery`].
    pub async fn delete_gallery(&self, gallery: GalleryId, entry: Option<&LogEntry>) -> Result<(), Error> {
        let mut tx = self.inner.database.write().await?;
        let head = GalleryHead::find(&mut tx, self.names, gallery).await?;
        let mut objects: Vec<String> = sqlx::query_scalar("SELECT path FROM segments WHERE gallery = ?")
            .bind(head.row)
            .fetch_all(&mut *tx)
            .await?;
        let uploads: Vec<Vec<u8>> = sqlx::query_scalar("SELECT upload_id FROM uploads WHERE gallery = ?")
            .bind(head.row)
            .fetch_all(&mut *tx)
            .await?;
        objects.extend(crate::tickets::forget_gallery(&mut tx, self.names.gallery(gallery)).await?);
        Templates::of(head.row).drop(&mut tx).await?;
        sqlx::query("DELETE FROM galleries WHERE id = ?").bind(head.row).execute(&mut *tx).await?;
        let mark = sqlx::query("INSERT INTO deleted_galleries (gallery_id) VALUES (?)");
        mark.bind(self.names.gallery(gallery).0.as_slice()).execute(&mut *tx).await?;
        log::add(&mut tx, entry).await?;
        tx.commit().await?;
        self.scrub(true).await;
        self.inner.blobs.discard(&objects).await;
        let by_name = self.of(Names::AS_STORED.tenant());
        for upload in uploads.iter().filter_map(|id| UploadId::from_slice(id).ok()) {
            // An append that found the row before it was deleted makes the file again; after the lock none does.
            let _guard = by_name.lock_upload(upload).await;
            by_name.discard_partial(upload).await;
        }
        Ok(())
    }
}

//! Tenants, principals, credentials and grants.

use crate::database::{array, number, signed};
use crate::{Error, Object, Store};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tyto_access::{
    ApiKeyId, Grant, GrantId, PrincipalId, PrincipalRecord, Records, Role, StoredKey, SubjectKind,
    SubjectRecord, TenantId, TenantRecord, Verifier,
};
use tyto_scheme::GalleryId;

fn optional(row: &SqliteRow, column: &str, table: &'static str) -> Result<Option<u64>, Error> {
    let value = row.try_get::<Option<i64>, _>(column)?;
    value.map(|value| value.try_into().map_err(|_| Error::Corrupt(Object::Row(table)))).transpose()
}

fn tenant(row: &SqliteRow) -> Result<TenantRecord, Error> {
    const TABLE: &str = "tenants";
    Ok(TenantRecord {
        id: TenantId(array(row, "tenant_id", TABLE)?),
        name: row.try_get("name")?,
        disabled: row.try_get("disabled")?,
        created_ms: number(row, "created_ms", TABLE)?,
    })
}

fn principal(row: &SqliteRow) -> Result<PrincipalRecord, Error> {
    const TABLE: &str = "principals";
    Ok(PrincipalRecord {
        id: PrincipalId(array(row, "principal_id", TABLE)?),
        tenant: TenantId(array(row, "tenant_id", TABLE)?),
        name: row.try_get("name")?,
        operator: row.try_get("operator")?,
        disabled: row.try_get("disabled")?,
        created_ms: number(row, "created_ms", TABLE)?,
    })
}

fn api_key(row: &SqliteRow) -> Result<StoredKey, Error> {
    const TABLE: &str = "api_keys";
    let corrupt = || Error::Corrupt(Object::Row(TABLE));
    let rotated_from = row.try_get::<Option<&[u8]>, _>("rotated_from")?;
    Ok(StoredKey {
        id: ApiKeyId(array(row, "key_id", TABLE)?),
        principal: PrincipalId(array(row, "principal_id", TABLE)?),
        verifier: Verifier(array(row, "verifier", TABLE)?),
        sealed_session: row.try_get("sealed_session")?,
        created_ms: number(row, "created_ms", TABLE)?,
        expires_ms: optional(row, "expires_ms", TABLE)?,
        last_used_ms: number(row, "last_used_ms", TABLE)?,
        revoked_ms: optional(row, "revoked_ms", TABLE)?,
        rotated_from: rotated_from
            .map(|id| id.try_into().map(ApiKeyId).map_err(|_| corrupt()))
            .transpose()?,
    })
}

fn subject(row: &SqliteRow) -> Result<SubjectRecord, Error> {
    const TABLE: &str = "subjects";
    Ok(SubjectRecord {
        kind: match row.try_get::<i64, _>("kind")? {
            1 => SubjectKind::Certificate,
            2 => SubjectKind::Token,
            _ => return Err(Error::Corrupt(Object::Row(TABLE))),
        },
        issuer: row.try_get("issuer")?,
        subject: row.try_get("subject")?,
        principal: PrincipalId(array(row, "principal_id", TABLE)?),
        created_ms: number(row, "created_ms", TABLE)?,
    })
}

async fn insert_key(connection: &mut SqliteConnection, key: &StoredKey) -> Result<(), Error> {
    let insert = sqlx::query(
        "INSERT INTO api_keys (key_id, principal_id, verifier, sealed_session, created_ms, expires_ms, \
         last_used_ms, revoked_ms, rotated_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let insert = insert.bind(key.id.0.as_slice()).bind(key.principal.0.as_slice());
    let insert = insert.bind(key.verifier.0.as_slice()).bind(key.sealed_session.as_slice());
    let insert = insert.bind(signed(key.created_ms)).bind(key.expires_ms.map(signed));
    let insert = insert.bind(signed(key.last_used_ms)).bind(key.revoked_ms.map(signed));
    insert.bind(key.rotated_from.as_ref().map(|from| from.0.as_slice())).execute(connection).await?;
    Ok(())
}

/// The number of a kind in its column.
fn kind(kind: SubjectKind) -> i64 {
    match kind {
        SubjectKind::Certificate => 1,
        SubjectKind::Token => 2,
    }
}

fn grant(row: &SqliteRow) -> Result<Grant, Error> {
    const TABLE: &str = "grants";
    let corrupt = || Error::Corrupt(Object::Row(TABLE));
    let gallery = row.try_get::<Option<&[u8]>, _>("gallery_id")?;
    let role: usize = number(row, "role", TABLE)?;
    Ok(Grant {
        id: GrantId(array(row, "grant_id", TABLE)?),
        principal: PrincipalId(array(row, "principal_id", TABLE)?),
        role: *Role::ALL.get(role).ok_or_else(corrupt)?,
        gallery: gallery.map(|id| id.try_into().map(GalleryId).map_err(|_| corrupt())).transpose()?,
        created_ms: number(row, "created_ms", TABLE)?,
        expires_ms: optional(row, "expires_ms", TABLE)?,
    })
}

/// A name that is taken is no fault of the database.
fn taken(error: sqlx::Error, name: &str) -> Error {
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => Error::NameTaken(name.to_owned()),
        _ => error.into(),
    }
}

impl Store {
    /// Everything about who may do what, in all tenants, as of one moment.
    pub async fn access_records(&self) -> Result<Records, Error> {
        let mut tx = self.inner.database.read().await?;
        let mut rows = async |sql: &'static str| sqlx::query(sql).fetch_all(&mut *tx).await;
        Ok(Records {
            tenants: rows("SELECT * FROM tenants").await?.iter().map(tenant).collect::<Result<_, _>>()?,
            principals: rows("SELECT * FROM principals")
                .await?
                .iter()
                .map(principal)
                .collect::<Result<_, _>>()?,
            keys: rows("SELECT * FROM api_keys").await?.iter().map(api_key).collect::<Result<_, _>>()?,
            subjects: rows("SELECT * FROM subjects").await?.iter().map(subject).collect::<Result<_, _>>()?,
            grants: rows("SELECT * FROM grants").await?.iter().map(grant).collect::<Result<_, _>>()?,
        })
    }

    /// Adds what is new, all of it or nothing: a tenant with its first principal, their grants and keys, say.
    ///
    /// # Errors
    /// [`Error::NameTaken`] for a name that another tenant, or another principal of the tenant, has.
    pub async fn add_access(&self, new: &Records) -> Result<(), Error> {
        let mut tx = self.inner.database.write().await?;
        for tenant in &new.tenants {
            let insert = sqlx::query(
                "INSERT INTO tenants (tenant_id, name, disabled, created_ms) VALUES (?, ?, ?, ?)",
            );
            let insert = insert.bind(tenant.id.0.as_slice()).bind(&tenant.name).bind(tenant.disabled);
            let inserted = insert.bind(signed(tenant.created_ms)).execute(&mut *tx).await;
            inserted.map_err(|error| taken(error, &tenant.name))?;
        }
        for principal in &new.principals {
            let insert = sqlx::query(
                "INSERT INTO principals (principal_id, tenant_id, name, operator, disabled, created_ms) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            );
            let insert = insert.bind(principal.id.0.as_slice()).bind(principal.tenant.0.as_slice());
            let insert = insert.bind(&principal.name).bind(principal.operator).bind(principal.disabled);
            let inserted = insert.bind(signed(principal.created_ms)).execute(&mut *tx).await;
            inserted.map_err(|error| taken(error, &principal.name))?;
        }
        for key in &new.keys {
            insert_key(&mut tx, key).await?;
        }
        for subject in &new.subjects {
            let insert = sqlx::query(
                "INSERT INTO subjects (kind, issuer, subject, principal_id, created_ms) VALUES (?, ?, ?, ?, ?)",
            );
            let insert = insert.bind(kind(subject.kind)).bind(&subject.issuer).bind(&subject.subject);
            let insert = insert.bind(subject.principal.0.as_slice()).bind(signed(subject.created_ms));
            let inserted = insert.execute(&mut *tx).await;
            inserted.map_err(|error| taken(error, &subject.subject))?;
        }
        for grant in &new.grants {
            let insert = sqlx::query(
                "INSERT INTO grants (grant_id, principal_id, role, gallery_id, created_ms, expires_ms) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            );
            let insert = insert.bind(grant.id.0.as_slice()).bind(grant.principal.0.as_slice());
            let insert = insert.bind(grant.role as i64);
            let insert = insert.bind(grant.gallery.as_ref().map(|gallery| gallery.0.as_slice()));
            let insert = insert.bind(signed(grant.created_ms)).bind(grant.expires_ms.map(signed));
            insert.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Enables or disables a tenant; false if there is none.
    pub async fn set_tenant_disabled(&self, tenant: TenantId, disabled: bool) -> Result<bool, Error> {
        let update = sqlx::query("UPDATE tenants SET disabled = ? WHERE tenant_id = ?");
        self.change(update.bind(disabled).bind(tenant.0.to_vec())).await
    }

    /// Enables or disables a principal; false if there is none.
    pub async fn set_principal_disabled(&self, id: PrincipalId, disabled: bool) -> Result<bool, Error> {
        let update = sqlx::query("UPDATE principals SET disabled = ? WHERE principal_id = ?");
        self.change(update.bind(disabled).bind(id.0.to_vec())).await
    }

    /// Revokes an API key and those that were made in its place, however often; false if there is none.
    pub async fn revoke_api_key(&self, key: ApiKeyId, revoked_ms: u64) -> Result<bool, Error> {
        let update = sqlx::query(
            "WITH RECURSIVE ended (id) AS (VALUES (?2) UNION \
             SELECT key_id FROM api_keys JOIN ended ON rotated_from = id) \
             UPDATE api_keys SET revoked_ms = coalesce(revoked_ms, ?1) WHERE key_id IN (SELECT id FROM ended)",
        );
        self.change(update.bind(signed(revoked_ms)).bind(key.0.to_vec())).await
    }

    /// Makes a key in the place of another one, which ends at a time or when it would have before. Nothing is changed, and
    /// the answer is false, if that one is not there, was revoked, or was replaced before.
    pub async fn replace_api_key(
        &self,
        old: ApiKeyId,
        new: &StoredKey,
        old_ends_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.inner.database.write().await?;
        let end = sqlx::query(
            "UPDATE api_keys SET expires_ms = min(coalesce(expires_ms, ?1), ?1) WHERE key_id = ?2 \
             AND revoked_ms IS NULL AND NOT EXISTS (SELECT 1 FROM api_keys WHERE rotated_from = ?2)",
        );
        let ended = end.bind(signed(old_ends_ms)).bind(old.0.as_slice()).execute(&mut *tx).await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        insert_key(&mut tx, new).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes a grant away; false if there is none.
    pub async fn remove_grant(&self, grant: GrantId) -> Result<bool, Error> {
        self.change(sqlx::query("DELETE FROM grants WHERE grant_id = ?").bind(grant.0.to_vec())).await
    }

    /// Takes the identity that others vouch for away from whomever it stands for; false if it stands for nobody.
    pub async fn remove_subject(&self, subject: &SubjectRecord) -> Result<bool, Error> {
        let delete = sqlx::query("DELETE FROM subjects WHERE kind = ? AND issuer = ? AND subject = ?");
        let delete = delete.bind(kind(subject.kind));
        self.change(delete.bind(subject.issuer.clone()).bind(subject.subject.clone())).await
    }

    /// Notes when API keys were used last.
    pub async fn note_key_uses(&self, uses: &[(ApiKeyId, u64)]) -> Result<(), Error> {
        let mut tx = self.inner.database.write().await?;
        for (key, at_ms) in uses {
            let update =
                sqlx::query("UPDATE api_keys SET last_used_ms = max(last_used_ms, ?) WHERE key_id = ?");
            update.bind(signed(*at_ms)).bind(key.0.as_slice()).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn change(&self, query: crate::database::SqlQuery<'_>) -> Result<bool, Error> {
        let mut tx = self.inner.database.write().await?;
        let changed = query.execute(&mut *tx).await?.rows_affected() > 0;
        tx.commit().await?;
        Ok(changed)
    }
}

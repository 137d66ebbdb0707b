//! Tickets and their one use.
//!
//! A ticket's row is its used mark. It outlives the ticket's bytes, its answer and its gallery, and is deleted
//! [`USED_MARK_KEPT_MS`] after the ticket expired; until then the id is refused. Bytes and answers are not synced: a
//! power failure may cost a ticket that was never used, or turn a stored answer into [`UseOutcome::Spent`]; the mark
//! itself is in SQL and is never lost.

use crate::blobs::{Blobs, Folder, sha3_256};
use crate::database::{array, number, signed};
use crate::galleries::GalleryHead;
use crate::names::Names;
use crate::{
    ANSWER_KEPT_MS, Created, Digest, Error, MAX_ANSWER_BYTES, MAX_OPEN_TICKETS, NewTicket, Object, Store,
    Ticket, TicketState, USED_MARK_KEPT_MS, UseOutcome, blocking, now_ms,
};
use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tyto_scheme::query::{Kind, MAX_TICKET_BYTES};
use tyto_scheme::{GalleryId, KeyId, TicketId};

/// Most bytes of an answer that is kept in its row.
const ANSWER_INLINE_MAX_BYTES: usize = 64 << 10;
/// Tickets expired in one transaction.
const EXPIRY_BATCH: u32 = 256;

/// The row of a ticket.
struct TicketRow {
    ticket: Ticket,
    path: Option<String>,
    request_digest: Option<Digest>,
    answer_digest: Option<Digest>,
    answer_path: Option<String>,
    answer: Option<Vec<u8>>,
}

impl TicketRow {
    async fn find(
        connection: &mut SqliteConnection,
        names: Names,
        ticket: TicketId,
    ) -> Result<Option<Self>, Error> {
        const SQL: &str = "SELECT coalesce(own_gallery_id, gallery_id) AS gallery_id, key_id, kind, bytes, digest, expires_ms, state, path, \
             request_digest, answer_digest, answer_path, answer FROM tickets WHERE ticket_id = ? AND (own_gallery_id IS NULL) = ?";
        let name = names.ticket(ticket);
        // A name of the built-in tenant, which is an id, can be chosen like that of another tenant's ticket.
        let query = sqlx::query(SQL).bind(name.0.as_slice()).bind(names.are_ids());
        let row = query.fetch_optional(connection).await?;
        row.as_ref().map(|row| Self::parse(ticket, row)).transpose()
    }

    fn parse(ticket: TicketId, row: &SqliteRow) -> Result<Self, Error> {
        const TABLE: &str = "tickets";
        let corrupt = || Error::Corrupt(Object::Row(TABLE));
        let digest = |column| {
            let bytes = row.try_get::<Option<&[u8]>, _>(column)?;
            bytes.map(|bytes| bytes.try_into().map_err(|_| corrupt())).transpose()
        };
        let facts = NewTicket {
            ticket,
            gallery: GalleryId(array(row, "gallery_id", TABLE)?),
            key: KeyId(array(row, "key_id", TABLE)?),
            kind: match row.try_get::<i64, _>("kind")? {
                1 => Kind::Verify,
                2 => Kind::Identify,
                _ => return Err(corrupt()),
            },
            expires_ms: number(row, "expires_ms", TABLE)?,
        };
        let state = match row.try_get::<i64, _>("state")? {
            0 => TicketState::Open,
            1 => TicketState::Begun,
            2 => TicketState::Done,
            3 => TicketState::Expired,
            _ => return Err(corrupt()),
        };
        let (bytes, stored) = (number(row, "bytes", TABLE)?, array(row, "digest", TABLE)?);
        Ok(Self {
            ticket: Ticket { facts, bytes, digest: stored, state },
            path: row.try_get("path")?,
            request_digest: digest("request_digest")?,
            answer_digest: digest("answer_digest")?,
            answer_path: row.try_get("answer_path")?,
            answer: row.try_get("answer")?,
        })
    }
}

impl Store {
    /// Keeps a ticket. An identical repetition succeeds as long as the ticket was not used.
    ///
    /// # Errors
    /// [`Error::TicketExists`] if the id was ever put with other content, or is used or expired;
    /// [`Error::UnknownGallery`]; [`Error::Limit`] if it is too large or the gallery keeps too many.
    pub async fn put_ticket(&self, new: NewTicket, bytes: Bytes) -> Result<Created, Error> {
        if bytes.is_empty() {
            return Err(Error::Empty("ticket"));
        }
        Error::check_limit("ticket bytes", bytes.len() as u64, MAX_TICKET_BYTES as u64)?;
        let (data, id) = (bytes.clone(), new.ticket);
        let digest = blocking(move || Ok(sha3_256(&data))).await?;
        let _guard = self.lock_ticket(id).await;
        let mut tx = self.inner.database.read().await?;
        GalleryHead::find(&mut tx, self.names, new.gallery).await?;
        if let Some(row) = TicketRow::find(&mut tx, self.names, id).await? {
            let ticket = &row.ticket;
            // The server chooses the expiry, so a repetition may come with a later one: the first one holds.
            let facts = NewTicket { expires_ms: ticket.facts.expires_ms, ..new };
            let same = ticket.facts == facts && ticket.digest == digest && ticket.state == TicketState::Open;
            return if same { Ok(Created::AlreadyThere) } else { Err(Error::TicketExists(id)) };
        }
        let size = bytes.len() as u64;
        self.check_room(&mut tx, new.gallery, size).await?;
        drop(tx);
        let path = Blobs::path(Folder::Tickets, self.names.ticket(id));
        self.inner.blobs.put_relaxed(&path, bytes).await?;
        let inserted = self.insert_ticket(new, size, digest, &path).await;
        if matches!(&inserted, Err(error) if !matches!(error, Error::Sql(_))) {
            self.inner.blobs.discard(&[path]).await;
        }
        inserted.map(|()| Created::New)
    }

    async fn insert_ticket(
        &self,
        new: NewTicket,
        bytes: u64,
        digest: Digest,
        path: &str,
    ) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO tickets (ticket_id, gallery_id, key_id, kind, bytes, digest, expires_ms, \
             forget_ms, state, path, own_gallery_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0, ?8, ?9)";
        let mut tx = self.inner.database.write().await?;
        GalleryHead::find(&mut tx, self.names, new.gallery).await?;
        self.check_room(&mut tx, new.gallery, bytes).await?;
        let gallery = self.names.gallery(new.gallery);
        sqlx::query(SQL)
            .bind(self.names.ticket(new.ticket).0.as_slice())
            .bind(gallery.0.as_slice())
            .bind(new.key.0.as_slice())
            .bind(new.kind as i64)
            .bind(signed(bytes))
            .bind(digest.as_slice())
            .bind(signed(new.expires_ms))
            .bind(path)
            .bind((gallery != new.gallery).then_some(new.gallery.0.as_slice()))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Checks that a gallery has room for a ticket of so many bytes: for a caller that has not received them yet. A
    /// ticket that is there already needs none.
    ///
    /// # Errors
    /// [`Error::Limit`] names the limit.
    pub async fn check_ticket_room(
        &self,
        new: TicketId,
        gallery: GalleryId,
        bytes: u64,
    ) -> Result<(), Error> {
        let mut tx = self.inner.database.read().await?;
        if TicketRow::find(&mut tx, self.names, new).await?.is_some() {
            return Ok(());
        }
        self.check_room(&mut tx, gallery, bytes).await
    }

    /// Checks that the gallery has room for another ticket.
    async fn check_room(
        &self,
        connection: &mut SqliteConnection,
        gallery: GalleryId,
        bytes: u64,
    ) -> Result<(), Error> {
        const SQL: &str = "SELECT count(*) FROM tickets WHERE gallery_id = ? AND path IS NOT NULL";
        let gallery = self.names.gallery(gallery);
        let query = sqlx::query_scalar(SQL).bind(gallery.0.as_slice());
        let kept: i64 = query.fetch_one(&mut *connection).await?;
        Error::check_limit("open tickets of a gallery", kept as u64 + 1, MAX_OPEN_TICKETS)?;
        let found = kept_bytes(connection, gallery).await? + bytes;
        Error::check_limit("bytes of a gallery's tickets and answers", found, self.inner.options.ticket_bytes)
    }

    /// A ticket's facts and state.
    ///
    /// # Errors
    /// [`Error::UnknownTicket`].
    pub async fn ticket(&self, ticket: TicketId) -> Result<Ticket, Error> {
        let mut tx = self.inner.database.read().await?;
        let row = TicketRow::find(&mut tx, self.names, ticket).await?;
        row.map(|row| row.ticket).ok_or(Error::UnknownTicket(ticket))
    }

    /// A ticket's bytes, with their digest checked.
    ///
    /// # Errors
    /// [`Error::UnknownTicket`] also if the bytes were deleted because the ticket is done or expired;
    /// [`Error::Corrupt`] if they are damaged or were lost in a power failure.
    pub async fn read_ticket(&self, ticket: TicketId) -> Result<Bytes, Error> {
        let mut tx = self.inner.database.read().await?;
        let row = TicketRow::find(&mut tx, self.names, ticket).await?.ok_or(Error::UnknownTicket(ticket))?;
        drop(tx);
        let path = row.path.ok_or(Error::UnknownTicket(ticket))?;
        let bytes = self.inner.blobs.get_verified(&path, row.ticket.digest).await?;
        bytes.ok_or(Error::Corrupt(Object::Ticket(ticket)))
    }

    /// Marks a ticket as used by the request of this digest, or says what became of its use. The mark is durable
    /// before [`UseOutcome::Fresh`] is returned, and exactly one caller ever gets that.
    ///
    /// # Errors
    /// [`Error::UnknownTicket`].
    pub async fn begin_use(&self, ticket: TicketId, request_digest: Digest) -> Result<UseOutcome, Error> {
        const SQL: &str = "UPDATE tickets SET state = 1, request_digest = ? \
             WHERE ticket_id = ? AND (own_gallery_id IS NULL) = ? AND state = 0 AND expires_ms > ?";
        let mut tx = self.inner.database.write().await?;
        let name = self.names.ticket(ticket);
        let mark = sqlx::query(SQL).bind(request_digest.as_slice()).bind(name.0.as_slice());
        let mark = mark.bind(self.names.are_ids());
        // The sweep comes minutes after the expiry.
        let mark = mark.bind(signed(now_ms()));
        if mark.execute(&mut *tx).await?.rows_affected() == 1 {
            tx.commit().await?;
            return Ok(UseOutcome::Fresh);
        }
        let row = TicketRow::find(&mut tx, self.names, ticket).await?.ok_or(Error::UnknownTicket(ticket))?;
        drop(tx);
        match row.request_digest {
            None => Ok(UseOutcome::Expired),
            Some(digest) if digest != request_digest => Ok(UseOutcome::OtherContent),
            Some(_) => self.stored_answer(row).await,
        }
    }

    async fn stored_answer(&self, row: TicketRow) -> Result<UseOutcome, Error> {
        let answer = match (row.answer, row.answer_path, row.answer_digest) {
            (Some(answer), _, Some(_)) => Some(answer.into()),
            (None, Some(path), Some(digest)) => self.inner.blobs.get_verified(&path, digest).await?,
            _ => None,
        };
        Ok(answer.map_or(UseOutcome::Spent, UseOutcome::Done))
    }

    /// Keeps the answer to a use that was begun for identical retries, for [`ANSWER_KEPT_MS`] or until the ticket
    /// expires; the ticket's bytes are deleted. Only the first answer is kept. An answer for which the gallery has no
    /// room is not kept, as after [`Store::finish_use_without_answer`].
    ///
    /// # Errors
    /// [`Error::TicketNotBegun`], [`Error::UnknownTicket`], [`Error::Limit`].
    pub async fn finish_use(&self, ticket: TicketId, answer: Bytes) -> Result<(), Error> {
        const SQL: &str = "UPDATE tickets SET state = 2, path = NULL, answer_digest = ?, answer_path = ?, answer = ?, \
             forget_ms = min(expires_ms, ?), bytes = ? WHERE ticket_id = ? AND state = 1 AND path IS NOT NULL";
        Error::check_limit("answer bytes", answer.len() as u64, MAX_ANSWER_BYTES as u64)?;
        let _guard = self.lock_ticket(ticket).await;
        let mut tx = self.inner.database.read().await?;
        let row = TicketRow::find(&mut tx, self.names, ticket).await?.ok_or(Error::UnknownTicket(ticket))?;
        drop(tx);
        match row.ticket.state {
            TicketState::Open | TicketState::Expired => return Err(Error::TicketNotBegun(ticket)),
            TicketState::Done => return Ok(()),
            TicketState::Begun => {}
        }
        let mut tx = self.inner.database.read().await?;
        let others = kept_bytes(&mut tx, self.names.gallery(row.ticket.facts.gallery))
            .await?
            .saturating_sub(row.ticket.bytes);
        drop(tx);
        if others + answer.len() as u64 > self.inner.options.ticket_bytes {
            return self.forget_used(ticket, row.path).await;
        }
        let data = answer.clone();
        let digest = blocking(move || Ok(sha3_256(&data))).await?;
        let inline = answer.len() <= ANSWER_INLINE_MAX_BYTES;
        let answer_path = (!inline).then(|| Blobs::path(Folder::Answers, self.names.ticket(ticket)));
        if let Some(path) = &answer_path {
            self.inner.blobs.put_relaxed(path, answer.clone()).await?;
        }
        // Without its bytes the ticket expired meanwhile (or its gallery was deleted): the answer is not kept.
        let mut tx = self.inner.database.write().await?;
        let query = sqlx::query(SQL).bind(digest.as_slice()).bind(answer_path.as_deref());
        let query = query.bind(inline.then_some(answer.as_ref()));
        let query = query.bind(signed(now_ms() + ANSWER_KEPT_MS)).bind(answer.len() as i64);
        let query = query.bind(self.names.ticket(ticket).0.as_slice());
        let kept = query.execute(&mut *tx).await?.rows_affected() == 1;
        tx.commit().await?;
        let discard = if kept { row.path } else { answer_path };
        self.inner.blobs.discard(discard.as_slice()).await;
        Ok(())
    }

    /// Ends a use that was begun and has no answer that can be kept: the ticket's bytes are deleted, and an identical
    /// retry finds [`UseOutcome::Spent`].
    ///
    /// # Errors
    /// [`Error::TicketNotBegun`], [`Error::UnknownTicket`].
    pub async fn finish_use_without_answer(&self, ticket: TicketId) -> Result<(), Error> {
        let _guard = self.lock_ticket(ticket).await;
        let mut tx = self.inner.database.read().await?;
        let row = TicketRow::find(&mut tx, self.names, ticket).await?.ok_or(Error::UnknownTicket(ticket))?;
        drop(tx);
        match row.ticket.state {
            TicketState::Open | TicketState::Expired => Err(Error::TicketNotBegun(ticket)),
            TicketState::Done => Ok(()),
            TicketState::Begun => self.forget_used(ticket, row.path).await,
        }
    }

    /// Deletes the bytes of a ticket whose use was begun.
    async fn forget_used(&self, ticket: TicketId, path: Option<String>) -> Result<(), Error> {
        const SQL: &str =
            "UPDATE tickets SET path = NULL, forget_ms = NULL WHERE ticket_id = ? AND state = 1";
        let mut tx = self.inner.database.write().await?;
        sqlx::query(SQL).bind(self.names.ticket(ticket).0.as_slice()).execute(&mut *tx).await?;
        tx.commit().await?;
        self.inner.blobs.discard(path.as_slice()).await;
        Ok(())
    }

    /// Deletes the bytes of tickets that expired at or before `now_ms`, the answers that were kept long enough, and
    /// the marks of tickets that expired [`USED_MARK_KEPT_MS`] before. Returns of how many tickets bytes or an answer
    /// were deleted.
    pub async fn expire_tickets(&self, now_ms: u64) -> Result<u64, Error> {
        let mut expired = 0;
        loop {
            let mut tx = self.inner.database.write().await?;
            let (count, objects) = forget(&mut tx, Expiring::At(now_ms)).await?;
            tx.commit().await?;
            self.inner.blobs.discard(&objects).await;
            expired += count;
            if count < u64::from(EXPIRY_BATCH) {
                break;
            }
        }
        let mut tx = self.inner.database.write().await?;
        let marks = sqlx::query("DELETE FROM tickets WHERE expires_ms <= ?");
        marks.bind(signed(now_ms) - signed(USED_MARK_KEPT_MS)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(expired)
    }
}

/// Bytes of the tickets and answers that are kept for the gallery of this name.
async fn kept_bytes(connection: &mut SqliteConnection, gallery: GalleryId) -> Result<u64, Error> {
    const SQL: &str =
        "SELECT coalesce(sum(bytes), 0) FROM tickets WHERE gallery_id = ? AND forget_ms IS NOT NULL";
    let kept: i64 = sqlx::query_scalar(SQL).bind(gallery.0.as_slice()).fetch_one(connection).await?;
    Ok(kept as u64)
}

/// Which tickets are forgotten.
#[derive(Clone, Copy)]
enum Expiring {
    At(u64),
    Of(GalleryId),
}

/// Forgets the tickets of a gallery that is deleted, by its name; returns the objects to delete.
pub(crate) async fn forget_gallery(
    connection: &mut SqliteConnection,
    gallery: GalleryId,
) -> Result<Vec<String>, Error> {
    let mut objects = Vec::new();
    loop {
        let (count, paths) = forget(connection, Expiring::Of(gallery)).await?;
        objects.extend(paths);
        if count < u64::from(EXPIRY_BATCH) {
            return Ok(objects);
        }
    }
}

/// Forgets one batch of tickets: rows stay as marks. Returns how many, and the objects to delete.
async fn forget(connection: &mut SqliteConnection, which: Expiring) -> Result<(u64, Vec<String>), Error> {
    const FORGET: &str = "UPDATE tickets SET state = CASE state WHEN 0 THEN 3 ELSE state END, path = NULL, \
         forget_ms = NULL, \
         answer_digest = NULL, answer_path = NULL, answer = NULL WHERE ticket_id = ?";
    let query = match which {
        Expiring::At(now_ms) => sqlx::query(
            "SELECT ticket_id, path, answer_path FROM tickets \
             WHERE forget_ms <= ? LIMIT ?",
        )
        .bind(signed(now_ms)),
        Expiring::Of(gallery) => sqlx::query(
            "SELECT ticket_id, path, answer_path FROM tickets \
             WHERE gallery_id = ? AND forget_ms IS NOT NULL LIMIT ?",
        )
        .bind(gallery.0.to_vec()),
    };
    let rows = query.bind(i64::from(EXPIRY_BATCH)).fetch_all(&mut *connection).await?;
    let mut objects = Vec::new();
    for row in &rows {
        objects.extend(row.try_get::<Option<String>, _>("path")?);
        objects.extend(row.try_get::<Option<String>, _>("answer_path")?);
        let id = row.try_get::<&[u8], _>("ticket_id")?;
        sqlx::query(FORGET).bind(id).execute(&mut *connection).await?;
    }
    Ok((rows.len() as u64, objects))
}

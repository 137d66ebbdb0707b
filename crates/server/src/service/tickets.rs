//! Tickets: their upload, the memory for those that are ready, and their one use.

use crate::Error;
use crate::app::unix_ms;
use crate::site::Site;
use crate::work::compute;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tyto_access::TenantId;
use tyto_api::content;
use tyto_api::gallery::Chunk;
use tyto_api::matching::{AttestationRequest, Probe, TicketHeader, TicketUse};
use tyto_engine::{PackedQuery, add_deltas, prepare_query};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::query::{Kind, Target, parse_deltas, parse_ticket};
use tyto_scheme::{Delta, GalleryId, GalleryParameters, TicketId};
use tyto_store::{Created, NewTicket, UseOutcome};

const USE_DOMAIN: &[u8] = b"tyto/v1/ticket-use";

/// What a ticket is known by: two tenants may use one id.
type Key = (TenantId, TicketId);

/// An upload in progress. Tickets are small enough to be held in memory until they are whole; what arrived is
/// bounded by the one size that each kind has.
pub(crate) struct TicketUpload {
    app: Arc<Site>,
    header: TicketHeader,
    parameters: GalleryParameters,
    bytes: Vec<u8>,
    /// Bounds the tickets in memory.
    permit: OwnedSemaphorePermit,
}

impl TicketUpload {
    /// Checks what can be checked before the bytes are there, and waits until they may come.
    pub(crate) async fn begin(app: Arc<Site>, header: TicketHeader) -> Result<Self, Error> {
        let parameters = *app.galleries.get(header.gallery)?.resident().parameters();
        if header.key != parameters.key {
            return Err(mismatch("header.key_id", "ticket", "key id"));
        }
        let sizes = [Kind::Verify, Kind::Identify].map(|kind| kind.ticket_bytes(&parameters.layout));
        if !sizes.contains(&(header.total_bytes as usize)) {
            let source = tyto_scheme::Error::Length {
                what: "ticket",
                found: header.total_bytes as usize,
                expected: sizes[1],
            };
            return Err(Error::Field { field: "header.total_bytes", source });
        }
        app.store.check_ticket_room(header.ticket, header.gallery, header.total_bytes).await?;
        let permit = app.ticket_uploads.clone().acquire_owned().await.map_err(|_| Error::Draining)?;
        Ok(Self { app, header, parameters, bytes: Vec::new(), permit })
    }

    pub(crate) fn append(&mut self, chunk: &Chunk) -> Result<(), Error> {
        if chunk.offset != self.bytes.len() as u64 {
            return Err(Error::StreamOrder("chunk.offset is not where the ticket goes on"));
        }
        if chunk.offset + chunk.data.len() as u64 > self.header.total_bytes {
            return Err(Error::TicketContent("size"));
        }
        self.bytes.extend_from_slice(&chunk.data);
        Ok(())
    }

    /// Checks and keeps the ticket; gives the time at which it expires, in milliseconds since 1970.
    pub(crate) async fn finish(self) -> Result<u64, Error> {
        let Self { app, header, parameters, bytes, permit } = self;
        if bytes.len() as u64 != header.total_bytes {
            return Err(Error::TicketContent("size"));
        }
        let bytes = Bytes::from(bytes);
        let checked = bytes.clone();
        let (kind, queries) = compute(move || check(&parameters, &header, &checked)).await?;
        let new = NewTicket {
            ticket: header.ticket,
            gallery: header.gallery,
            key: header.key,
            kind,
            expires_ms: unix_ms() + app.config.tickets.lifetime_s * 1000,
        };
        let store = app.store.clone();
        let created = app.work.in_foreground(async move { store.put_ticket(new, bytes).await }).await??;
        let expires_ms = match created {
            Created::New => new.expires_ms,
            Created::AlreadyThere => app.store.ticket(header.ticket).await?.facts.expires_ms,
        };
        drop(permit);
        app.tickets.insert((app.tenant(), header.ticket), queries);
        tracing::debug!(gallery = %header.gallery, ticket = %header.ticket, "ticket kept");
        Ok(expires_ms)
    }
}

fn mismatch(field: &'static str, object: &'static str, what: &'static str) -> Error {
    Error::Field { field, source: tyto_scheme::Error::Mismatch { object, field: what } }
}

fn check(
    parameters: &GalleryParameters,
    header: &TicketHeader,
    bytes: &[u8],
) -> Result<(Kind, Vec<PackedQuery>), Error> {
    if sha3_256(&[bytes]) != header.digest {
        return Err(Error::TicketContent("digest"));
    }
    let (ticket, kind, queries) = prepare(parameters, bytes)?;
    if ticket != header.ticket {
        return Err(mismatch("header.ticket_id", "ticket", "ticket id"));
    }
    Ok((kind, queries))
}

fn prepare(
    parameters: &GalleryParameters,
    bytes: &[u8],
) -> Result<(TicketId, Kind, Vec<PackedQuery>), Error> {
    let parsed = parse_ticket(parameters, bytes);
    let (ticket, kind, polynomials) = parsed.map_err(|source| Error::Field { field: "ticket", source })?;
    Ok((ticket, kind, polynomials.queries().iter().map(|query| prepare_query(query)).collect()))
}

/// Tickets in the form that is matched, so that a use need not read and transform them. Bounded in bytes; the oldest
/// goes first.
pub(crate) struct TicketCache {
    max_bytes: usize,
    inner: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    bytes: usize,
    /// With their place in the order.
    queries: HashMap<Key, (u64, Vec<PackedQuery>)>,
    oldest_first: BTreeMap<u64, Key>,
    inserted: u64,
}

impl TicketCache {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, inner: Mutex::default() }
    }

    fn insert(&self, ticket: Key, queries: Vec<PackedQuery>) {
        let size = bytes_of(&queries);
        if size > self.max_bytes {
            return;
        }
        // Declared first: what is evicted is freed when the lock is.
        let mut evicted = Vec::new();
        let mut cached = self.lock();
        evicted.extend(cached.take(ticket));
        while cached.bytes + size > self.max_bytes {
            let Some((_, &oldest)) = cached.oldest_first.first_key_value() else { break };
            evicted.extend(cached.take(oldest));
        }
        let order = cached.inserted;
        cached.inserted += 1;
        cached.bytes += size;
        cached.queries.insert(ticket, (order, queries));
        cached.oldest_first.insert(order, ticket);
    }

    fn take(&self, ticket: Key) -> Option<Vec<PackedQuery>> {
        self.lock().take(ticket)
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cached {
    fn take(&mut self, ticket: Key) -> Option<Vec<PackedQuery>> {
        let (order, queries) = self.queries.remove(&ticket)?;
        self.oldest_first.remove(&order);
        self.bytes -= bytes_of(&queries);
        Some(queries)
    }
}

fn bytes_of(queries: &[PackedQuery]) -> usize {
    queries.iter().map(PackedQuery::bytes).sum()
}

/// The tickets whose use is under way: an identical retry waits for the answer instead of being told that there is
/// none.
#[derive(Default)]
pub(crate) struct TicketUses {
    held: Mutex<HashSet<Key>>,
    freed: Notify,
}

/// A ticket that nobody else uses meanwhile.
pub(crate) struct Hold {
    app: Arc<Site>,
    ticket: TicketId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.app
            .uses
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(self.app.tenant(), self.ticket));
        self.app.uses.freed.notify_waiters();
    }
}

async fn hold(app: &Arc<Site>, ticket: TicketId) -> Hold {
    loop {
        let mut freed = std::pin::pin!(app.uses.freed.notified());
        // Registered before the look, so that no release is missed.
        freed.as_mut().enable();
        if app.uses.held.lock().unwrap_or_else(PoisonError::into_inner).insert((app.tenant(), ticket)) {
            return Hold { app: app.clone(), ticket };
        }
        freed.await;
    }
}

/// A used ticket and what makes a probe of it.
pub(crate) struct ReadyTicket {
    parameters: GalleryParameters,
    /// The queries, if they were in memory.
    prepared: Option<Vec<PackedQuery>>,
    /// The ticket as it was uploaded, if they were not.
    stored: Bytes,
    deltas: Vec<Delta>,
}

impl ReadyTicket {
    /// The queries as they were prepared, and what has to be added to each.
    pub(crate) fn into_parts(self) -> Result<(Vec<PackedQuery>, Vec<Delta>), Error> {
        let queries = match self.prepared {
            Some(queries) => queries,
            None => prepare(&self.parameters, &self.stored)?.2,
        };
        Ok((queries, self.deltas))
    }

    /// The probe's queries.
    pub(crate) fn into_queries(self) -> Result<Vec<PackedQuery>, Error> {
        let layout = self.parameters.layout;
        let (mut queries, deltas) = self.into_parts()?;
        for (query, delta) in queries.iter_mut().zip(&deltas) {
            add_deltas(&layout, query, delta);
        }
        Ok(queries)
    }
}

/// What became of a ticket's use.
pub(crate) enum Begun {
    /// It is this request's, and marked so for ever.
    Fresh(ReadyTicket, Hold),
    /// The same request was answered before.
    Answered(Bytes),
}

/// What a ticket is used for: a retry must be the same in all of it.
pub(crate) struct Purpose<'a> {
    pub(crate) gallery: GalleryId,
    pub(crate) target: Target,
    pub(crate) known_manifest_version: u64,
    pub(crate) attestation: Option<&'a AttestationRequest>,
}

impl Purpose<'_> {
    pub(crate) fn digest(&self, probe: &Probe) -> [u8; 32] {
        let mut request = Vec::new();
        content::request(self.target, probe, &mut request);
        let wanted: &[&[u8]] = match self.attestation {
            None => &[b"-", &[], &[]],
            Some(wanted) => &[b"+", &wanted.nonce, wanted.audience.as_bytes()],
        };
        // Every part has a fixed length, or the one that the gallery's layout gives it, except the last.
        sha3_256(&[
            USE_DOMAIN,
            &self.gallery.0,
            &request,
            &self.known_manifest_version.to_le_bytes(),
            wanted[0],
            wanted[1],
            wanted[2],
        ])
    }
}

/// A ticket that exists for a purpose like the caller's, held and not marked yet.
pub(crate) struct HeldTicket {
    hold: Hold,
    parameters: GalleryParameters,
    deltas: Vec<Delta>,
}

/// Waits until nobody else uses a ticket. What can be refused without its mark is refused here. Nothing is lost if the
/// caller goes away meanwhile.
pub(crate) async fn hold_for_use(
    app: &Arc<Site>,
    parameters: &GalleryParameters,
    target: Target,
    ticket: &TicketUse,
) -> Result<HeldTicket, Error> {
    let (id, layout, kind) = (ticket.ticket, parameters.layout, target.kind());
    let facts = app.store.ticket(id).await?.facts;
    if facts.gallery != parameters.gallery {
        return Err(Error::UnknownTicket(id));
    }
    if facts.kind != kind {
        return Err(Error::TicketKind(id));
    }
    let deltas = parse_deltas(&layout, kind, &ticket.deltas)
        .map_err(|source| Error::Field { field: "ticket.deltas", source })?;
    Ok(HeldTicket { hold: hold(app, id).await, parameters: *parameters, deltas })
}

impl HeldTicket {
    /// The ticket.
    pub(crate) fn id(&self) -> TicketId {
        self.hold.ticket
    }

    /// Begins the use, for the purpose of this digest. Must run to its end once begun.
    pub(crate) async fn mark(self, purpose: [u8; 32]) -> Result<Begun, Error> {
        let Self { hold, parameters, deltas } = self;
        let (app, id) = (&hold.app, hold.ticket);
        match app.store.begin_use(id, purpose).await? {
            UseOutcome::Fresh => {}
            UseOutcome::Done(answer) => return Ok(Begun::Answered(answer)),
            UseOutcome::Spent => return Err(Error::TicketSpent(id)),
            UseOutcome::OtherContent => return Err(Error::TicketUsed(id)),
            UseOutcome::Expired => return Err(Error::TicketExpired(id)),
        }
        let prepared = app.tickets.take((app.tenant(), id));
        let stored = match &prepared {
            Some(_) => Bytes::new(),
            None => app.store.read_ticket(id).await?,
        };
        Ok(Begun::Fresh(ReadyTicket { parameters, prepared, stored, deltas }, hold))
    }
}

/// Keeps the answer of a use for identical retries, if there is one that can be kept. A failure costs the caller a
/// retry's answer, no more.
pub(crate) async fn finish_use(app: &Site, ticket: TicketId, answer: Option<Vec<u8>>) {
    let store = app.store.clone();
    let finish = async move {
        match answer {
            Some(answer) => store.finish_use(ticket, answer.into()).await,
            None => store.finish_use_without_answer(ticket).await,
        }
    };
    let finished = app.work.in_foreground(finish).await;
    if let Err(error) = finished.and_then(|finished| Ok(finished?)) {
        let error = crate::status::chain(&error);
        tracing::error!(%ticket, %error, "the answer of a ticket's use was not kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_keeps_the_newest_tickets_within_its_bytes() {
        let query = || vec![PackedQuery::new(1)];
        let cache = TicketCache::new(3 * bytes_of(&query()));
        let id = |n| (TenantId::BUILT_IN, TicketId([n; 16]));
        for n in 0..5 {
            cache.insert(id(n), query());
        }
        assert!(cache.take(id(1)).is_none());
        assert!(cache.take(id(3)).is_some());
        assert!(cache.take(id(3)).is_none(), "a ticket is taken once");
        cache.insert(id(5), query());
        assert!(cache.take(id(2)).is_some(), "taking made room");
        cache.insert(id(6), vec![PackedQuery::new(4)]);
        assert!(cache.take(id(6)).is_none(), "larger than the cache");
        assert!(cache.take(id(4)).is_some() && cache.take(id(5)).is_some());
        assert_eq!(cache.lock().bytes, 0);
    }
}

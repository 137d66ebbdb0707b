//! Tickets: made and uploaded ahead of their use, each used once.

use super::{GalleryHandle, compute, lock};
use crate::Error;
use crate::channel::{Rpc, chunks};
use crate::log::now_unix_ms;
use bytes::Bytes;
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tyto_api::gallery::Chunk;
use tyto_api::matching::{TicketHeader, TicketPart};
use tyto_api::proto::matching::v1::UploadTicketRequest;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::TicketId;
use tyto_tenant::decrypt::Pending;
use tyto_tenant::probe::{self, DeviceTicket, DeviceUse, IssuedTicket, Mode, Ticket, TicketUse};

/// Most tickets that are kept ready for one mode of one gallery. The server stores each until it expires.
const MAX_READY: usize = 64;
/// Most tickets that wait for the use of a device.
const MAX_ISSUED: usize = 1024;
/// A ticket is not used in the last moments before the server forgets it.
const EXPIRY_MARGIN_MS: u64 = 30_000;
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The modes that tickets are made for: 1:1 and 1:N.
pub trait TicketMode: Mode<Target: Send + Sync + 'static> + Send + Sync + 'static {}

impl TicketMode for probe::Verification {}
impl TicketMode for probe::Identification {}

/// The tickets of one mode.
pub(crate) struct Pool<M: Mode> {
    ready: Mutex<VecDeque<Kept<Ticket<M>>>>,
    issued: Mutex<HashMap<TicketId, Kept<IssuedTicket<M>>>>,
    /// How many are to be ready.
    size: AtomicUsize,
    /// One maker at a time.
    making: tokio::sync::Mutex<()>,
    refill: Arc<Notify>,
    has_keeper: AtomicBool,
}

struct Kept<T> {
    ticket: T,
    expires_unix_ms: u64,
}

impl<T> Kept<T> {
    fn is_fresh(&self) -> bool {
        now_unix_ms() + EXPIRY_MARGIN_MS < self.expires_unix_ms
    }
}

impl<M: Mode> Default for Pool<M> {
    fn default() -> Self {
        Self {
            ready: Mutex::default(),
            issued: Mutex::default(),
            size: AtomicUsize::new(0),
            making: tokio::sync::Mutex::default(),
            refill: Arc::default(),
            has_keeper: AtomicBool::new(false),
        }
    }
}

impl<M: Mode> Pool<M> {
    fn take(&self) -> Option<Ticket<M>> {
        let mut ready = lock(&self.ready);
        let fresh = std::iter::from_fn(|| ready.pop_front()).find(Kept::is_fresh);
        if self.size.load(Ordering::Relaxed) > 0 {
            self.refill.notify_one();
        }
        fresh.map(|kept| kept.ticket)
    }

    fn is_full(&self) -> bool {
        lock(&self.ready).len() >= self.size.load(Ordering::Relaxed)
    }
}

impl<M: Mode> Drop for Pool<M> {
    /// Wakes the keeper, which finds that there is nothing left to keep.
    fn drop(&mut self) {
        self.refill.notify_one();
    }
}

impl GalleryHandle {
    fn pool<M: TicketMode>(&self) -> &Pool<M> {
        let pools: [&dyn Any; 2] = [&self.0.verification, &self.0.identification];
        pools.into_iter().find_map(<dyn Any>::downcast_ref).expect("there is a pool for each mode")
    }

    /// A ticket that is ready, if one is.
    pub(crate) fn ready_ticket<M: TicketMode>(&self) -> Option<Ticket<M>> {
        self.pool::<M>().take()
    }

    /// Makes a ticket and uploads it. Returns the bytes that were sent, too.
    pub(crate) async fn new_ticket<M: TicketMode>(&self) -> Result<(Ticket<M>, Bytes), Error> {
        let (kept, bytes) = self.make::<M>().await?;
        Ok((kept.ticket, bytes))
    }

    async fn make<M: TicketMode>(&self) -> Result<(Kept<Ticket<M>>, Bytes), Error> {
        let gallery = Arc::clone(&self.0.gallery);
        let (ticket, bytes, digest) = compute(move || {
            let (ticket, bytes) = Ticket::<M>::generate(&gallery)?;
            let digest = sha3_256(&[&bytes]);
            Ok((ticket, Bytes::from(bytes), digest))
        })
        .await?;
        let parameters = self.gallery().parameters();
        let header = TicketHeader {
            gallery: parameters.gallery,
            ticket: ticket.id(),
            key: parameters.key,
            total_bytes: bytes.len() as u64,
            digest,
        };
        let upload = |rpc: Rpc| {
            let chunks = chunks(&bytes, 0).map(|(offset, data)| TicketPart::Chunk(Chunk { offset, data }));
            let parts = std::iter::once(TicketPart::Header(header)).chain(chunks);
            let stream = tokio_stream::iter(parts.map(UploadTicketRequest::from));
            async move { { rpc.matching }.upload_ticket(stream).await }
        };
        let answer = self.0.shared.rpc.repeat("UploadTicket", upload).await?;
        Ok((Kept { ticket, expires_unix_ms: answer.expires_unix_ms }, bytes))
    }

    pub(crate) async fn fill_pool<M: TicketMode>(&self, count: usize) -> Result<(), Error> {
        if count > MAX_READY {
            return Err(Error::TooManyTickets { found: count, max: MAX_READY });
        }
        let pool = self.pool::<M>();
        pool.size.store(count, Ordering::Relaxed);
        lock(&pool.ready).truncate(count);
        self.refill::<M>().await?;
        if count > 0 && !pool.has_keeper.swap(true, Ordering::Relaxed) {
            tokio::spawn(keep::<M>(Arc::downgrade(&self.0), Arc::clone(&pool.refill)));
        }
        Ok(())
    }

    async fn refill<M: TicketMode>(&self) -> Result<(), Error> {
        let pool = self.pool::<M>();
        let _turn = pool.making.lock().await;
        lock(&pool.ready).retain(Kept::is_fresh);
        while !pool.is_full() {
            let (kept, _) = self.make::<M>().await?;
            lock(&pool.ready).push_back(kept);
        }
        Ok(())
    }

    pub(crate) async fn issue<M: TicketMode>(&self) -> Result<DeviceTicket, Error> {
        let pool = self.pool::<M>();
        {
            let mut issued = lock(&pool.issued);
            issued.retain(|_, kept| kept.is_fresh());
            if issued.len() >= MAX_ISSUED {
                return Err(Error::TooManyTickets { found: issued.len() + 1, max: MAX_ISSUED });
            }
        }
        let (kept, _) = self.make::<M>().await?;
        let Kept { ticket, expires_unix_ms } = kept;
        let (device, ticket) = ticket.for_device();
        lock(&pool.issued).insert(ticket.id(), Kept { ticket, expires_unix_ms });
        Ok(device)
    }

    /// Accepts a device's use of a ticket that was issued here. The ticket is spent as soon as it is known that the
    /// device made the use.
    pub(crate) fn accept<M: TicketMode>(
        &self,
        used: &DeviceUse,
        target: M::Target,
    ) -> Result<(TicketUse, Pending<M>), Error> {
        let kept = {
            let mut issued = lock(&self.pool::<M>().issued);
            let unknown = || Error::UnknownTicket(used.ticket);
            issued.get(&used.ticket).ok_or_else(unknown)?.ticket.check(used, target)?;
            issued.remove(&used.ticket).ok_or_else(unknown)?
        };
        Ok(kept.ticket.accept(self.gallery(), used, target)?)
    }
}

/// Keeps a pool at its size as long as its gallery is open.
async fn keep<M: TicketMode>(inner: std::sync::Weak<super::Inner>, refill: Arc<Notify>) {
    loop {
        refill.notified().await;
        let Some(inner) = inner.upgrade() else { return };
        let handle = GalleryHandle(inner);
        if let Err(error) = handle.refill::<M>().await {
            tracing::warn!(gallery = %handle.id(), %error, "tickets could not be prepared");
            drop(handle);
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            refill.notify_one();
        }
    }
}

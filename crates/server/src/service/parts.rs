//! The parts of an identification's answer on their way to a caller who may read slowly, or not at all.

use crate::Error;
use crate::passes::Reservation;
use crate::places::Place;
use crate::work::Patience;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use tokio::sync::{Notify, mpsc};
use tyto_api::matching::IdentifyPart;

/// Messages that wait for a slow client; a batch of blocks each.
const QUEUE: usize = 16;

type Part = Result<IdentifyPart, Error>;

/// What an answer has of what all share, until it is read and kept.
pub(crate) struct Held {
    _place: Place,
    room: OnceLock<Reservation>,
}

impl Held {
    pub(crate) fn new(place: Place) -> Arc<Self> {
        Arc::new(Self { _place: place, room: OnceLock::new() })
    }

    /// Adds the room in memory, which is known when the pass begins.
    pub(crate) fn add_room(&self, room: Reservation) {
        // There is one pass.
        let _ = self.room.set(room);
    }
}

struct Unread {
    parts: mpsc::Receiver<Part>,
    _held: Arc<Held>,
}

struct Shared {
    /// Nothing, once it was read to its end or given up.
    unread: Mutex<Option<Unread>>,
    gone: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Unread>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn discard(&self) {
        // Dropped after the lock is.
        let unread = self.lock().take();
        drop(unread);
        self.gone.notify_one();
    }
}

/// The caller's end.
pub(crate) struct Parts(Arc<Shared>);

/// The end of the one who makes the answer.
pub(crate) struct Writer {
    sender: mpsc::Sender<Part>,
    shared: Arc<Shared>,
    patience: Patience,
}

/// A way for an answer, which has its place and room as long as it is not read.
pub(crate) fn channel(held: Arc<Held>, patience: Patience) -> (Writer, Parts) {
    let (sender, parts) = mpsc::channel(QUEUE);
    let unread = Mutex::new(Some(Unread { parts, _held: held }));
    let shared = Arc::new(Shared { unread, gone: Notify::new() });
    (Writer { sender, shared: shared.clone(), patience }, Parts(shared))
}

impl Parts {
    /// The next part; nothing after the last, or once the caller was waited for too long.
    pub(crate) async fn next(&mut self) -> Option<Part> {
        let part = poll_fn(|context| match &mut *self.0.lock() {
            Some(unread) => unread.parts.poll_recv(context),
            None => Poll::Ready(None),
        })
        .await;
        if part.is_none() {
            self.0.discard();
        }
        part
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.0.discard();
    }
}

impl Writer {
    /// Sends a part; false if the caller is gone or was waited for too long, which is the end of the answer.
    pub(crate) async fn send(&mut self, part: Part) -> bool {
        let sent = self.patience.send(&self.sender, part).await;
        if !sent {
            self.shared.discard();
        }
        sent
    }

    /// Waits until the caller is gone.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Ends the answer, and waits with what is left of the patience until the caller has read it.
    pub(crate) async fn finish(self) {
        let Self { sender, shared, mut patience } = self;
        drop(sender);
        if patience.wait_for(shared.gone.notified()).await.is_none() {
            shared.discard();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::Places;
    use std::time::Duration;
    use tyto_scheme::GalleryId;

    fn part() -> IdentifyPart {
        IdentifyPart::Progress { blocks_matched: 0 }
    }

    /// All places there are, one of them taken by an answer.
    fn one_answer(patience: Patience) -> (impl Fn() -> bool, Writer, Parts) {
        let places = Arc::new(Places::new(1));
        let gallery = (tyto_access::TenantId::BUILT_IN, GalleryId([1; 16]));
        let (writer, parts) = channel(Held::new(places.take(gallery).unwrap()), patience);
        (move || places.take(gallery).is_ok(), writer, parts)
    }

    #[tokio::test]
    async fn the_place_is_free_when_the_last_part_was_read_or_the_caller_is_gone() {
        let (free, mut writer, mut parts) = one_answer(Patience::new());
        assert!(writer.send(Ok(part())).await);
        let finished = tokio::spawn(writer.finish());
        assert!(parts.next().await.is_some());
        assert!(!free(), "the end was not read");
        assert!(parts.next().await.is_none());
        assert!(free());
        finished.await.unwrap();

        let (free, mut writer, parts) = one_answer(Patience::new());
        assert!(writer.send(Ok(part())).await);
        drop(parts);
        assert!(free());
        assert!(!writer.send(Ok(part())).await);
        writer.finish().await;
    }

    #[tokio::test]
    async fn what_is_made_and_not_read_is_given_up_like_what_is_being_made() {
        let patience = || Patience::of(Duration::from_millis(20));
        let (free, mut writer, mut parts) = one_answer(patience());
        assert!(writer.send(Ok(part())).await);
        writer.finish().await;
        assert!(free(), "the caller had its time");
        assert!(parts.next().await.is_none());

        let (free, mut writer, mut parts) = one_answer(patience());
        while writer.send(Ok(part())).await {}
        assert!(free(), "the caller had its time");
        assert!(parts.next().await.is_none());
    }
}

//! Identification (1:N): a probe joins a pass over a snapshot, and its answer is sent while the pass runs.

use crate::Error;
use crate::app::App;
use crate::passes::{Event, Queued};
use crate::service::attestation::Evidence;
use crate::service::tickets::{self, Begun, Hold, Purpose};
use crate::service::verify::{ANSWERED, damaged, parse_query, snapshot_state};
use crate::work::{Patience, Running, compute};
use bytes::Bytes;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tyto_api::limits::MAX_BLOCKS_PER_MESSAGE;
use tyto_api::matching::{BlockReply, Identify, IdentifyPart, Probe};
use tyto_engine::{Gallery, MATCH_BATCH, PackedQuery, Snapshot};
use tyto_scheme::TicketId;
use tyto_scheme::query::{Kind, Target};
use tyto_store::MAX_ANSWER_BYTES;

/// Messages that wait for a slow client; a batch of blocks each.
const QUEUE: usize = 16;

const _: () = assert!(MATCH_BATCH <= MAX_BLOCKS_PER_MESSAGE, "a batch is one message");

/// The parts of an answer as they are made.
pub(crate) type Parts = mpsc::Receiver<Result<IdentifyPart, Error>>;

/// Begins an identification that arrived at some time. Must run to its end once begun; the rest goes on behind the
/// returned parts.
pub(crate) async fn begin(app: Arc<App>, request: Identify, arrived: Instant) -> Result<Parts, Error> {
    let gallery = app.galleries.get(request.gallery)?.resident();
    // A place in the queue comes first: what does not get one costs no work, and uses up no ticket.
    let place = app.identifications_taken.clone().try_acquire_owned();
    let max = app.config.identification.queued;
    let place = place.map_err(|_| Error::TooManyIdentifications { max })?;
    let announced = app.passes.announce(&gallery);
    let (sender, parts) = mpsc::channel(QUEUE);
    let (queries, used) = match &request.probe {
        Probe::Query(query) => {
            let (parameters, query) = (*gallery.parameters(), query.clone());
            (compute(move || parse_query(&parameters, Kind::Identify, &query)).await?, None)
        }
        Probe::Ticket(ticket) => {
            let purpose = Purpose {
                gallery: request.gallery,
                target: Target::Gallery,
                known_manifest_version: request.known_manifest_version,
                attestation: request.attestation.as_ref(),
            };
            match tickets::begin_use(&app, gallery.parameters(), purpose, &request.probe, ticket).await? {
                Begun::Fresh(ready, hold) => {
                    (compute(move || ready.into_queries()).await?, Some((ticket.ticket, hold)))
                }
                Begun::Answered(stored) => {
                    tokio::spawn(replay(ticket.ticket, stored, sender, place));
                    return Ok(parts);
                }
            }
        }
    };
    let running = app.work.begin();
    let kept = used.is_some().then(|| vec![ANSWERED]);
    let queued = announced.enqueue(only(queries), arrived, 1 + usize::from(kept.is_some()));
    let answer = Answer { app, gallery, request, sender: Some(sender), patience: Patience::new(), kept };
    tokio::spawn(deliver(answer, queued, used, running, place));
    Ok(parts)
}

/// The query of an identification, which has one.
fn only(mut queries: Vec<PackedQuery>) -> PackedQuery {
    queries.swap_remove(0)
}

/// Sends what was kept of an earlier identical request. Its place bounds how many stored answers are in memory.
async fn replay(
    ticket: TicketId,
    stored: Bytes,
    sender: mpsc::Sender<Result<IdentifyPart, Error>>,
    _place: OwnedSemaphorePermit,
) {
    let mut patience = Patience::new();
    let mut rest = if stored.first() == Some(&ANSWERED) { stored.slice(1..) } else { Bytes::new() };
    loop {
        let part = match IdentifyPart::take_from(&mut rest) {
            Ok(None) => return,
            Ok(Some(part)) => Ok(part),
            Err(error) => Err(damaged(ticket)(error)),
        };
        let last = part.is_err();
        if !patience.send(&sender, part).await || last {
            return;
        }
    }
}

/// Makes the answer of a probe from the replies of its pass. The pass does not wait for it: what its caller has not
/// read yet waits in memory, in the room that was reserved for it.
async fn deliver(
    mut answer: Answer,
    queued: Queued,
    used: Option<(TicketId, Hold)>,
    running: Running,
    place: OwnedSemaphorePermit,
) {
    let result = answer.make(queued).await;
    drop(place);
    let Answer { app, sender, .. } = answer;
    match result {
        Ok(kept) => {
            // The caller need not wait for the disk: its stream ends here. A retry does, while the ticket is held.
            drop(sender);
            if let Some((ticket, _)) = &used {
                tickets::finish_use(&app, *ticket, kept).await;
            }
        }
        Err(error) => {
            if let Some((ticket, _)) = &used {
                tickets::finish_use(&app, *ticket, None).await;
            }
            if let Some(sender) = sender {
                // The caller may be gone, which is no fault.
                let _ = Patience::new().send(&sender, Err(error)).await;
            }
        }
    }
    drop((used, running));
}

/// An answer and whom it is for.
struct Answer {
    app: Arc<App>,
    gallery: Arc<Gallery>,
    request: Identify,
    /// Nobody, once the caller is gone.
    sender: Option<mpsc::Sender<Result<IdentifyPart, Error>>>,
    /// What is left of the patience with the caller.
    patience: Patience,
    /// The answer so far, if it is kept with a ticket.
    kept: Option<Vec<u8>>,
}

impl Answer {
    /// Makes the whole answer; gives what is to be kept of it.
    async fn make(&mut self, mut queued: Queued) -> Result<Option<Vec<u8>>, Error> {
        let event = tokio::select! {
            event = queued.next() => event?,
            () = self.abandoned() => return Ok(None),
        };
        let Event::Begun(snapshot, _room) = event else { return Err(Error::Pass) };
        let mut evidence =
            Evidence::begin(self.request.attestation.as_ref(), Target::Gallery, &self.request.probe)?;
        let blocks_total = snapshot.blocks().len() as u64;
        let known = self.request.known_manifest_version;
        let ticket = match &self.request.probe {
            Probe::Ticket(ticket) => Some(ticket.clone()),
            Probe::Query(_) => None,
        };
        let state = snapshot_state(&snapshot, known);
        if self.emit(IdentifyPart::Header { snapshot: state, ticket, blocks_total }).await.is_break() {
            return Ok(None);
        }
        loop {
            let replies = match queued.next().await? {
                Event::Replies(replies) => replies,
                Event::Done => break,
                Event::Begun(..) => return Err(Error::Pass),
            };
            let replies: Vec<_> =
                replies.into_iter().map(|reply| block_reply(&snapshot, reply, known)).collect();
            if let Some(evidence) = &mut evidence {
                for (reply, ordinal) in &replies {
                    evidence.reply(reply);
                    evidence.block(&snapshot.blocks()[*ordinal]);
                }
            }
            let replies = replies.into_iter().map(|(reply, _)| reply).collect();
            if self.emit(IdentifyPart::Blocks(replies)).await.is_break() {
                return Ok(None);
            }
        }
        let sign = |e: Evidence| e.sign(&self.app, self.gallery.parameters(), &snapshot);
        let attestation = evidence.map(sign).transpose()?;
        // The answer is whole; a caller that is gone changes nothing any more.
        let _ = self.emit(IdentifyPart::Trailer { blocks_matched: blocks_total, attestation }).await;
        Ok(self.kept.take())
    }

    /// Waits until nobody needs the answer: its caller is gone, and it is not kept with a ticket.
    async fn abandoned(&self) {
        match &self.sender {
            Some(sender) if self.kept.is_none() => sender.closed().await,
            _ => std::future::pending().await,
        }
    }

    /// Sends a part and keeps it; breaks if nobody needs it any more.
    async fn emit(&mut self, part: IdentifyPart) -> ControlFlow<()> {
        if let Some(kept) = &mut self.kept {
            part.append_to(kept);
            if kept.len() > MAX_ANSWER_BYTES {
                self.kept = None;
            }
        }
        if let Some(sender) = &self.sender
            && !self.patience.send(sender, Ok(part)).await
        {
            // The caller is gone, or reads so slowly that it keeps others from being served.
            self.sender = None;
        }
        if self.sender.is_none() && self.kept.is_none() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

fn block_reply(snapshot: &Snapshot, reply: tyto_engine::BlockReply, known: u64) -> (BlockReply, usize) {
    let state = snapshot.blocks()[reply.ordinal].state();
    let changed = state.changed_at > known;
    let part = BlockReply {
        block: state.id,
        version: state.version,
        coefficients: reply.packed.into(),
        sealed_record: changed.then(|| Bytes::copy_from_slice(&state.record)),
    };
    (part, reply.ordinal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use tyto_api::matching::WholeQuery;
    use tyto_scheme::KeyId;

    #[tokio::test]
    async fn a_full_queue_refuses_before_it_looks_at_the_query() {
        let (_dir, app) = fixture::app(|config| {
            config.identification.concurrent = 1;
            config.identification.queued = 1;
        })
        .await;
        let (parameters, _) = fixture::gallery_of_one_block(&app).await;
        let query = WholeQuery { key: KeyId([9; 16]), mask_epoch: 0, polynomials: Bytes::new() };
        let request = Identify {
            gallery: parameters.gallery,
            probe: Probe::Query(query),
            known_manifest_version: 0,
            attestation: None,
        };
        let places: Vec<_> =
            (0..9).map(|_| app.identifications_taken.clone().try_acquire_owned().unwrap()).collect();
        let full = begin(app.clone(), request.clone(), Instant::now()).await.map(|_| ());
        assert!(matches!(full, Err(Error::TooManyIdentifications { max: 1 })), "{full:?}");
        drop(places);
        // The place of a call that fails is free again.
        for _ in 0..3 {
            let wrong = begin(app.clone(), request.clone(), Instant::now()).await.map(|_| ());
            assert!(matches!(wrong, Err(Error::Field { field: "query.key_id", .. })), "{wrong:?}");
        }
    }
}

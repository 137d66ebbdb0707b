//! Identification (1:N): a probe joins a pass over a snapshot, and its answer is sent while the pass runs.

use crate::Error;
use crate::passes::{AnswerShape, Event, Queued};
use crate::places::Full;
use crate::service::attestation::{Evidence, Wish};
use crate::service::parts::{self, Held, Parts, Writer};
use crate::service::tickets::{self, Begun, HeldTicket, Hold, Purpose};
use crate::service::verify::{ANSWERED, damaged, parse_query, snapshot_state};
use crate::site::Site;
use crate::work::{Patience, Running, compute};
use bytes::Bytes;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;
use tyto_api::limits::MAX_BLOCKS_PER_MESSAGE;
use tyto_api::matching::{BlockReply, Identify, IdentifyPart, Probe};
use tyto_engine::{Gallery, MATCH_BATCH, PackedQuery, Snapshot};
use tyto_scheme::TicketId;
use tyto_scheme::query::{Kind, Target};
use tyto_store::MAX_ANSWER_BYTES;

const _: () = assert!(MATCH_BATCH <= MAX_BLOCKS_PER_MESSAGE, "a batch is one message");

/// Begins an identification that arrived at some time. The rest goes on behind the returned parts.
pub(crate) async fn identify(app: &Arc<Site>, request: Identify, arrived: Instant) -> Result<Parts, Error> {
    let gallery = app.galleries.get(request.gallery)?.resident();
    // A retry waits for its ticket before it takes a place or lets passes wait for it, and goes away with its caller.
    let ticket = match &request.probe {
        Probe::Query(_) => None,
        Probe::Ticket(ticket) => {
            Some(tickets::hold_for_use(app, gallery.parameters(), Target::Gallery, ticket).await?)
        }
    };
    // A place in the queue comes before the rest: what does not get one costs no work, and uses up no ticket.
    let place = app.identifications.take((app.tenant(), request.gallery)).map_err(|full| match full {
        Full::All => Error::TooManyIdentifications { max: app.config.identification.queued },
        Full::Gallery { max } => Error::GalleryShare { max },
    })?;
    let wish = Wish::of(app, request.attestation.as_ref())?;
    let announced = app.passes.announce(&gallery);
    let held = Held::new(place);
    let (app, work) = (app.clone(), app.work.clone());
    work.in_background(async move {
        let (caller, parts) = parts::channel(held.clone(), Patience::new());
        let (queries, used) = match ticket {
            None => (whole_query(&gallery, &request).await?, None),
            Some(ticket) => match mark(&app, &request, ticket).await? {
                (id, Begun::Fresh(ready, hold)) => {
                    (compute(move || ready.into_queries()).await?, Some((id, hold)))
                }
                (id, Begun::Answered(stored)) => {
                    tokio::spawn(replay(id, stored, caller, wish));
                    return Ok(parts);
                }
            },
        };
        let running = app.work.begin();
        let kept = used.is_some().then(|| vec![ANSWERED]);
        let known_manifest_version = request.known_manifest_version;
        let shape = AnswerShape { copies: 1 + usize::from(kept.is_some()), known_manifest_version };
        let queued = announced.enqueue(only(queries), shape, arrived);
        let answer = Answer { app, gallery, request, wish, caller: Some(caller), held, kept };
        tokio::spawn(deliver(answer, queued, used, running));
        Ok(parts)
    })
    .await
}

async fn whole_query(gallery: &Gallery, request: &Identify) -> Result<Vec<PackedQuery>, Error> {
    let Probe::Query(query) = &request.probe else { return Ok(Vec::new()) };
    let (parameters, query) = (*gallery.parameters(), query.clone());
    compute(move || parse_query(&parameters, Kind::Identify, &query)).await
}

/// Begins the use of a ticket.
async fn mark(app: &Site, request: &Identify, ticket: HeldTicket) -> Result<(TicketId, Begun), Error> {
    let purpose = Purpose {
        gallery: request.gallery,
        target: Target::Gallery,
        known_manifest_version: request.known_manifest_version,
        attestation: request.attestation.as_ref(),
    };
    let (id, digest) = (ticket.id(), purpose.digest(&request.probe));
    Ok((id, app.work.in_foreground(ticket.mark(digest)).await??))
}

/// The query of an identification, which has one.
fn only(mut queries: Vec<PackedQuery>) -> PackedQuery {
    queries.swap_remove(0)
}

/// Sends what was kept of an earlier identical request. Its place bounds how many stored answers are in memory.
async fn replay(ticket: TicketId, stored: Bytes, mut caller: Writer, mut wish: Option<Wish>) {
    let mut rest = if stored.first() == Some(&ANSWERED) { stored.slice(1..) } else { Bytes::new() };
    loop {
        let part = match IdentifyPart::take_from(&mut rest) {
            Ok(None) => break,
            Ok(Some(part)) => Ok(part),
            Err(error) => Err(damaged(ticket)(error)),
        };
        if let Ok(IdentifyPart::Trailer { attestation: Some(attestation), .. }) = &part
            && let Some(wish) = wish.take()
        {
            wish.log_again(attestation);
        }
        let last = part.is_err();
        if !caller.send(part).await || last {
            break;
        }
    }
    caller.finish().await;
}

/// Makes the answer of a probe from the replies of its pass. The pass does not wait for it: what its caller has not
/// read yet waits in memory, in the room that was reserved for it.
async fn deliver(mut answer: Answer, queued: Queued, used: Option<(TicketId, Hold)>, running: Running) {
    let result = answer.make(queued).await;
    let Answer { app, mut caller, held, .. } = answer;
    let (kept, error) = match result {
        Ok(kept) => (kept, None),
        Err(error) => (None, Some(error)),
    };
    if error.is_none()
        && let Some(caller) = caller.take()
    {
        // The caller need not wait for the disk: its stream ends here. A retry does, while the ticket is held.
        tokio::spawn(caller.finish());
    }
    if let Some((ticket, _)) = &used {
        tickets::finish_use(&app, *ticket, kept).await;
    }
    // The room is held until here for what is kept, by the caller's end for what is not read.
    drop((used, held));
    if let (Some(error), Some(mut caller)) = (error, caller) {
        // The caller may be gone, which is no fault.
        let _ = caller.send(Err(error)).await;
        tokio::spawn(caller.finish());
    }
    drop(running);
}

/// An answer and whom it is for.
struct Answer {
    app: Arc<Site>,
    gallery: Arc<Gallery>,
    request: Identify,
    /// For an attestation.
    wish: Option<Wish>,
    /// Nobody, once the caller is gone.
    caller: Option<Writer>,
    held: Arc<Held>,
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
        let Event::Begun(snapshot, room) = event else { return Err(Error::Pass) };
        self.held.add_room(room);
        let mut evidence = Evidence::begin(self.wish.take(), Target::Gallery, &self.request.probe)?;
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
        match &self.caller {
            Some(caller) if self.kept.is_none() => caller.closed().await,
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
        if let Some(caller) = &mut self.caller
            && !caller.send(Ok(part)).await
        {
            // The caller is gone, or reads so slowly that it keeps others from being served.
            self.caller = None;
        }
        if self.caller.is_none() && self.kept.is_none() {
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
        sealed_record: changed.then(|| Bytes::from_owner(state.record.clone())),
    };
    (part, reply.ordinal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use tyto_api::matching::WholeQuery;
    use tyto_scheme::{GalleryId, KeyId};

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
        let take = |gallery: u8| app.identifications.take((app.tenant(), GalleryId([gallery; 16]))).unwrap();
        let places: Vec<_> = [7, 7, 7, 7, 7, 8, 8, 8, 8].map(take).into();
        let full = identify(&app, request.clone(), Instant::now()).await.map(|_| ());
        assert!(matches!(full, Err(Error::TooManyIdentifications { max: 1 })), "{full:?}");
        drop(places);
        let places: Vec<_> =
            (0..5).map(|_| app.identifications.take((app.tenant(), parameters.gallery)).unwrap()).collect();
        let full = identify(&app, request.clone(), Instant::now()).await.map(|_| ());
        assert!(matches!(full, Err(Error::GalleryShare { max: 5 })), "{full:?}");
        drop(places);
        // The place of a call that fails is free again.
        for _ in 0..3 {
            let wrong = identify(&app, request.clone(), Instant::now()).await.map(|_| ());
            assert!(matches!(wrong, Err(Error::Field { field: "query.key_id", .. })), "{wrong:?}");
        }
    }
}

//! Verification (1:1).
//!
//! The computation of a common verification takes some microseconds: two transforms and two products. It runs on the
//! async thread that received the request, which is less work than handing it to another, and waits for no permit.
//! What takes longer runs off the async threads, in two classes that do not wait for each other: attested answers,
//! whose digests and ML-DSA signature take some hundred microseconds, and long ones with many or large templates or with
//! many records in the answer, which give way to all others.

use crate::Error;
use crate::places::Lane;
use crate::service::attestation::{Evidence, Wish};
use crate::service::records::sealed_record;
use crate::service::tickets::{self, Begun, HeldTicket, Purpose, ReadyTicket};
use crate::site::Site;
use crate::work::compute;
use bytes::Bytes;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tyto_api::limits::{MAX_MESSAGE_BYTES, MAX_RESULTS_PER_VERIFICATION};
use tyto_api::matching::{Probe, SlotResult, SnapshotState, Verify, VerifyAnswer, WholeQuery};
use tyto_engine::{Gallery, Located, PackedQuery, Snapshot, Verification, read_queries};
use tyto_scheme::query::Kind;
use tyto_scheme::{GalleryParameters, TicketId};

/// First byte of an answer that is kept with its ticket.
pub(crate) const ANSWERED: u8 = 0;
/// The only byte where the gallery had no template of the subject.
const UNKNOWN_SUBJECT: u8 = 1;

/// Polynomials of a query whose transforms are short work: 4 us each, for both queries.
const SHORT_CHUNKS: usize = 4;
/// Polynomials of blocks that are compared in short work: 1 us each, for both queries, from memory.
const SHORT_PRODUCTS: usize = 64;
/// The coefficients of smaller strides have more terms.
const SHORT_STRIDE: usize = 16;
/// Records and manifest of an answer that is short work: some ten microseconds to encode.
const SHORT_SEALED_BYTES: usize = 64 << 10;

/// What is not a sealed object takes less than half of the largest message.
const _: () = assert!(MAX_RESULTS_PER_VERIFICATION * 256 + (256 << 10) <= MAX_MESSAGE_BYTES / 2);

/// Compares a probe with every template of a subject. The call arrived at `since`.
pub(crate) async fn verify(app: &Arc<Site>, request: Verify, since: Instant) -> Result<VerifyAnswer, Error> {
    let gallery = app.galleries.get(request.gallery)?.resident();
    let asked = Instant::now();
    // A retry waits for its ticket before it takes a place, and goes away with its caller.
    let ticket = match &request.probe {
        Probe::Query(_) => None,
        Probe::Ticket(ticket) => {
            Some(tickets::hold_for_use(app, gallery.parameters(), request.target(), ticket).await?)
        }
    };
    let in_store = asked.elapsed();
    let class = Class::of(&gallery, &request);
    // What finds no place uses up no ticket.
    let place = class.lane(app).map(Lane::place).transpose()?;
    let wish = Wish::of(app, request.attestation.as_ref())?;
    let app = app.clone();
    let job = Job { app, gallery, request, wish, ticket: None, class, place, since };
    match ticket {
        None => run(job).await,
        Some(ticket) => {
            let work = job.app.work.clone();
            work.detached(use_ticket(job, ticket, in_store)).await
        }
    }
}

/// Compares the probe that a ticket becomes, which the store took some time to find. Must run to its end once begun.
async fn use_ticket(mut job: Job, ticket: HeldTicket, in_store: Duration) -> Result<VerifyAnswer, Error> {
    let (app, request) = (job.app.clone(), &job.request);
    let purpose = Purpose {
        gallery: request.gallery,
        target: request.target(),
        known_manifest_version: request.known_manifest_version,
        attestation: request.attestation.as_ref(),
    };
    let (id, digest) = (ticket.id(), purpose.digest(&request.probe));
    let asked = Instant::now();
    let (ticket, hold) = match ticket.mark(digest).await? {
        Begun::Answered(stored) => {
            let answer = replay(id, &stored)?;
            if let (Some(wish), Some(attestation)) = (job.wish, &answer.attestation) {
                wish.log_again(attestation);
            }
            return Ok(answer);
        }
        Begun::Fresh(ticket, hold) => (ticket, hold),
    };
    // The store takes its time, which is measured apart.
    let in_store = in_store + asked.elapsed();
    app.metrics.ticket_mark.observe(in_store);
    job.since += in_store;
    job.ticket = Some(ticket);
    let class = job.class;
    let result = run(job).await;
    let answer = match &result {
        Ok(answer) => Some(Some(answer.clone())),
        Err(Error::UnknownSubject) => Some(None),
        Err(_) => None,
    };
    // The caller need not wait for the disk; a retry does, because the ticket is still held.
    let running = app.work.begin();
    tokio::spawn(async move {
        let encode =
            move || answer.map(|answer| answer.as_ref().map_or_else(|| vec![UNKNOWN_SUBJECT], stored));
        let kept = match class {
            Class::Inline | Class::Attested => encode(),
            Class::Long => app.work.compute_in_background(encode).await.ok().flatten(),
        };
        tickets::finish_use(&app, id, kept).await;
        drop((hold, running));
    });
    result
}

/// What is kept of an answer.
fn stored(answer: &VerifyAnswer) -> Vec<u8> {
    [&[ANSWERED], &answer.to_bytes()[..]].concat()
}

fn replay(ticket: TicketId, stored: &Bytes) -> Result<VerifyAnswer, Error> {
    match stored.split_first() {
        Some((&ANSWERED, answer)) => Ok(VerifyAnswer::from_bytes(answer).map_err(damaged(ticket))?),
        Some((&UNKNOWN_SUBJECT, [])) => Err(Error::UnknownSubject),
        _ => Err(Error::TicketSpent(ticket)),
    }
}

/// A stored answer that does not parse is the store's fault, not the caller's.
pub(crate) fn damaged(ticket: TicketId) -> impl Fn(tyto_api::Error) -> Error {
    move |_| tyto_store::Error::Corrupt(tyto_store::Object::Ticket(ticket)).into()
}

/// Checks a whole query against its gallery and brings it into the form that is matched.
pub(crate) fn parse_query(
    parameters: &GalleryParameters,
    kind: Kind,
    query: &WholeQuery,
) -> Result<Vec<PackedQuery>, Error> {
    check_query(parameters, query)?;
    read_queries(&parameters.layout, kind, &query.polynomials).map_err(polynomials)
}

fn polynomials(source: tyto_scheme::Error) -> Error {
    Error::Field { field: "query.polynomials", source }
}

/// Checks that a whole query was made for its gallery.
fn check_query(parameters: &GalleryParameters, query: &WholeQuery) -> Result<(), Error> {
    let mismatch = |field, what| Error::Field {
        field,
        source: tyto_scheme::Error::Mismatch { object: "query", field: what },
    };
    if query.key != parameters.key {
        return Err(mismatch("query.key_id", "key id"));
    }
    if query.mask_epoch != parameters.mask_epoch {
        return Err(mismatch("query.mask_epoch", "mask epoch"));
    }
    Ok(())
}

/// The state that an answer is computed on, with the manifest if the client has another.
pub(crate) fn snapshot_state(snapshot: &Snapshot, known_manifest_version: u64) -> SnapshotState {
    let manifest_version = snapshot.manifest_version();
    let lacking = manifest_version != known_manifest_version;
    let sealed_manifest = lacking.then(|| Bytes::from_owner(snapshot.sealed_manifest().clone()));
    SnapshotState { manifest_version, sealed_manifest }
}

/// Where a verification is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// On the async thread that received it.
    Inline,
    /// Off the async threads.
    Attested,
    /// Off the async threads, on threads that give way.
    Long,
}

impl Class {
    fn of(gallery: &Gallery, request: &Verify) -> Self {
        let layout = &gallery.parameters().layout;
        let short = layout.stride() >= SHORT_STRIDE
            && layout.chunks() <= SHORT_CHUNKS
            && gallery.has_at_most(request.subject, SHORT_PRODUCTS / layout.chunks())
            && sealed_bytes(gallery, request) <= SHORT_SEALED_BYTES;
        match (short, &request.attestation) {
            (false, _) => Self::Long,
            (true, Some(_)) => Self::Attested,
            (true, None) => Self::Inline,
        }
    }

    fn lane(self, app: &Site) -> Option<&Lane> {
        match self {
            Self::Inline => None,
            Self::Attested => Some(&app.attested_verifications),
            Self::Long => Some(&app.long_verifications),
        }
    }
}

/// Bytes of the manifest and the records that an answer would have.
fn sealed_bytes(gallery: &Gallery, request: &Verify) -> usize {
    let known = request.known_manifest_version;
    if gallery.snapshot().manifest_version() == known {
        return 0;
    }
    let mut located = Vec::new();
    let snapshot = gallery.locate(request.subject, &mut located);
    let state = |in_block: &[Located]| snapshot.blocks()[in_block[0].ordinal].state();
    let states = located.chunk_by(|a, b| a.ordinal == b.ordinal).map(state);
    let records = states.filter(|state| state.changed_at > known).map(|state| state.record.len());
    snapshot.sealed_manifest().len() + records.sum::<usize>()
}

/// One verification, ready to be computed.
struct Job {
    app: Arc<Site>,
    gallery: Arc<Gallery>,
    request: Verify,
    /// For an attestation.
    wish: Option<Wish>,
    /// Unless the request brings a whole query.
    ticket: Option<ReadyTicket>,
    class: Class,
    /// In the lane of its class.
    place: Option<OwnedSemaphorePermit>,
    /// When the call arrived, or as much later as the store took to mark its ticket.
    since: Instant,
}

/// Memory for one computation at a time.
#[derive(Default)]
struct Workspace {
    verification: Verification,
    located: Vec<Located>,
}

thread_local! {
    /// For short work, whose queries are small. Only the async threads have one.
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

async fn run(job: Job) -> Result<VerifyAnswer, Error> {
    let work = job.app.work.clone();
    // A permit outlives a caller who goes away: the computation does, too.
    match job.class {
        Class::Inline => inline(|workspace| job.compute(workspace)),
        Class::Attested => work.detached(off_the_async_threads(job)).await,
        Class::Long => work.in_background(off_the_async_threads(job)).await,
    }
}

/// Computes on this thread. A panic, which is a defect of the kernels, ends like one off the async threads: the caller is
/// told, and the call is counted.
fn inline<T>(compute: impl FnOnce(&mut Workspace) -> Result<T, Error>) -> Result<T, Error> {
    let computed = catch_unwind(AssertUnwindSafe(|| WORKSPACE.with_borrow_mut(compute)));
    computed.unwrap_or_else(|_| {
        // It may be half changed.
        WORKSPACE.take();
        Err(Error::Panic)
    })
}

async fn off_the_async_threads(job: Job) -> Result<VerifyAnswer, Error> {
    let app = job.app.clone();
    let _permit = match job.class.lane(&app) {
        Some(lane) => Some(app.permit(&lane.running).await?),
        None => None,
    };
    compute(move || job.compute(&mut Workspace::default())).await
}

impl Job {
    /// Makes the answer: here a verification stops waiting and begins to be computed.
    fn compute(self, workspace: &mut Workspace) -> Result<VerifyAnswer, Error> {
        // The place is free when this returns.
        let Self { app, gallery, request, wish, ticket, class: _, place: _place, since } = self;
        app.metrics.verification_queue_wait.observe(since.elapsed());
        let Workspace { verification, located } = workspace;
        let parameters = gallery.parameters();
        match (&request.probe, ticket) {
            (_, Some(ticket)) => {
                let (queries, deltas) = ticket.into_parts()?;
                verification.use_ticket(&parameters.layout, queries, &deltas);
            }
            (Probe::Query(query), None) => {
                check_query(parameters, query)?;
                verification.read(&parameters.layout, &query.polynomials).map_err(polynomials)?;
            }
            (Probe::Ticket(ticket), None) => return Err(Error::UnknownTicket(ticket.ticket)),
        }
        let snapshot = gallery.locate(request.subject, located);
        if located.is_empty() {
            return Err(Error::UnknownSubject);
        }
        if located.len() > MAX_RESULTS_PER_VERIFICATION {
            let (found, max) = (located.len(), MAX_RESULTS_PER_VERIFICATION);
            return Err(Error::TooManyTemplates { found, max });
        }
        let mut results = Vec::with_capacity(located.len());
        verification.compare(&snapshot, located, |comparison| {
            let block = &snapshot.blocks()[comparison.template.ordinal];
            results.push(SlotResult {
                block: block.id(),
                version: block.version(),
                slot: comparison.template.slot,
                coefficient: comparison.coefficient,
                check: comparison.check,
            });
        });
        app.metrics.templates_compared.add(results.len());
        let evidence = Evidence::begin(wish, request.target(), &request.probe)?;
        answer(&app, &gallery, &request, evidence, &snapshot, located, results)
    }
}

/// What else belongs to an answer: changed records, the attestation if it is wanted, the state that it is about.
fn answer(
    app: &Site,
    gallery: &Gallery,
    request: &Verify,
    mut evidence: Option<Evidence>,
    snapshot: &Snapshot,
    located: &[Located],
    results: Vec<SlotResult>,
) -> Result<VerifyAnswer, Error> {
    let mut records = Vec::new();
    for in_block in located.chunk_by(|a, b| a.ordinal == b.ordinal) {
        let block = &snapshot.blocks()[in_block[0].ordinal];
        if let Some(evidence) = &mut evidence {
            evidence.block(block);
        }
        if block.state().changed_at > request.known_manifest_version {
            records.push(sealed_record(block));
        }
    }
    if let Some(evidence) = &mut evidence {
        results.iter().for_each(|result| evidence.slot(result));
    }
    let attestation = evidence.map(|e| e.sign(app, gallery.parameters(), snapshot)).transpose()?;
    let ticket = match &request.probe {
        Probe::Ticket(ticket) => Some(ticket.clone()),
        Probe::Query(_) => None,
    };
    let snapshot = snapshot_state(snapshot, request.known_manifest_version);
    let answer = VerifyAnswer { snapshot, ticket, results, records, attestation };
    check_size(&answer)?;
    Ok(answer)
}

/// Measures an answer, if sealed objects could make it too large.
fn check_size(answer: &VerifyAnswer) -> Result<(), Error> {
    let max_bytes = MAX_MESSAGE_BYTES;
    let records: usize = answer.records.iter().map(|record| record.sealed.len()).sum();
    if records + answer.snapshot.sealed_manifest.as_ref().map_or(0, Bytes::len) > max_bytes / 2 {
        let found_bytes = answer.encoded_len();
        if found_bytes > max_bytes {
            return Err(Error::AnswerTooLarge { found_bytes, max_bytes });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use tyto_api::matching::{Attestation, AttestationRequest, TicketUse};

    #[test]
    fn a_panic_on_an_async_thread_is_an_error_and_the_next_computation_starts_afresh() {
        let broken: Result<(), _> = inline(|workspace| {
            workspace.located.push(Located { ordinal: 1, slot: 2 });
            panic!("a defect of the kernels")
        });
        assert!(matches!(broken, Err(Error::Panic)));
        assert!(inline(|workspace| Ok(workspace.located.is_empty())).unwrap());
    }

    #[tokio::test]
    async fn long_verifications_that_would_wait_behind_too_many_are_refused() {
        let (_dir, app) = fixture::app(|config| config.limits.queued_verifications = 0).await;
        let (parameters, _) = fixture::gallery_of_one_block(&app).await;
        let query = WholeQuery { key: parameters.key, mask_epoch: 0, polynomials: Bytes::new() };
        let request = Verify {
            gallery: parameters.gallery,
            subject: tyto_scheme::Pseudonym([1; 16]),
            probe: Probe::Query(query),
            known_manifest_version: 2,
            attestation: None,
        };
        let mut taken = Vec::new();
        while let Ok(place) = app.long_verifications.place() {
            taken.push(place);
        }
        let full = verify(&app, request.clone(), Instant::now()).await;
        assert!(matches!(full, Err(Error::TooManyVerifications { max: 0 })), "{full:?}");
        taken.pop();
        // The place of a call that fails is free again.
        for _ in 0..3 {
            let wrong = verify(&app, request.clone(), Instant::now()).await;
            assert!(matches!(wrong, Err(Error::Field { field: "query.polynomials", .. })), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn an_attestation_that_is_handed_out_again_is_logged_if_its_entry_was_lost() {
        let (_dir, app) = fixture::app(|_| {}).await;
        let (parameters, _) = fixture::gallery_of_one_block(&app).await;
        let subject = tyto_scheme::Pseudonym([1; 16]);
        let deltas: Vec<u8> = (0..Kind::Verify.queries())
            .flat_map(|_| {
                let layout = &parameters.layout;
                tyto_scheme::Delta::new(layout, vec![1; layout.padded_dimension()]).unwrap().to_bytes()
            })
            .collect();
        let ticket = TicketUse { ticket: TicketId([4; 16]), deltas: deltas.into(), tag: [0; 16] };
        let attestation = AttestationRequest { nonce: [2; 32], audience: String::new() };
        let request = Verify {
            gallery: parameters.gallery,
            subject,
            probe: Probe::Ticket(ticket.clone()),
            known_manifest_version: 2,
            attestation: Some(attestation.clone()),
        };
        let new = tyto_store::NewTicket {
            ticket: ticket.ticket,
            gallery: parameters.gallery,
            key: parameters.key,
            kind: Kind::Verify,
            expires_ms: u64::MAX >> 1,
        };
        app.store.put_ticket(new, Bytes::from_static(b"ticket")).await.unwrap();
        let purpose = Purpose {
            gallery: request.gallery,
            target: request.target(),
            known_manifest_version: 2,
            attestation: Some(&attestation),
        };
        app.store.begin_use(ticket.ticket, purpose.digest(&request.probe)).await.unwrap();
        let answer = VerifyAnswer {
            snapshot: SnapshotState { manifest_version: 2, sealed_manifest: None },
            ticket: Some(ticket.clone()),
            results: Vec::new(),
            records: Vec::new(),
            attestation: Some(Attestation { cose_sign1: Bytes::from_static(b"signed"), salt: [3; 32] }),
        };
        app.store.finish_use(ticket.ticket, stored(&answer).into()).await.unwrap();
        assert_eq!(verify(&app, request, Instant::now()).await.unwrap(), answer);
        let leaf = tyto_attest::log::leaf_hash(b"signed");
        let waited = app.log.receipt(&leaf, Duration::from_mins(1), std::future::pending()).await;
        assert!(matches!(waited, Ok(crate::log::Waited::Receipt(_))), "its receipt can be had");
    }
}

//! Verification (1:1).
//!
//! The computation of a common verification takes some microseconds: two transforms and two products. It runs on the
//! async thread that received the request, which is less work than handing it to another, and waits for no permit.
//! What takes longer runs off the async threads, in two classes that do not wait for each other: attested answers,
//! whose digests and ML-DSA signature take some hundred microseconds, and comparisons with many or large templates.

use crate::Error;
use crate::app::App;
use crate::service::attestation::Evidence;
use crate::service::records::sealed_record;
use crate::service::tickets::{self, Begun, Purpose, ReadyTicket};
use crate::work::compute;
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;
use tyto_api::limits::{MAX_MESSAGE_BYTES, MAX_RESULTS_PER_VERIFICATION};
use tyto_api::matching::{Probe, SlotResult, SnapshotState, TicketUse, Verify, VerifyAnswer, WholeQuery};
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

/// What is not a sealed object takes less than half of the largest message.
const _: () = assert!(MAX_RESULTS_PER_VERIFICATION * 256 + (256 << 10) <= MAX_MESSAGE_BYTES / 2);

/// Compares a probe with every template of a subject. The call arrived at `since`.
pub(crate) async fn verify(app: &Arc<App>, request: Verify, since: Instant) -> Result<VerifyAnswer, Error> {
    let gallery = app.galleries.get(request.gallery)?.resident();
    let app = app.clone();
    match &request.probe {
        Probe::Query(_) => run(Job { app, gallery, request, ticket: None, since }).await,
        Probe::Ticket(ticket) => {
            let (ticket, work) = (ticket.clone(), app.work.clone());
            work.detached(use_ticket(app, gallery, request, ticket, since)).await
        }
    }
}

/// Compares the probe that a ticket becomes. Must run to its end once begun.
async fn use_ticket(
    app: Arc<App>,
    gallery: Arc<Gallery>,
    request: Verify,
    ticket: TicketUse,
    since: Instant,
) -> Result<VerifyAnswer, Error> {
    let purpose = Purpose {
        gallery: request.gallery,
        target: request.target(),
        known_manifest_version: request.known_manifest_version,
        attestation: request.attestation.as_ref(),
    };
    let id = ticket.ticket;
    let asked = Instant::now();
    let begun = tickets::begin_use(&app, gallery.parameters(), purpose, &request.probe, &ticket).await?;
    let (ticket, hold) = match begun {
        Begun::Answered(stored) => return replay(id, &stored),
        Begun::Fresh(ticket, hold) => (ticket, hold),
    };
    // The store takes its time, which is measured apart.
    let in_store = asked.elapsed();
    app.metrics.ticket_mark.observe(in_store);
    let job = Job { app: app.clone(), gallery, request, ticket: Some(ticket), since: since + in_store };
    let result = run(job).await;
    let kept = match &result {
        Ok(answer) => Some([&[ANSWERED], &answer.to_bytes()[..]].concat()),
        Err(Error::UnknownSubject) => Some(vec![UNKNOWN_SUBJECT]),
        Err(_) => None,
    };
    // The caller need not wait for the disk; a retry does, because the ticket is still held.
    let running = app.work.begin();
    tokio::spawn(async move {
        tickets::finish_use(&app, id, kept).await;
        drop((hold, running));
    });
    result
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
    let sealed_manifest = lacking.then(|| Bytes::copy_from_slice(snapshot.sealed_manifest()));
    SnapshotState { manifest_version, sealed_manifest }
}

/// One verification, ready to be computed.
struct Job {
    app: Arc<App>,
    gallery: Arc<Gallery>,
    request: Verify,
    /// Unless the request brings a whole query.
    ticket: Option<ReadyTicket>,
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
    let short = job.is_short();
    if short && job.request.attestation.is_none() {
        return WORKSPACE.with_borrow_mut(|workspace| job.compute(workspace));
    }
    let app = job.app.clone();
    let work = app.work.clone();
    // A permit outlives a caller who goes away: the computation does, too.
    work.detached(async move {
        let permits = if short { &app.verifications } else { &app.long_verifications };
        let _permit = app.permit(permits).await?;
        compute(move || job.compute(&mut Workspace::default())).await
    })
    .await
}

impl Job {
    /// Whether the comparisons, without an attestation of them, take some ten microseconds.
    fn is_short(&self) -> bool {
        let layout = &self.gallery.parameters().layout;
        layout.stride() >= SHORT_STRIDE
            && layout.chunks() <= SHORT_CHUNKS
            && self.gallery.has_at_most(self.request.subject, SHORT_PRODUCTS / layout.chunks())
    }

    /// Makes the answer: here a verification stops waiting and begins to be computed.
    fn compute(self, workspace: &mut Workspace) -> Result<VerifyAnswer, Error> {
        let Self { app, gallery, request, ticket, since } = self;
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
        answer(&app, &gallery, &request, &snapshot, located, results)
    }
}

/// What else belongs to an answer: changed records, the attestation if it is wanted, the state that it is about.
fn answer(
    app: &App,
    gallery: &Gallery,
    request: &Verify,
    snapshot: &Snapshot,
    located: &[Located],
    results: Vec<SlotResult>,
) -> Result<VerifyAnswer, Error> {
    let mut evidence = Evidence::begin(request.attestation.as_ref(), request.target(), &request.probe)?;
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
        let found_bytes = answer.to_bytes().len();
        if found_bytes > max_bytes {
            return Err(Error::AnswerTooLarge { found_bytes, max_bytes });
        }
    }
    Ok(())
}

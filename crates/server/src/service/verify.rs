//! Verification (1:1).

use crate::Error;
use crate::app::App;
use crate::service::attestation::Evidence;
use crate::service::records::sealed_record;
use crate::service::tickets::{self, Begun, Purpose};
use crate::work::compute;
use bytes::Bytes;
use std::sync::Arc;
use tyto_api::limits::{MAX_MESSAGE_BYTES, MAX_RESULTS_PER_VERIFICATION};
use tyto_api::matching::{Probe, SlotResult, SnapshotState, Verify, VerifyAnswer, WholeQuery};
use tyto_engine::{Gallery, PackedQuery, Scratch, Snapshot, prepare_query};
use tyto_scheme::query::{Kind, QueryPolynomials};
use tyto_scheme::{GalleryParameters, TicketId};

/// First byte of an answer that is kept with its ticket.
pub(crate) const ANSWERED: u8 = 0;
/// The only byte where the gallery had no template of the subject.
const UNKNOWN_SUBJECT: u8 = 1;

/// Compares a probe with every template of a subject. Must run to its end once begun.
pub(crate) async fn verify(app: Arc<App>, request: Verify) -> Result<VerifyAnswer, Error> {
    let gallery = app.galleries.get(request.gallery)?.resident();
    match &request.probe {
        Probe::Query(query) => {
            let query = query.clone();
            let waiting = app.clone();
            let _permit = waiting.permit(&waiting.verifications).await?;
            compute(move || {
                let queries = parse_query(gallery.parameters(), Kind::Verify, &query)?;
                answer(&app, &gallery, &request, &queries)
            })
            .await
        }
        Probe::Ticket(ticket) => {
            let purpose = Purpose {
                gallery: request.gallery,
                target: request.target(),
                known_manifest_version: request.known_manifest_version,
                attestation: request.attestation.as_ref(),
            };
            let id = ticket.ticket;
            match tickets::begin_use(&app, gallery.parameters(), purpose, &request.probe, ticket).await? {
                Begun::Answered(stored) => replay(id, &stored),
                Begun::Fresh(queries, hold) => {
                    let permit = app.permit(&app.verifications).await?;
                    let computing = app.clone();
                    let result = compute(move || answer(&computing, &gallery, &request, &queries)).await;
                    drop(permit);
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
            }
        }
    }
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
    let polynomials = QueryPolynomials::parse(&parameters.layout, kind, &query.polynomials)
        .map_err(|source| Error::Field { field: "query.polynomials", source })?;
    Ok(polynomials.queries().iter().map(|query| prepare_query(query)).collect())
}

/// The state that an answer is computed on, with the manifest if the client has another.
pub(crate) fn snapshot_state(snapshot: &Snapshot, known_manifest_version: u64) -> SnapshotState {
    let manifest_version = snapshot.manifest_version();
    let lacking = manifest_version != known_manifest_version;
    let sealed_manifest = lacking.then(|| Bytes::copy_from_slice(snapshot.sealed_manifest()));
    SnapshotState { manifest_version, sealed_manifest }
}

fn answer(
    app: &App,
    gallery: &Gallery,
    request: &Verify,
    queries: &[PackedQuery],
) -> Result<VerifyAnswer, Error> {
    let (snapshot, located) = gallery.locate(request.subject);
    if located.is_empty() {
        return Err(Error::UnknownSubject);
    }
    if located.len() > MAX_RESULTS_PER_VERIFICATION {
        return Err(Error::TooManyTemplates { found: located.len(), max: MAX_RESULTS_PER_VERIFICATION });
    }
    let mut evidence = Evidence::begin(request.attestation.as_ref(), request.target(), &request.probe)?;
    let (mut results, mut records) = (Vec::with_capacity(located.len()), Vec::new());
    let mut scratch = Scratch::new();
    for in_block in located.chunk_by(|a, b| a.ordinal == b.ordinal) {
        let block = &snapshot.blocks()[in_block[0].ordinal];
        let slots: Vec<u16> = in_block.iter().map(|located| located.slot).collect();
        let scores = scratch.match_slots(snapshot.layout(), block, queries, &slots);
        if let Some(evidence) = &mut evidence {
            evidence.block(block);
        }
        for (i, slot) in slots.into_iter().enumerate() {
            let (coefficient, check) = (scores[0][i], scores[1][i]);
            let result = SlotResult { block: block.id(), version: block.version(), slot, coefficient, check };
            if let Some(evidence) = &mut evidence {
                evidence.slot(&result);
            }
            results.push(result);
        }
        if block.state().changed_at > request.known_manifest_version {
            records.push(sealed_record(block));
        }
    }
    app.metrics.templates_compared.add(results.len());
    let attestation = evidence.map(|e| e.sign(app, gallery.parameters(), &snapshot)).transpose()?;
    let ticket = match &request.probe {
        Probe::Ticket(ticket) => Some(ticket.clone()),
        Probe::Query(_) => None,
    };
    let snapshot = snapshot_state(&snapshot, request.known_manifest_version);
    let answer = VerifyAnswer { snapshot, ticket, results, records, attestation };
    let found_bytes = answer.to_bytes().len();
    if found_bytes > MAX_MESSAGE_BYTES {
        return Err(Error::AnswerTooLarge { found_bytes, max_bytes: MAX_MESSAGE_BYTES });
    }
    Ok(answer)
}

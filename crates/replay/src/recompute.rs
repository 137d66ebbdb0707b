//! The computation, once more.

use crate::{CiphertextReader, Error, ReplayFile};
use bytes::Bytes;
use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use tyto_api::content;
use tyto_api::matching::{BlockReply, SlotResult};
use tyto_attest::digest::{DigestKind, SaltedDigest, blocks_root, salted};
use tyto_attest::{MatchResult, Operation};
use tyto_engine::{
    Block, BlockState, Gallery, Located, PackedQuery, Snapshot, Verification, add_deltas, match_all,
    prepare_query, read_queries,
};
use tyto_scheme::query::{Kind, parse_deltas, parse_ticket};
use tyto_scheme::{BlockId, Delta, GalleryParameters};

/// Blocks that are matched at a time.
const BATCH_BLOCKS: usize = 8;
/// Bytes of one template's part of a verification's result.
const SLOT_RESULT_BYTES: usize = 16 + 8 + 3 * 2;

/// What was compared, in the order of the statement's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The field of the claim.
    pub field: &'static str,
    /// Whether the statement says what was found.
    pub matches: bool,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every field that was compared.
    pub comparisons: Vec<Comparison>,
    /// The first block of the kept result that was computed differently, and the slot in a verification. None if there
    /// is no such difference, or no kept result to look for it in.
    pub first_difference: Option<(BlockId, Option<u16>)>,
}

impl Report {
    /// Whether the answer is what these ciphertexts give.
    pub fn holds(&self) -> bool {
        self.comparisons.iter().all(|comparison| comparison.matches)
    }

    /// The first field that differs.
    pub fn first_differing(&self) -> Option<&'static str> {
        self.comparisons.iter().find(|comparison| !comparison.matches).map(|comparison| comparison.field)
    }
}

/// Computes a match once more and compares it with what the statement says. The ciphertexts are those of the covered
/// blocks, in the order of the answer. That the statement is the attestation's and holds is for the caller to verify.
///
/// # Errors
/// Why it cannot be replayed.
pub fn replay(
    file: &ReplayFile,
    claim: &MatchResult,
    ciphertexts: impl Read,
    threads: NonZeroUsize,
) -> Result<Report, Error> {
    let kind = match claim.operation {
        Operation::Verify => Kind::Verify,
        Operation::Identify => Kind::Identify,
        _ => return Err(Error::NoMatch),
    };
    let request = file.attestation.request.as_deref().ok_or(Error::NoRequest)?;
    let probe = Probe::read(file, request)?;
    let reader = CiphertextReader::open(ciphertexts, &file.parameters, file.covered.len())?;
    let blocks = Blocks { file, reader, next: 0 };
    let recomputed = match kind {
        Kind::Verify => verification(file, &probe, blocks)?,
        Kind::Identify => identification(file, &probe, blocks, threads)?,
    };
    Ok(Report {
        comparisons: compare(file, claim, kind, &probe, &recomputed),
        first_difference: recomputed.first_difference,
    })
}

struct Recomputed {
    result_digest: [u8; 32],
    first_difference: Option<(BlockId, Option<u16>)>,
}

fn compare(
    file: &ReplayFile,
    claim: &MatchResult,
    kind: Kind,
    probe: &Probe,
    recomputed: &Recomputed,
) -> Vec<Comparison> {
    let (parameters, salt) = (&file.parameters, &file.attestation.salt);
    let ids =
        |blocks: &[(BlockId, u64)]| blocks.iter().map(|(id, version)| (id.0, *version)).collect::<Vec<_>>();
    let mut covered: Vec<_> = file.covered.iter().map(|covered| covered.position).collect();
    covered.sort_unstable();
    let covered: Vec<_> = covered.into_iter().map(|position| file.blocks[position]).collect();
    let mut state = SaltedDigest::new(DigestKind::GalleryState, salt);
    let all = blocks_root(&ids(&file.blocks));
    content::gallery_state(file.manifest_version, &file.manifest_digest, &all, &mut state);
    let mut records = SaltedDigest::new(DigestKind::Records, salt);
    for covered in &file.covered {
        let (block, version) = file.block(covered);
        content::record(block, version, &covered.record_digest, &mut records);
    }
    let request = file.attestation.request.as_deref().unwrap_or_default();
    let comparisons = [
        ("operation", probe.kind == Some(kind)),
        ("parameter_set", claim.parameter_set == parameters.layout.parameter_set().id()),
        ("gallery", claim.gallery_id == parameters.gallery.0),
        ("mask_epoch", claim.mask_epoch == parameters.mask_epoch),
        ("manifest_version", claim.manifest_version == file.manifest_version),
        ("blocks_root", claim.blocks_root == blocks_root(&ids(&covered))),
        ("blocks_matched", claim.blocks_matched == file.covered.len() as u64),
        ("blocks_total", claim.blocks_total == file.blocks.len() as u64),
        ("ticket", claim.ticket_id == probe.ticket),
        ("request_digest", claim.request_digest == salted(DigestKind::Request, salt, request)),
        ("gallery_state_digest", claim.gallery_state_digest == state.finalize()),
        ("records_digest", claim.records_digest == records.finalize()),
        ("result_digest", claim.result_digest == recomputed.result_digest),
        ("reply_bits", claim.reply_bits == parameters.layout.reply_bits()),
    ];
    comparisons.into_iter().map(|(field, matches)| Comparison { field, matches }).collect()
}

/// The probe as the request has it.
struct Probe {
    /// What the target is.
    kind: Option<Kind>,
    ticket: Option<[u8; 16]>,
    /// Packed polynomials of a whole query; without them it is a ticket's.
    polynomials: Option<Vec<u8>>,
    queries: Vec<PackedQuery>,
    deltas: Vec<Delta>,
}

impl Probe {
    /// Request contents: `"T" || ticket id 16 || target 17 || deltas || tag 16`, or `"Q" || target 17 || polynomials`.
    fn read(file: &ReplayFile, request: &[u8]) -> Result<Self, Error> {
        let malformed = Error::Malformed { what: "request", field: "neither a ticket's use nor a query" };
        let of_target = |target: &[u8]| match target[0] {
            1 => Some(Kind::Verify),
            2 => Some(Kind::Identify),
            _ => None,
        };
        match request.split_first() {
            Some((b'Q', rest)) if rest.len() >= 17 => {
                let (target, polynomials) = rest.split_at(17);
                let polynomials = Some(polynomials.to_vec());
                let kind = of_target(target);
                Ok(Self { kind, ticket: None, polynomials, queries: Vec::new(), deltas: Vec::new() })
            }
            Some((b'T', rest)) if rest.len() >= 16 + 17 + 16 => {
                let (id, rest) = rest.split_at(16);
                let (target, rest) = rest.split_at(17);
                let deltas = &rest[..rest.len() - 16];
                let ticket = file.ticket.as_deref().ok_or(Error::NoTicket)?;
                let (found, kind, polynomials) = parse_ticket(&file.parameters, ticket)?;
                if found.0 != *id {
                    return Err(Error::NoTicket);
                }
                Ok(Self {
                    kind: of_target(target).filter(|wanted| *wanted == kind),
                    ticket: Some(found.0),
                    polynomials: None,
                    queries: polynomials.queries().iter().map(|query| prepare_query(query)).collect(),
                    deltas: parse_deltas(&file.parameters.layout, kind, deltas)?,
                })
            }
            _ => Err(malformed),
        }
    }
}

/// The ciphertexts, block by block, each the one that was covered.
struct Blocks<'a, R> {
    file: &'a ReplayFile,
    reader: CiphertextReader<R>,
    next: usize,
}

impl<R: Read> Blocks<'_, R> {
    /// A gallery of the next blocks, at most `count`; none after the last.
    fn take(&mut self, count: usize) -> Result<Option<Arc<Snapshot>>, Error> {
        let mut blocks = Vec::new();
        while blocks.len() < count {
            let Some((id, version, polynomials)) = self.reader.next_block()? else { break };
            let covered = &self.file.covered[self.next];
            let (expected, expected_version) = self.file.block(covered);
            if (id, version) != (expected, expected_version) {
                return Err(Error::OtherBlock {
                    expected,
                    expected_version,
                    found: id,
                    found_version: version,
                });
            }
            self.next += 1;
            let state = BlockState {
                id,
                version,
                changed_at: 0,
                record: Arc::from([]),
                record_digest: covered.record_digest,
                entries: 0,
            };
            blocks.push(Block::from_polynomials(&self.file.parameters.layout, state, polynomials, &[], &[]));
        }
        if blocks.is_empty() { Ok(None) } else { gallery(&self.file.parameters, blocks).map(Some) }
    }
}

fn gallery(parameters: &GalleryParameters, blocks: Vec<Block>) -> Result<Arc<Snapshot>, Error> {
    Ok(Gallery::new(*parameters, 0, Arc::from([]), blocks)?.snapshot())
}

fn identification(
    file: &ReplayFile,
    probe: &Probe,
    mut blocks: Blocks<'_, impl Read>,
    threads: NonZeroUsize,
) -> Result<Recomputed, Error> {
    let layout = &file.parameters.layout;
    let mut queries = match &probe.polynomials {
        Some(polynomials) => read_queries(layout, Kind::Identify, polynomials)?,
        None => probe.queries.clone(),
    };
    for (query, delta) in queries.iter_mut().zip(&probe.deltas) {
        add_deltas(layout, query, delta);
    }
    // A verification's two queries are no identification: the request digest says so, and this must not panic.
    queries.truncate(1);
    let queries: Vec<_> = queries.iter().collect();
    let mut digest = SaltedDigest::new(DigestKind::Result, &file.attestation.salt);
    let mut kept = file.attestation.result.as_deref();
    let mut first_difference = None;
    while let Some(snapshot) = blocks.take(BATCH_BLOCKS)? {
        let flow = match_all(&snapshot, &queries, threads, |batch| {
            for reply in batch.into_iter().flatten() {
                let state = snapshot.blocks()[reply.ordinal].state();
                let mut content = Vec::with_capacity(24 + reply.packed.len());
                let (block, version, coefficients) = (state.id, state.version, Bytes::from(reply.packed));
                let reply = BlockReply { block, version, coefficients, sealed_record: None };
                content::block_reply(&reply, &mut content);
                digest.update(&content);
                let (differs, rest) = compare_kept(kept, &content);
                kept = rest;
                first_difference = first_difference.or(differs.then_some((block, None)));
            }
            ControlFlow::Continue(())
        });
        debug_assert!(flow.is_continue(), "nothing ends the pass");
    }
    Ok(Recomputed { result_digest: digest.finalize(), first_difference })
}

fn verification(
    file: &ReplayFile,
    probe: &Probe,
    mut blocks: Blocks<'_, impl Read>,
) -> Result<Recomputed, Error> {
    let layout = &file.parameters.layout;
    let result = file.attestation.result.as_deref().ok_or(Error::NoResult)?;
    let mut verification = Verification::new();
    match &probe.polynomials {
        Some(polynomials) => verification.read(layout, polynomials)?,
        None if probe.deltas.len() == Kind::Verify.queries() => {
            verification.use_ticket(layout, probe.queries.clone(), &probe.deltas);
        }
        None => return Err(Error::NoTicket),
    }
    let snapshot = blocks.take(usize::MAX)?;
    let located = located(file, result)?;
    let mut digest = SaltedDigest::new(DigestKind::Result, &file.attestation.salt);
    let (mut kept, mut first_difference) = (Some(result), None);
    if let Some(snapshot) = snapshot {
        verification.compare(&snapshot, &located, |comparison| {
            let state = snapshot.blocks()[comparison.template.ordinal].state();
            let (block, version, slot) = (state.id, state.version, comparison.template.slot);
            let (coefficient, check) = (comparison.coefficient, comparison.check);
            let mut content = Vec::with_capacity(SLOT_RESULT_BYTES);
            content::slot_result(&SlotResult { block, version, slot, coefficient, check }, &mut content);
            digest.update(&content);
            let (differs, rest) = compare_kept(kept, &content);
            kept = rest;
            first_difference = first_difference.or(differs.then_some((block, Some(slot))));
        });
    }
    Ok(Recomputed { result_digest: digest.finalize(), first_difference })
}

/// The templates that a verification's result lists.
fn located(file: &ReplayFile, result: &[u8]) -> Result<Vec<Located>, Error> {
    let malformed = |field| Error::Malformed { what: "result", field };
    let (rows, rest) = result.as_chunks::<SLOT_RESULT_BYTES>();
    if !rest.is_empty() {
        return Err(malformed("it breaks off"));
    }
    let slots = file.parameters.layout.slots();
    let row = |row: &[u8; SLOT_RESULT_BYTES]| {
        let is_of = |covered: &crate::CoveredBlock| file.block(covered).0.0 == row[..16];
        let ordinal = file.covered.iter().position(is_of).ok_or(malformed("a block that was not covered"))?;
        let slot = u16::from_le_bytes([row[24], row[25]]);
        if usize::from(slot) < slots { Ok(Located { ordinal, slot }) } else { Err(malformed("a slot")) }
    };
    rows.iter().map(row).collect()
}

/// Whether the kept result goes on differently, and what follows of it.
fn compare_kept<'k>(kept: Option<&'k [u8]>, content: &[u8]) -> (bool, Option<&'k [u8]>) {
    match kept.map(|kept| kept.split_at_checked(content.len())) {
        None => (false, None),
        Some(Some((here, rest))) => (here != content, Some(rest)),
        Some(None) => (true, None),
    }
}

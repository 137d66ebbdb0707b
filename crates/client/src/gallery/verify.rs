//! Verification, 1:1.

use super::attestation::{self, Exchange, Kept};
use super::basis::{Asked, Basis, Readable};
use super::probes::{Ready, check_echo, may_try_anew, ticket_message};
use super::view::View;
use super::{GalleryHandle, Inner, compute};
use crate::channel::{Rpc, pause, size};
use crate::{CoveredBlock, Error, TemplateScore, Timings, Verification, VerifyOptions};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use tyto_api::content;
use tyto_api::matching::{AttestationRequest, SlotResult, Verify, VerifyAnswer};
use tyto_api::proto::matching::v1::VerifyRequest;
use tyto_scheme::query::Target;
use tyto_scheme::{BlockId, reply};
use tyto_tenant::probe::{self, DeviceUse};
use tyto_tenant::{SubjectId, Template};

const CALL: &str = "Verify";

/// A verification on its way.
struct Comparison {
    subject: SubjectId,
    /// Where the subject's templates are, as far as was known when the request was made.
    places: Vec<(BlockId, u16)>,
    asked: Asked,
    ready: Ready<probe::Verification>,
    attestation: Option<AttestationRequest>,
    started: Instant,
    sent: Instant,
    bytes_sent: u64,
}

impl GalleryHandle {
    pub(crate) async fn verify_probe(
        &self,
        subject: &SubjectId,
        x: &Template,
        options: VerifyOptions,
    ) -> Result<Verification, Error> {
        let started = Instant::now();
        self.locate_or_sync(subject).await?;
        let target = self.gallery().pseudonym(subject);
        let max_attempts = self.0.shared.rpc.max_attempts();
        let mut attempts = 1;
        loop {
            let ready = self.ready_probe(x, target, options.probe_by).await?;
            let by_ticket = ready.may_be_sent_again();
            match self.compare(subject, ready, started).await {
                Err(error) if may_try_anew(&error, by_ticket, attempts, max_attempts) => {
                    pause(attempts).await;
                    attempts += 1;
                }
                Err(error) if error.is_not_found() => return Err(self.denied(subject).await),
                done => return done,
            }
        }
    }

    pub(crate) async fn verify_use(
        &self,
        subject: &SubjectId,
        used: &DeviceUse,
    ) -> Result<Verification, Error> {
        let started = Instant::now();
        self.locate_or_sync(subject).await?;
        let (used, pending) = self.accept(used, self.gallery().pseudonym(subject))?;
        let ready =
            Ready { probe: ticket_message(&used), pending: Arc::new(pending), bytes_sent: 0, ticket: None };
        self.compare(subject, ready, started).await
    }

    /// The state to ask from, in which the subject is enrolled.
    async fn locate_or_sync(&self, subject: &SubjectId) -> Result<(Asked, Vec<(BlockId, u16)>), Error> {
        for synced in [false, true] {
            let asked = self.0.asked();
            let places = self.0.locate(&asked.view, subject);
            if !places.is_empty() {
                return Ok((asked, places));
            }
            if !synced {
                self.sync().await?;
            }
        }
        Err(Error::UnknownSubject)
    }

    /// The server says that it does not know the subject. It may have been removed just now; else it is a lie.
    async fn denied(&self, subject: &SubjectId) -> Error {
        match self.synchronise().await {
            Ok((view, _)) if self.0.locate(&view, subject).is_empty() => Error::UnknownSubject,
            Ok(_) => Error::SubjectDenied,
            Err(error) => error,
        }
    }

    async fn compare(
        &self,
        subject: &SubjectId,
        ready: Ready<probe::Verification>,
        started: Instant,
    ) -> Result<Verification, Error> {
        let (asked, places) = self.locate_or_sync(subject).await?;
        let attestation = attestation::request(&self.0.shared.config)?;
        let request = VerifyRequest::from(Verify {
            gallery: self.id(),
            subject: self.gallery().pseudonym(subject),
            probe: ready.probe.clone(),
            known_manifest_version: asked.view.version(),
            attestation: attestation.clone(),
        });
        let bytes_sent = ready.bytes_sent + size(&request);
        let sent = Instant::now();
        let send = |rpc: Rpc| {
            let request = request.clone();
            async move { { rpc.matching }.verify(request).await }
        };
        let rpc = &self.0.shared.rpc;
        let message = if ready.may_be_sent_again() {
            rpc.repeat(CALL, send).await?
        } else {
            rpc.answer(CALL, send(rpc.clone())).await?
        };
        let bytes_received = size(&message);
        let answer = VerifyAnswer::try_from(message)?;
        let subject = subject.clone();
        let comparison = Comparison { subject, places, asked, ready, attestation, started, sent, bytes_sent };
        self.settle(comparison, answer, bytes_received).await
    }

    async fn settle(
        &self,
        comparison: Comparison,
        answer: VerifyAnswer,
        bytes_received: u64,
    ) -> Result<Verification, Error> {
        check_echo(self.gallery(), &comparison.ready.pending, answer.ticket.as_ref())?;
        let mut basis = Basis::accept(&self.0, comparison.asked.clone(), &answer.snapshot)?;
        let answered = Answered::group(self, &basis, &answer)?;
        if basis.is_newer() {
            // Always: templates that were enrolled meanwhile must not be left out either.
            let version = basis.version();
            basis.set_synced(self.catch_up(version).await?);
        }
        let inner = Arc::clone(&self.0);
        compute(move || {
            let settled =
                Settled { inner: &inner, comparison: &comparison, basis: &basis, answered: &answered };
            settled.verification(answer, bytes_received)
        })
        .await
    }
}

/// The results of an answer by block, and the records that came with them.
struct Answered {
    blocks: Vec<AnsweredBlock>,
    slots: HashSet<(BlockId, u16)>,
    records: HashMap<BlockId, Bytes>,
}

struct AnsweredBlock {
    block: BlockId,
    position: usize,
    replies: Vec<(u16, [u16; 2])>,
}

impl Answered {
    /// Checks that every result is of a block that the manifest lists, at its version, and comes once.
    fn group(handle: &GalleryHandle, basis: &Basis, answer: &VerifyAnswer) -> Result<Self, Error> {
        let layout = handle.gallery().layout();
        let mut grouped = Self { blocks: Vec::new(), slots: HashSet::new(), records: HashMap::new() };
        for &SlotResult { block, version, slot, coefficient, check } in &answer.results {
            let position = basis.listed(block, version)?;
            if !grouped.slots.insert((block, slot)) {
                return Err(Error::AnsweredTwice(block));
            }
            for value in [coefficient, check] {
                reply::coefficient(layout, value.into()).map_err(tyto_tenant::Error::from)?;
            }
            let at = grouped.blocks.iter().position(|known| known.position == position);
            let at = at.unwrap_or_else(|| {
                grouped.blocks.push(AnsweredBlock { block, position, replies: Vec::new() });
                grouped.blocks.len() - 1
            });
            grouped.blocks[at].replies.push((slot, [coefficient, check]));
        }
        for record in &answer.records {
            basis.listed(record.block, record.version)?;
            if grouped.records.insert(record.block, record.sealed.clone()).is_some() {
                return Err(Error::AnsweredTwice(record.block));
            }
        }
        Ok(grouped)
    }
}

impl Comparison {
    /// Whether a block of the answer is at the version that was known when the request was made.
    fn knows(&self, basis: &Basis, position: usize) -> bool {
        let entry = &basis.entries()[position];
        self.asked.view.block(entry.block).is_some_and(|state| state.is(entry))
    }
}

/// An answer with everything that is needed to check the rest of it and to decrypt it.
struct Settled<'a> {
    inner: &'a Inner,
    comparison: &'a Comparison,
    basis: &'a Basis,
    answered: &'a Answered,
}

impl Settled<'_> {
    /// All checks come before the first decryption.
    fn verification(&self, answer: VerifyAnswer, bytes_received: u64) -> Result<Verification, Error> {
        let Comparison { subject, started, sent, bytes_sent, .. } = self.comparison;
        self.check_confirmed()?;
        self.check_complete()?;
        let mut records = Vec::new();
        let mut templates = Vec::new();
        let keep = self.inner.shared.config.keep_replays;
        let mut covered = Vec::new();
        let mut first_block = None;
        for block in &self.answered.blocks {
            let came = self.answered.records.get(&block.block);
            let readable = self.basis.readable(self.inner, block.position, came)?;
            let version = self.basis.entries()[block.position].version;
            content::record(block.block, version, &readable.record_digest, &mut records);
            covered.extend(keep.then(|| self.covered(block.position, &readable)));
            let claimed = readable.view.claim_slots(block.block, version, block.replies.clone())?;
            let scores = self.comparison.ready.pending.decrypt(&self.inner.gallery, claimed)?;
            templates.extend(scores.into_iter().map(|(slot, score)| self.score(block.block, slot, score)));
            first_block.get_or_insert_with(Instant::now);
        }
        let last_block = Instant::now();
        let attestation = self.attestation(answer, records, covered)?;
        let best = templates.iter().copied().max_by_key(|template| template.score);
        Ok(Verification {
            subject: subject.clone(),
            best: best.ok_or(Error::UnknownSubject)?,
            templates,
            attestation,
            manifest_version: self.basis.version(),
            bytes_sent: *bytes_sent,
            bytes_received,
            timings: Timings {
                sent: *sent - *started,
                first_block: first_block.unwrap_or(last_block) - *started,
                last_block: last_block - *started,
                total: started.elapsed(),
            },
        })
    }

    fn covered(&self, position: usize, readable: &Readable) -> CoveredBlock {
        let (slots, record) = (self.inner.gallery.layout().slots() as u16, readable.view.record());
        let filled = (0..slots).filter(|slot| record.is_filled(*slot)).collect();
        CoveredBlock { position, record_digest: readable.record_digest, filled }
    }

    fn score(&self, block: BlockId, slot: u16, score: i32) -> TemplateScore {
        TemplateScore { block, slot, score, value: self.inner.gallery.quantiser().value(score) }
    }

    /// Every result is of a template of the subject.
    fn check_confirmed(&self) -> Result<(), Error> {
        let is_subjects = |view: &Arc<View>, block, slot| {
            view.subject(block, slot).is_some_and(|found| **found == self.comparison.subject)
        };
        for &(block, slot) in &self.answered.slots {
            if !self.basis.views().any(|view| is_subjects(view, block, slot)) {
                return Err(Error::UnconfirmedSlot { block, slot });
            }
        }
        Ok(())
    }

    /// Every template that was known when the request was made is there, or was removed since; and so is every one that
    /// came since and that the answer was computed on.
    fn check_complete(&self) -> Result<(), Error> {
        for &(block, slot) in &self.comparison.places {
            if !self.answered.slots.contains(&(block, slot)) && !self.was_removed(block, slot)? {
                return Err(Error::MissingSlot { block, slot });
            }
        }
        let Some(synced) = self.basis.synced() else { return Ok(()) };
        // Blocks that changed since the answer was computed prove nothing about it, unless nothing at all came.
        let nothing = self.answered.slots.is_empty();
        let is_due = |block| {
            let position = self.basis.position(block)?;
            Some(synced.block(block)?.is(&self.basis.entries()[position]))
        };
        for (block, slot) in self.inner.locate(synced, &self.comparison.subject) {
            let due = nothing || is_due(block).unwrap_or(false);
            if due && !self.answered.slots.contains(&(block, slot)) {
                return Err(Error::MissingSlot { block, slot });
            }
        }
        Ok(())
    }

    fn was_removed(&self, block: BlockId, slot: u16) -> Result<bool, Error> {
        let Some(position) = self.basis.position(block) else { return Ok(true) };
        if self.comparison.knows(self.basis, position) {
            return Ok(false);
        }
        match self.basis.readable(self.inner, position, self.answered.records.get(&block)) {
            Ok(readable) => Ok(!readable.view.record().is_filled(slot)),
            // Its record at exactly this version did not come; the newest view has a later one.
            Err(Error::MissingRecord(_)) => {
                let newest = self.basis.views().next().expect("there is always the view of the request");
                Ok(newest.subject(block, slot).is_none())
            }
            Err(error) => Err(error),
        }
    }

    fn attestation(
        &self,
        answer: VerifyAnswer,
        records: Vec<u8>,
        covered: Vec<CoveredBlock>,
    ) -> Result<Option<crate::KeptAttestation>, Error> {
        let Some(asked) = self.comparison.attestation.clone() else { return Ok(None) };
        let mut result = Vec::new();
        answer.results.iter().for_each(|slot| content::slot_result(slot, &mut result));
        let exchange = Exchange {
            asked,
            parameters: self.inner.gallery.parameters(),
            target: Target::Subject(self.inner.gallery.pseudonym(&self.comparison.subject)),
            probe: &self.comparison.ready.probe,
            basis: self.basis,
            covered: self.answered.blocks.iter().map(|block| block.position).collect(),
            result,
            records,
            kept: self
                .inner
                .shared
                .config
                .keep_replays
                .then(|| Kept { covered, ticket: self.comparison.ready.ticket.clone() }),
        };
        exchange.settle(&self.inner.shared.config, answer.attestation)
    }
}

//! Identification, 1:N: blocks are decrypted as they stream in.

use super::attestation::{self, Exchange, Kept};
use super::basis::{Asked, Basis};
use super::probes::{Ready, check_echo, may_try_anew, ticket_message};
use super::ranking::{BlockScores, rank};
use super::{GalleryHandle, Inner, compute};
use crate::channel::{pause, size};
use crate::{
    Candidate, CoveredBlock, Error, GalleryScore, Identification, IdentifyOptions, KeptAttestation,
    TemplateScore, Timings,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::Streaming;
use tyto_api::content;
use tyto_api::matching::{Attestation, AttestationRequest, BlockReply, Identify, IdentifyPart};
use tyto_api::proto::matching::v1::{IdentifyRequest, IdentifyResponse};
use tyto_scheme::BlockId;
use tyto_scheme::query::Target;
use tyto_tenant::decrypt::Pending;
use tyto_tenant::probe::{self, DeviceUse};
use tyto_tenant::{SubjectId, Template};

const CALL: &str = "Identify";
/// How long one identification may take, with everything that is sent again.
const MAX_IDENTIFICATION: Duration = Duration::from_mins(10);

/// A search on its way.
struct Search {
    asked: Asked,
    ready: Ready<probe::Identification>,
    attestation: Option<AttestationRequest>,
    options: IdentifyOptions,
    started: Instant,
    /// Set before the first decryption: from then on the request is not sent again.
    decrypting: AtomicBool,
}

/// A search that failed.
struct Failed {
    error: Error,
    /// Whether anything of an answer was decrypted: then this probe is never sent in any form again.
    decrypting: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, decrypting: false }
    }
}

impl GalleryHandle {
    pub(crate) async fn identify_probe(
        &self,
        x: &Template,
        options: IdentifyOptions,
    ) -> Result<Identification, Error> {
        let started = Instant::now();
        let max_attempts = self.0.shared.rpc.max_attempts();
        let mut attempts = 1;
        loop {
            let ready = self.ready_probe(x, (), options.probe_by).await?;
            let by_ticket = ready.may_be_sent_again();
            match self.search(ready, options, started).await {
                Err(Failed { error, decrypting: false })
                    if may_try_anew(&error, by_ticket, attempts, max_attempts) =>
                {
                    pause(attempts).await;
                    attempts += 1;
                }
                done => return done.map_err(|failed| failed.error),
            }
        }
    }

    pub(crate) async fn identify_use(
        &self,
        used: &DeviceUse,
        options: IdentifyOptions,
    ) -> Result<Identification, Error> {
        let started = Instant::now();
        let (used, pending) = self.accept(used, ())?;
        let ready =
            Ready { probe: ticket_message(&used), pending: Arc::new(pending), bytes_sent: 0, ticket: None };
        self.search(ready, options, started).await.map_err(|failed| failed.error)
    }

    async fn search(
        &self,
        ready: Ready<probe::Identification>,
        options: IdentifyOptions,
        started: Instant,
    ) -> Result<Identification, Failed> {
        let attestation = attestation::request(&self.0.shared.config)?;
        let asked = self.0.asked();
        let request = IdentifyRequest::from(Identify {
            gallery: self.id(),
            probe: ready.probe.clone(),
            known_manifest_version: asked.view.version(),
            attestation: attestation.clone(),
        });
        let again = ready.may_be_sent_again();
        let max_attempts = self.0.shared.rpc.max_attempts();
        let decrypting = AtomicBool::new(false);
        let search = Arc::new(Search { asked, ready, attestation, options, started, decrypting });
        let mut attempts = 1;
        loop {
            match self.attempt(&search, &request).await {
                Err(error)
                    if again
                        && error.is_transient()
                        && attempts < max_attempts
                        && !search.decrypting.load(Ordering::Relaxed) =>
                {
                    pause(attempts).await;
                    attempts += 1;
                }
                done => {
                    let decrypting = search.decrypting.load(Ordering::Relaxed);
                    return done.map_err(|error| Failed { error, decrypting });
                }
            }
        }
    }

    async fn attempt(
        &self,
        search: &Arc<Search>,
        request: &IdentifyRequest,
    ) -> Result<Identification, Error> {
        let rpc = &self.0.shared.rpc;
        let sent = Instant::now();
        let mut matching = rpc.matching.clone();
        let mut stream = rpc.answer(CALL, matching.identify(request.clone())).await?;
        let mut bytes_received = 0;
        let basis = in_time(search.started, self.header(search, &mut stream, &mut bytes_received)).await?;
        let mut answer = Answer::new(self, search, basis);
        let read = in_time(search.started, answer.read(rpc, &mut stream, &mut bytes_received)).await;
        let (matched, attestation) = match read {
            Ok(trailer) => trailer,
            Err(error) => return Err(answer.fail(error).await),
        };
        let mut settled = answer.finish(matched).await?;
        settled.timings.sent = sent - search.started;
        settled.bytes = (search.ready.bytes_sent + size(request), bytes_received);
        compute(move || settled.identification(attestation)).await
    }

    /// Checks the first message. If the server is ahead, the client catches up before it goes on: the names of new
    /// subjects come from there.
    async fn header(
        &self,
        search: &Search,
        stream: &mut Streaming<IdentifyResponse>,
        bytes_received: &mut u64,
    ) -> Result<Basis, Error> {
        let first = next(&self.0.shared.rpc, stream, bytes_received).await?;
        let Some(IdentifyPart::Header { snapshot, ticket, .. }) = first else {
            return Err(Error::OutOfOrder { call: CALL });
        };
        check_echo(self.gallery(), &search.ready.pending, ticket.as_ref())?;
        let mut basis = Basis::accept(&self.0, search.asked.clone(), &snapshot)?;
        if basis.is_newer() {
            let version = basis.version();
            basis.set_synced(self.catch_up(version).await?);
        }
        Ok(basis)
    }
}

/// Bounds what a server that sends a little now and then can make of one identification.
async fn in_time<T>(started: Instant, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = Error::Timeout { call: CALL, seconds: MAX_IDENTIFICATION.as_secs() };
    tokio::time::timeout_at((started + MAX_IDENTIFICATION).into(), work).await.unwrap_or(Err(late))
}

async fn next(
    rpc: &crate::channel::Rpc,
    stream: &mut Streaming<IdentifyResponse>,
    bytes_received: &mut u64,
) -> Result<Option<IdentifyPart>, Error> {
    match rpc.next(CALL, stream).await? {
        Some(message) => {
            *bytes_received += size(&message);
            Ok(Some(message.try_into()?))
        }
        None => Ok(None),
    }
}

/// The scores of some blocks, by their places in the manifest, with the digests of their records.
struct Decrypted {
    blocks: Vec<(usize, BlockScores, [u8; 32])>,
    /// Why a reply was refused when it was decrypted: the server must not learn that before its answer has ended.
    refused: Option<tyto_tenant::Error>,
    at: Instant,
}

/// An answer that is coming in.
struct Answer {
    inner: Arc<Inner>,
    search: Arc<Search>,
    basis: Arc<Basis>,
    /// Places in the manifest in the order of the answer.
    order: Vec<usize>,
    seen: Vec<bool>,
    /// Content of the result, for the attestation.
    result: Vec<u8>,
    jobs: JoinSet<Result<Decrypted, Error>>,
    decrypted: HashMap<usize, (BlockScores, [u8; 32])>,
    refused: Option<tyto_tenant::Error>,
    first_block: Option<Instant>,
    last_block: Option<Instant>,
}

impl Answer {
    fn new(handle: &GalleryHandle, search: &Arc<Search>, basis: Basis) -> Self {
        Self {
            inner: Arc::clone(&handle.0),
            search: Arc::clone(search),
            order: Vec::with_capacity(basis.entries().len()),
            seen: vec![false; basis.entries().len()],
            basis: Arc::new(basis),
            result: Vec::new(),
            jobs: JoinSet::new(),
            decrypted: HashMap::new(),
            refused: None,
            first_block: None,
            last_block: None,
        }
    }

    /// Reads to the end of the stream, whatever decryption says: a server that saw the stream end at a block would
    /// learn which of its blocks were accepted. Only what it knows itself ends the reading early.
    async fn read(
        &mut self,
        rpc: &crate::channel::Rpc,
        stream: &mut Streaming<IdentifyResponse>,
        bytes_received: &mut u64,
    ) -> Result<(u64, Option<Attestation>), Error> {
        let trailer = loop {
            match next(rpc, stream, bytes_received).await? {
                Some(IdentifyPart::Blocks(replies)) => self.push(replies).await?,
                Some(IdentifyPart::Progress { .. }) => {}
                Some(IdentifyPart::Trailer { blocks_matched, attestation }) => {
                    break (blocks_matched, attestation);
                }
                Some(IdentifyPart::Header { .. }) | None => return Err(Error::OutOfOrder { call: CALL }),
            }
        };
        match next(rpc, stream, bytes_received).await? {
            Some(_) => Err(Error::OutOfOrder { call: CALL }),
            None => Ok(trailer),
        }
    }

    /// Takes some replies: each of a block of the manifest, at its version, once.
    async fn push(&mut self, replies: Vec<BlockReply>) -> Result<(), Error> {
        let mut batch = Vec::with_capacity(replies.len());
        for reply in replies {
            let position = self.basis.listed(reply.block, reply.version)?;
            if std::mem::replace(&mut self.seen[position], true) {
                return Err(Error::AnsweredTwice(reply.block));
            }
            self.order.push(position);
            if self.search.attestation.is_some() {
                content::block_reply(&reply, &mut self.result);
            }
            batch.push((position, reply));
        }
        while let Some(done) = self.jobs.try_join_next() {
            self.take(done??);
        }
        let permit = Arc::clone(&self.inner.decrypting).acquire_owned().await.map_err(|_| Error::Task)?;
        self.search.decrypting.store(true, Ordering::Relaxed);
        let (inner, search, basis) =
            (Arc::clone(&self.inner), Arc::clone(&self.search), Arc::clone(&self.basis));
        self.jobs.spawn_blocking(move || {
            let _permit = permit;
            decrypt(&inner, &search.ready.pending, &basis, batch)
        });
        Ok(())
    }

    fn take(&mut self, decrypted: Decrypted) {
        if let Some(refused) = decrypted.refused {
            // A spent query only follows from the refusal of another block, which may come in later.
            let is_cause = !matches!(refused, tyto_tenant::Error::QuerySpent);
            if self.refused.is_none() || is_cause {
                self.refused = Some(refused);
            }
        }
        let at = decrypted.at;
        self.first_block = Some(self.first_block.map_or(at, |first| first.min(at)));
        self.last_block = Some(self.last_block.map_or(at, |last| last.max(at)));
        let blocks = decrypted.blocks.into_iter();
        self.decrypted.extend(blocks.map(|(position, scores, digest)| (position, (scores, digest))));
    }

    /// What to report of an answer that broke off: a refusal of what came before wins over what the transport says.
    async fn fail(mut self, error: Error) -> Error {
        let mut first = None;
        while let Some(done) = self.jobs.join_next().await {
            match done {
                Ok(Ok(decrypted)) => self.take(decrypted),
                Ok(Err(refused)) => first = first.or(Some(refused)),
                Err(_) => {}
            }
        }
        if error.is_refusal() { error } else { self.refused.map(Error::Tenant).or(first).unwrap_or(error) }
    }

    /// Waits for the last block; refuses an answer that leaves one out.
    async fn finish(mut self, blocks_matched: u64) -> Result<Settled, Error> {
        if let Some(missing) = self.seen.iter().position(|seen| !seen) {
            return Err(Error::MissingBlock(self.basis.entries()[missing].block));
        }
        if blocks_matched != self.seen.len() as u64 {
            return Err(Error::OutOfOrder { call: CALL });
        }
        while let Some(done) = self.jobs.join_next().await {
            self.take(done??);
        }
        if let Some(refused) = self.refused {
            return Err(refused.into());
        }
        let (started, now) = (self.search.started, Instant::now());
        let timings = Timings {
            first_block: self.first_block.unwrap_or(now) - started,
            last_block: self.last_block.unwrap_or(now) - started,
            ..Timings::default()
        };
        let mut records = Vec::new();
        let mut scored = Vec::with_capacity(self.order.len());
        let keep = self.inner.shared.config.keep_replays;
        let mut covered = Vec::new();
        for position in self.order {
            let entry = &self.basis.entries()[position];
            let (scores, digest) =
                self.decrypted.remove(&position).ok_or(Error::MissingBlock(entry.block))?;
            content::record(entry.block, entry.version, &digest, &mut records);
            covered.extend(keep.then(|| CoveredBlock {
                position,
                record_digest: digest,
                filled: scores.iter().map(|(slot, _)| slot).collect(),
            }));
            scored.push(scores);
        }
        Ok(Settled {
            inner: self.inner,
            search: self.search,
            basis: self.basis,
            scored,
            result: self.result,
            records,
            covered,
            timings,
            bytes: (0, 0),
        })
    }
}

fn decrypt(
    inner: &Inner,
    pending: &Pending<probe::Identification>,
    basis: &Basis,
    batch: Vec<(usize, BlockReply)>,
) -> Result<Decrypted, Error> {
    let (gallery, layout) = (&inner.gallery, inner.gallery.layout());
    let mut blocks = Vec::with_capacity(batch.len());
    let mut refused = None;
    for (position, reply) in batch {
        let readable = basis.readable(inner, position, reply.sealed_record.as_ref())?;
        let claimed = readable.view.claim_block(layout, reply.block, reply.version, &reply.coefficients)?;
        if refused.is_some() {
            continue;
        }
        match pending.decrypt(gallery, claimed) {
            Ok(scores) => {
                let scores = BlockScores::new(reply.block, layout.slots(), &scores);
                blocks.push((position, scores, readable.record_digest));
            }
            Err(error) => refused = Some(error),
        }
    }
    Ok(Decrypted { blocks, refused, at: Instant::now() })
}

/// An answer of which every block was checked and decrypted.
struct Settled {
    inner: Arc<Inner>,
    search: Arc<Search>,
    basis: Arc<Basis>,
    scored: Vec<BlockScores>,
    result: Vec<u8>,
    records: Vec<u8>,
    /// For a replay, if that is kept.
    covered: Vec<CoveredBlock>,
    timings: Timings,
    /// Sent and received.
    bytes: (u64, u64),
}

impl Settled {
    fn identification(mut self, attestation: Option<Attestation>) -> Result<Identification, Error> {
        let attestation = self.attestation(attestation)?;
        let options = self.search.options;
        let name = |block, slot| self.name(block, slot);
        let ranked = rank(&self.scored, options.candidates, options.min_score, name);
        let by_block: HashMap<_, _> = self.scored.iter().map(|scores| (scores.block, scores)).collect();
        let candidates = ranked.into_iter().map(|(subject, score)| self.candidate(subject, score, &by_block));
        let candidates = candidates.collect();
        let all = options.collect_all.then(|| self.all());
        let compared = self.scored.iter().map(|scores| scores.iter().count() as u64).sum();
        self.timings.total = self.search.started.elapsed();
        Ok(Identification {
            candidates,
            compared,
            all,
            attestation,
            manifest_version: self.basis.version(),
            bytes_sent: self.bytes.0,
            bytes_received: self.bytes.1,
            timings: self.timings,
        })
    }

    /// Whose template a score is of. A slot is written once, ever, so that any view that names it names it right;
    /// none does if the template came and went while the answer was under way.
    fn name(&self, block: BlockId, slot: u16) -> Option<Arc<SubjectId>> {
        self.basis.views().find_map(|view| view.subject(block, slot)).cloned()
    }

    fn candidate(
        &self,
        subject: Arc<SubjectId>,
        score: i32,
        by_block: &HashMap<BlockId, &BlockScores>,
    ) -> Candidate {
        let quantiser = self.inner.gallery.quantiser();
        let mut places: Vec<_> =
            self.basis.views().flat_map(|view| self.inner.locate(view, &subject)).collect();
        places.sort_unstable();
        places.dedup();
        let template = |(block, slot): (BlockId, u16)| {
            let score = by_block.get(&block)?.get(slot)?;
            Some(TemplateScore { block, slot, score, value: quantiser.value(score) })
        };
        let templates = places.into_iter().filter_map(template).collect();
        Candidate { subject, score, value: quantiser.value(score), templates }
    }

    fn all(&self) -> Vec<GalleryScore> {
        let of_block = |scores: &BlockScores| {
            let block = scores.block;
            let named = scores.iter().filter_map(|(slot, score)| {
                Some(GalleryScore { subject: self.name(block, slot)?, block, slot, score })
            });
            named.collect::<Vec<_>>()
        };
        self.scored.iter().flat_map(of_block).collect()
    }

    fn attestation(&mut self, came: Option<Attestation>) -> Result<Option<KeptAttestation>, Error> {
        let Some(asked) = self.search.attestation.clone() else { return Ok(None) };
        let exchange = Exchange {
            asked,
            parameters: self.inner.gallery.parameters(),
            target: Target::Gallery,
            probe: &self.search.ready.probe,
            basis: &self.basis,
            covered: (0..self.basis.entries().len()).collect(),
            result: std::mem::take(&mut self.result),
            records: std::mem::take(&mut self.records),
            kept: self.inner.shared.config.keep_replays.then(|| Kept {
                covered: std::mem::take(&mut self.covered),
                ticket: self.search.ready.ticket.clone(),
            }),
        };
        exchange.settle(&self.inner.shared.config, came)
    }
}

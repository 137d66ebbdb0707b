use crate::DIMENSION;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tyto_engine::{Block, BlockReply, BlockState, Filled, Snapshot, match_all, read_queries};
use tyto_kernels::{
    MATCH_BATCH, MAX_PROBES, NttPoly, PackedBlock, PackedQuery, detect, match_blocks, plain_sum,
};
use tyto_scheme::query::Kind;
use tyto_scheme::segment::read_polynomials;
use tyto_scheme::{Layout, ParameterSet};
use tyto_tenant::block::{BlockChange, Fill, OpenBlock};
use tyto_tenant::decrypt::{BlockView, Pending};
use tyto_tenant::probe::{Identification, whole_query};
use tyto_tenant::{Gallery, Metric, SubjectId, Template, TenantKey};

/// What is timed.
#[derive(Clone, Copy)]
pub(crate) enum Pass {
    /// From whole queries, as they come from the tenant, to the packed replies.
    Request,
    /// The same, of probes that were transformed before, as those of tickets are.
    Engine,
    /// The multiplication alone: no inverse transform, no reply.
    Kernel,
    /// A plain sum over the gallery's memory: what a pass cannot beat.
    Read,
}

/// A probe on both sides: what the tenant keeps, what the server gets, and what it makes of it.
struct Probe {
    pending: Pending<Identification>,
    bytes: Vec<u8>,
    packed: PackedQuery,
}

/// Galleries in a server's memory, and what their tenant knows.
pub(crate) struct World {
    gallery: Gallery,
    /// By the number of blocks: the first ones of the largest.
    resident: BTreeMap<usize, tyto_engine::Gallery>,
    views: Vec<BlockView>,
    probes: Vec<Probe>,
    products: Vec<NttPoly>,
}

fn template(values: &[i8]) -> Result<Template> {
    Ok(Template::from_integers(&values.iter().map(|&value| i32::from(value)).collect::<Vec<_>>())?)
}

/// A block full of templates, as the server holds it, as often as asked for, and the tenant's view of it.
fn block(gallery: &Gallery, ordinal: usize, values: &[i8], copies: usize) -> Result<(Vec<Block>, BlockView)> {
    let layout = gallery.layout();
    let (mut open, provisioned) = OpenBlock::provision(gallery)?;
    let fill = |(number, values)| -> Result<Fill> {
        let subject = SubjectId::new(format!("{}", ordinal * layout.slots() + number))?;
        Ok(open.fill(gallery, subject, &template(values)?)?)
    };
    let fills = values.chunks(DIMENSION).enumerate().map(fill).collect::<Result<Vec<_>>>()?;
    let change = BlockChange::new(gallery, &provisioned.record, &fills, &[])?;
    let filled =
        |fill: &Fill| Filled { slot: fill.slot(), subject: fill.pseudonym(), delta: fill.delta().clone() };
    let filled: Vec<_> = fills.iter().map(filled).collect();
    let state = BlockState {
        id: change.record.block(),
        version: change.record.version(),
        changed_at: 1,
        record: change.sealed_record.into(),
        record_digest: [0; 32],
        entries: change.entries.len() as u32,
    };
    let polynomials = read_polynomials("block", &provisioned.polynomials, layout.chunks())?;
    let block = |_| Block::from_polynomials(layout, state.clone(), polynomials.clone(), &filled, &[]);
    Ok(((0..copies).map(block).collect(), BlockView::new(gallery, change.record)))
}

/// All blocks, made by as many threads as the process may use: one copy of each for every gallery that has it.
fn blocks(gallery: &Gallery, templates: &[i8], sizes: &[usize]) -> Result<Vec<(Vec<Block>, BlockView)>> {
    let parts: Vec<_> = templates.chunks(gallery.layout().slots() * DIMENSION).enumerate().collect();
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        let workers: Vec<_> = parts
            .chunks(parts.len().div_ceil(threads).max(1))
            .map(|parts| {
                let part = |&(ordinal, values): &(usize, &[i8])| {
                    block(gallery, ordinal, values, sizes.iter().filter(|&&size| size > ordinal).count())
                };
                scope.spawn(move || parts.iter().map(part).collect::<Result<Vec<_>>>())
            })
            .collect();
        let mut all = Vec::with_capacity(parts.len());
        for worker in workers {
            all.extend(worker.join().expect("a worker that does not panic")?);
        }
        Ok(all)
    })
}

impl World {
    /// Encrypts the templates into a gallery and makes a query of each probe. Of the first blocks there are smaller
    /// galleries too, of as many templates as `sizes` says.
    pub(crate) fn build(templates: &[i8], probes: &[i8], sizes: &[usize]) -> Result<Self> {
        let layout = Layout::identification(ParameterSet::Exact41, DIMENSION as u32)?;
        let key = TenantKey::generate()?;
        let (gallery, _) = Gallery::create(&key, "peers", layout, Metric::Cosine)?;
        let all = templates.len() / DIMENSION;
        ensure!(sizes.iter().all(|&size| (1..=all).contains(&size)), "there are {all} templates");
        let mut sizes: Vec<_> =
            sizes.iter().chain([&all]).map(|size| size.div_ceil(layout.slots())).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let mut lists: BTreeMap<_, _> = sizes.iter().map(|&size| (size, Vec::with_capacity(size))).collect();
        let mut views = Vec::new();
        for (ordinal, (copies, view)) in blocks(&gallery, templates, &sizes)?.into_iter().enumerate() {
            let lists = lists.iter_mut().filter(|(size, _)| **size > ordinal);
            lists.zip(copies).for_each(|((_, list), block)| list.push(block));
            views.push(view);
        }
        let resident = |(size, blocks)| -> Result<_> {
            let manifest = Arc::from(Vec::new());
            Ok((size, tyto_engine::Gallery::new(*gallery.parameters(), 1, manifest, blocks)?))
        };
        let resident = lists.into_iter().map(resident).collect::<Result<BTreeMap<_, _>>>()?;
        let probe = |values: &[i8]| -> Result<Probe> {
            let (bytes, pending) = whole_query::<Identification>(&gallery, &template(values)?, ())?;
            pending.check_echo(None)?;
            Ok(Probe { pending, packed: read(&layout, &bytes)?, bytes })
        };
        let probes = probes.chunks(DIMENSION).take(MAX_PROBES).map(probe).collect::<Result<Vec<_>>>()?;
        let products = vec![NttPoly::zero(); MATCH_BATCH * MAX_PROBES];
        Ok(Self { gallery, resident, views, probes, products })
    }

    /// What the driver wants to know.
    pub(crate) fn describe(&self) -> Value {
        let (layout, snapshot) = (self.gallery.layout(), largest(&self.resident));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "backend": detect().to_string(),
            "parameter_set": layout.parameter_set().to_string(),
            "templates": snapshot.templates(),
            "probes": self.probes.len(),
            "bytes_per_template": packed_bytes(&snapshot) as f64 / snapshot.slots_total() as f64,
            "answer_bytes_per_template": f64::from(layout.reply_bits()) / 8.0,
            "probe_bytes": layout.polynomials_bytes(),
        })
    }

    /// Every score of every probe, decrypted and checked as a tenant does; and that a pass over a smaller gallery or of
    /// a single probe gives the same replies.
    pub(crate) fn decrypt_all(&self) -> Result<Vec<i16>> {
        let snapshot = largest(&self.resident);
        let packed = || self.probes.iter().map(|probe| &probe.packed);
        let replies = replies(&snapshot, packed());
        let mut scores = Vec::with_capacity(self.probes.len() * snapshot.templates());
        for (probe, replies) in self.probes.iter().zip(&replies) {
            for (view, reply) in self.views.iter().zip(replies) {
                let (layout, record) = (self.gallery.layout(), view.record());
                let claim = view.claim_block(layout, record.block(), record.version(), &reply.packed)?;
                let decrypted = probe.pending.decrypt(&self.gallery, claim)?;
                scores.extend(decrypted.into_iter().map(|(_, score)| score as i16));
            }
        }
        for gallery in self.resident.values() {
            let alone = &self::replies(&gallery.snapshot(), packed().take(1))[0];
            ensure!(alone[..] == replies[0][..alone.len()], "another reply than in the pass of all");
        }
        Ok(scores)
    }

    /// Runs one pass of the first `probes` probes over the first `templates` templates and says how long it took.
    pub(crate) fn run(&mut self, pass: Pass, probes: usize, templates: usize) -> Result<Duration> {
        ensure!((1..=self.probes.len()).contains(&probes), "there are not {probes} probes");
        let blocks = templates.div_ceil(self.gallery.layout().slots());
        let gallery = self.resident.get(&blocks).with_context(|| format!("no gallery of {blocks} blocks"))?;
        let (snapshot, probes) = (gallery.snapshot(), &self.probes[..probes]);
        let started = Instant::now();
        match pass {
            Pass::Request => {
                let read = |probe: &Probe| read(self.gallery.layout(), &probe.bytes);
                let packed = probes.iter().map(read).collect::<Result<Vec<_>>>()?;
                black_box(replies(&snapshot, packed.iter()));
            }
            Pass::Engine => {
                black_box(replies(&snapshot, probes.iter().map(|probe| &probe.packed)));
            }
            Pass::Kernel => kernel(&snapshot, probes, &mut self.products),
            Pass::Read => {
                let packed: Vec<_> = snapshot.blocks().iter().map(|block| block.packed()).collect();
                black_box(plain_sum(detect(), &packed));
            }
        }
        Ok(started.elapsed())
    }
}

fn largest(resident: &BTreeMap<usize, tyto_engine::Gallery>) -> Arc<Snapshot> {
    resident.last_key_value().expect("there is a gallery").1.snapshot()
}

fn packed_bytes(snapshot: &Snapshot) -> usize {
    snapshot.blocks().iter().map(|block| block.packed().bytes()).sum()
}

/// A whole query, as the kernels read it.
fn read(layout: &Layout, bytes: &[u8]) -> Result<PackedQuery> {
    Ok(read_queries(layout, Kind::Identify, bytes)?.remove(0))
}

/// The replies to each probe, by one thread.
fn replies<'a>(snapshot: &Snapshot, probes: impl Iterator<Item = &'a PackedQuery>) -> Vec<Vec<BlockReply>> {
    let queries: Vec<_> = probes.collect();
    let mut all: Vec<_> = queries.iter().map(|_| Vec::with_capacity(snapshot.blocks().len())).collect();
    let flow = match_all(snapshot, &queries, NonZeroUsize::MIN, |batch| {
        all.iter_mut().zip(batch).for_each(|(all, replies)| all.extend(replies));
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue(), "a pass that nobody ends runs to its end");
    all
}

fn kernel(snapshot: &Snapshot, probes: &[Probe], products: &mut [NttPoly]) {
    let queries: Vec<_> = probes.iter().map(|probe| &probe.packed).collect();
    for blocks in snapshot.blocks().chunks(MATCH_BATCH) {
        let packed: Vec<&PackedBlock> = blocks.iter().map(|block| block.packed()).collect();
        let products = &mut products[..blocks.len() * queries.len()];
        match_blocks(detect(), &packed, &queries, products);
        black_box(products);
    }
}

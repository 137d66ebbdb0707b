//! The tenant's side, on one thread: block records, provisioning, tickets, decryption.
//!
//! Ratios are taken within one run, by turns, and printed as `tenant: ...`; `--test` does one round of everything.

use criterion::{Criterion, criterion_group, criterion_main};
use std::cell::Cell;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Duration;
use tyto_kernels::{
    MATCH_BATCH, NttPoly, PackedBlock, PackedQuery, Poly, detect, forward, forward_into, inverse,
    inverse_into, match_blocks,
};
use tyto_measure::timing::in_turn;
use tyto_scheme::segment::read_polynomials;
use tyto_scheme::{Layout, ParameterSet, reply};
use tyto_tenant::block::{BlockChange, OpenBlock};
use tyto_tenant::decrypt::{BlockView, Pending};
use tyto_tenant::probe::{Identification, Ticket, Verification, whole_query};
use tyto_tenant::record::Record;
use tyto_tenant::{Gallery, Metric, SubjectId, Template, TenantKey};

/// Blocks that are decrypted one after the other: with their views more than the nearest caches hold.
const BLOCKS: usize = 2 * MATCH_BATCH;

fn rounds() -> usize {
    if std::env::args().any(|argument| argument == "--test") { 1 } else { 25 }
}

fn us(time: Duration, per: usize) -> f64 {
    time.as_secs_f64() * 1e6 / per as f64
}

fn gallery(dimension: u32, stride: u32) -> Gallery {
    let layout = Layout::new(ParameterSet::Exact41, dimension, stride).expect("a safe layout");
    let key = TenantKey::generate().expect("OS randomness");
    let (gallery, _) = Gallery::create(&key, "bench", layout, Metric::Cosine).expect("a gallery");
    gallery.with_threads(NonZeroUsize::MIN)
}

fn template(number: usize, dimension: usize) -> Template {
    let value = |i: usize| if i.is_multiple_of(4) { ((number * 31 + i * 17) % 5) as i32 - 2 } else { 0 };
    Template::from_integers(&(0..dimension).map(value).collect::<Vec<_>>()).expect("within the range")
}

/// Both sides of a full block.
struct Block {
    sealed: Vec<u8>,
    view: BlockView,
    packed: PackedBlock,
    templates: Vec<Template>,
}

impl Block {
    fn full(gallery: &Gallery, number: usize) -> Self {
        let layout = gallery.layout();
        let (mut open, provisioned) = OpenBlock::provision(gallery).expect("OS randomness");
        let templates: Vec<_> =
            (0..layout.slots()).map(|i| template(number + i, layout.dimension())).collect();
        let subject = SubjectId::new("subject").expect("a short id");
        let fill = |t: &Template| open.fill(gallery, subject.clone(), t).expect("a free slot");
        let fills: Vec<_> = templates.iter().map(fill).collect();
        let change = BlockChange::new(gallery, &provisioned.record, &fills, &[]).expect("fresh slots");
        let polynomials = read_polynomials("block", &provisioned.polynomials, layout.chunks());
        let mut polynomials = polynomials.expect("its own form");
        fills.iter().for_each(|fill| fill.delta().add_to_block(layout, fill.slot(), &mut polynomials));
        let mut packed = PackedBlock::new(layout.chunks());
        polynomials.iter().enumerate().for_each(|(c, poly)| packed.set(c, &forward(poly)));
        let view = BlockView::new(gallery, change.record);
        Self { sealed: change.sealed_record, view, packed, templates }
    }
}

/// A query and the server's answer to it.
struct Comparison {
    pending: Pending<Identification>,
    replies: Vec<Vec<u8>>,
}

/// What the server does with one query and some blocks, `MATCH_BATCH` at a time.
fn answer(layout: &Layout, blocks: &[Block], query: &PackedQuery, out: &mut [NttPoly]) -> Vec<Vec<u8>> {
    let mut replies = Vec::with_capacity(blocks.len());
    for batch in blocks.chunks(MATCH_BATCH) {
        let packed: Vec<_> = batch.iter().map(|block| &block.packed).collect();
        match_blocks(detect(), &packed, &[query], &mut out[..batch.len()]);
        let reply = |sum: &NttPoly| reply::pack(layout, &reply::compress(layout, &inverse(sum)));
        replies.extend(out[..batch.len()].iter().map(reply));
    }
    replies
}

fn compare(gallery: &Gallery, blocks: &[Block], x: &Template) -> (PackedQuery, Comparison) {
    let layout = gallery.layout();
    let (bytes, pending) = whole_query::<Identification>(gallery, x, ()).expect("a query");
    pending.check_echo(None).expect("a whole query has no echo");
    let mut query = PackedQuery::new(layout.chunks());
    let polynomials = read_polynomials("query", &bytes, layout.chunks()).expect("its own form");
    polynomials.iter().enumerate().for_each(|(c, poly)| query.set(c, &forward(poly)));
    let mut out = vec![NttPoly::zero(); MATCH_BATCH];
    let replies = answer(layout, blocks, &query, &mut out);
    (query, Comparison { pending, replies })
}

fn decrypt(gallery: &Gallery, comparison: &Comparison, number: usize, view: &BlockView) -> Vec<(u16, i32)> {
    let (block, version) = (view.record().block(), view.record().version());
    let reply = view.claim_block(gallery.layout(), block, version, &comparison.replies[number]);
    comparison.pending.decrypt(gallery, reply.expect("this version")).expect("an honest answer")
}

/// Provisioning, against the two transforms that each polynomial takes.
fn provisioning(_: &mut Criterion) {
    for (dimension, stride, blocks) in [(128, 1, 1), (512, 1, 1), (128, 128, 64)] {
        let gallery = gallery(dimension, stride);
        let chunks = gallery.layout().chunks();
        let made = OpenBlock::provision_many(&gallery, blocks).expect("OS randomness");
        for (_, provisioned) in &made {
            assert!(read_polynomials("block", &provisioned.polynomials, chunks).is_ok());
        }
        assert_eq!(made.len(), blocks);
        let (mut poly, mut ntt) = (Poly::zero(), NttPoly::zero());
        poly.as_mut_slice()[1] = 1;
        let mut provision = || {
            black_box(OpenBlock::provision_many(&gallery, blocks).expect("OS randomness"));
        };
        let mut transform = || {
            for _ in 0..chunks * blocks {
                forward_into(black_box(&poly), &mut ntt);
                inverse_into(black_box(&ntt), &mut poly);
            }
        };
        let turns = in_turn(rounds(), [&mut provision, &mut transform]);
        println!(
            "tenant: provisioning d={dimension} k={stride}: {:.1} us a block, its {} NTTs {:.1} us, ratio {:.2}",
            us(turns.fastest(0), blocks),
            2 * chunks,
            us(turns.fastest(1), blocks),
            turns.ratio(0, 1)
        );
    }
}

/// Decryption with its check, against the server's work on the same block.
fn decryption(_: &mut Criterion) {
    for dimension in [128, 512] {
        let gallery = gallery(dimension, 1);
        let layout = *gallery.layout();
        let blocks: Vec<_> = (0..BLOCKS).map(|number| Block::full(&gallery, number)).collect();
        let x = template(7, layout.dimension());
        // Every answer is decrypted once: one query for each round and kind, and those of the warm-up.
        let comparisons: Vec<_> = (0..2 * rounds() + 3).map(|_| compare(&gallery, &blocks, &x)).collect();
        let (query, first) = &comparisons[0];
        for (number, block) in blocks.iter().enumerate() {
            let scores = decrypt(&gallery, first, number, &block.view);
            let is_exact =
                |&(slot, score): &(u16, i32)| score == x.inner_product(&block.templates[usize::from(slot)]);
            assert!(scores.len() == layout.slots() && scores.iter().all(is_exact), "scores of the plaintext");
        }
        let next = Cell::new(1);
        let take = || &comparisons[next.replace(next.get() + 1)].1;
        let mut out = vec![NttPoly::zero(); MATCH_BATCH];
        let mut serve = || {
            black_box(answer(&layout, &blocks, black_box(query), &mut out));
        };
        let mut warm = || {
            let comparison = take();
            for (number, block) in blocks.iter().enumerate() {
                black_box(decrypt(&gallery, comparison, number, &block.view));
            }
        };
        let mut cold = || {
            let comparison = take();
            for (number, block) in blocks.iter().enumerate() {
                let (id, version) = (block.view.record().block(), block.view.record().version());
                let record = Record::open(&gallery, id, version, &block.sealed).expect("our own record");
                black_box(decrypt(&gallery, comparison, number, &BlockView::new(&gallery, record)));
            }
        };
        let turns = in_turn(rounds(), [&mut serve, &mut warm, &mut cold]);
        for (index, name) in [(1, "warm"), (2, "cold")] {
            println!(
                "tenant: decryption d={dimension} k=1 {name}: {:.1} us a block, the server {:.1} us, ratio {:.3}",
                us(turns.fastest(index), BLOCKS),
                us(turns.fastest(0), BLOCKS),
                turns.ratio(index, 0)
            );
        }
    }
}

fn records_and_tickets(criterion: &mut Criterion) {
    for dimension in [128, 512] {
        let gallery = gallery(dimension, 1);
        let block = Block::full(&gallery, 0);
        let (id, version) = (block.view.record().block(), block.view.record().version());
        let open = || Record::open(&gallery, id, version, black_box(&block.sealed)).expect("our own record");
        assert_eq!(open().filled_count() as usize, gallery.layout().slots());
        let (mut empty, provisioned) = OpenBlock::provision(&gallery).expect("OS randomness");
        let subject = SubjectId::new("subject").expect("a short id");
        let fill = empty.fill(&gallery, subject, &block.templates[0]).expect("a free slot");
        let change = || {
            BlockChange::new(&gallery, &provisioned.record, black_box(std::slice::from_ref(&fill)), &[])
                .expect("a fresh slot")
        };
        assert_eq!(change().record.filled_count(), 1);
        let verifying = self::gallery(dimension, dimension);

        let mut group = criterion.benchmark_group(format!("tenant/d={dimension}"));
        group.bench_function("record/open", |bench| bench.iter(open));
        group.bench_function("record/make for one enrolment", |bench| bench.iter(change));
        group.bench_function("ticket/identification", |bench| {
            bench.iter(|| Ticket::<Identification>::generate(black_box(&gallery)).expect("OS randomness"));
        });
        group.bench_function("ticket/verification, k=d", |bench| {
            bench.iter(|| Ticket::<Verification>::generate(black_box(&verifying)).expect("OS randomness"));
        });
        group.bench_function("query/identification", |bench| {
            let x = &block.templates[1];
            bench.iter(|| whole_query::<Identification>(&gallery, black_box(x), ()).expect("a query"));
        });
        group.finish();
    }
}

criterion_group!(benches, provisioning, decryption, records_and_tickets);
criterion_main!(benches);

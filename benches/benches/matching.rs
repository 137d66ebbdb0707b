//! Matching one block, on every backend.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tyto_kernels::{
    MATCH_BATCH, NttPoly, PackedBlock, PackedQuery, forward, inverse, match_blocks, supported,
};
use tyto_scheme::segment::read_polynomials;
use tyto_scheme::{Layout, ParameterSet, reply};
use tyto_tenant::block::{BlockChange, Fill, OpenBlock};
use tyto_tenant::decrypt::BlockView;
use tyto_tenant::probe::{Identification, whole_query};
use tyto_tenant::{Gallery, Metric, SubjectId, Template, TenantKey};

/// One full block, both sides.
struct World {
    gallery: Gallery,
    view: BlockView,
    packed: PackedBlock,
    templates: Vec<Template>,
}

fn template(number: usize, dimension: usize) -> Template {
    let value = |i: usize| if i.is_multiple_of(4) { ((number * 31 + i * 17) % 5) as i32 - 2 } else { 0 };
    Template::from_integers(&(0..dimension).map(value).collect::<Vec<_>>()).expect("within the range")
}

fn world(dimension: u32) -> World {
    let layout = Layout::identification(ParameterSet::Exact41, dimension).expect("a safe layout");
    let key = TenantKey::generate().expect("OS randomness");
    let (gallery, _) = Gallery::create(&key, "bench", layout, Metric::Cosine).expect("a gallery");
    let (mut open, provisioned) = OpenBlock::provision(&gallery).expect("OS randomness");
    let templates: Vec<_> = (0..layout.slots()).map(|i| template(i, layout.dimension())).collect();
    let subject = SubjectId::new("subject").expect("a short id");
    let fill = |t: &Template| open.fill(&gallery, subject.clone(), t).expect("a free slot");
    let fills: Vec<Fill> = templates.iter().map(fill).collect();
    let change = BlockChange::new(&gallery, &provisioned.record, &fills, &[]).expect("fresh slots");
    let mut polynomials =
        read_polynomials("block", &provisioned.polynomials, layout.chunks()).expect("its own form");
    fills.iter().for_each(|fill| fill.delta().add_to_block(&layout, fill.slot(), &mut polynomials));
    let mut packed = PackedBlock::new(layout.chunks());
    polynomials.iter().enumerate().for_each(|(c, poly)| packed.set(c, &forward(poly)));
    let view = BlockView::new(&gallery, change.record);
    World { gallery, view, packed, templates }
}

fn identification(criterion: &mut Criterion) {
    for dimension in [128, 512] {
        let world = world(dimension);
        let layout = *world.gallery.layout();
        let x = template(7, layout.dimension());
        let (query, pending) = whole_query::<Identification>(&world.gallery, &x, ()).expect("a query");
        pending.check_echo(None).expect("a whole query has no echo");
        let polynomials = read_polynomials("query", &query, layout.chunks()).expect("its own form");
        let mut packed = PackedQuery::new(layout.chunks());
        polynomials.iter().enumerate().for_each(|(c, poly)| packed.set(c, &forward(poly)));
        let blocks = [&world.packed; MATCH_BATCH];
        let mut out: Vec<_> = (0..MATCH_BATCH).map(|_| NttPoly::zero()).collect();
        let block = world.view.record().block();
        let version = world.view.record().version();

        let mut group = criterion.benchmark_group(format!("d={dimension}"));
        group.throughput(Throughput::Elements((MATCH_BATCH * layout.slots()) as u64));
        let mut answers = Vec::new();
        for backend in supported() {
            match_blocks(backend, &blocks, &[&packed], &mut out);
            answers.push(reply::pack(&layout, &reply::compress(&layout, &inverse(&out[0]))));
            group.bench_function(format!("match/{backend}"), |bench| {
                bench.iter(|| match_blocks(backend, black_box(&blocks), black_box(&[&packed]), &mut out));
            });
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "every backend gives the same answer");
        let claim = || world.view.claim_block(&layout, block, version, &answers[0]).expect("this version");
        let scores = pending.decrypt(&world.gallery, claim()).expect("an honest answer");
        let exact =
            |&(slot, score): &(u16, i32)| score == x.inner_product(&world.templates[usize::from(slot)]);
        assert!(
            scores.len() == layout.slots() && scores.iter().all(exact),
            "the scores are those of the plaintext"
        );
        group.finish();
    }
}

criterion_group!(benches, identification);
criterion_main!(benches);

//! Matching against schoolbook products, and what a mutation shows to whom.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tyto_engine::{
    Block, BlockReply, BlockState, BlockUpdate, Change, Error, Filled, Gallery, Located, MAX_PROBES,
    PackedQuery, Removal, Snapshot, Verification, Write, add_deltas, match_all, prepare_query,
};
use tyto_kernels::{N, Poly, Q, modq};
use tyto_scheme::query::QueryPolynomials;
use tyto_scheme::{BlockId, Delta, GalleryId, GalleryParameters, KeyId, Layout, Pseudonym, reply};

/// A small generator: the tests need many reproducible values, not good ones.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 3
    }

    fn poly(&mut self) -> Poly {
        let mut poly = Poly::zero();
        poly.as_mut_slice().fill_with(|| self.next() % Q);
        poly
    }

    fn polys(&mut self, count: usize) -> Vec<Poly> {
        (0..count).map(|_| self.poly()).collect()
    }

    fn delta(&mut self, layout: Layout) -> Delta {
        let values = (0..layout.padded_dimension()).map(|_| (self.next() % 2039) as u16).collect();
        Delta::new(&layout, values).unwrap()
    }
}

fn parameters(dimension: u32, stride: u32) -> GalleryParameters {
    GalleryParameters::new(GalleryId([1; 16]), 1, dimension, stride, 0, KeyId([2; 16])).unwrap()
}

fn state(id: u8) -> BlockState {
    BlockState {
        id: BlockId([id; 16]),
        version: 1,
        changed_at: 2,
        record: Arc::new([id; 40]),
        record_digest: [id; 32],
        entries: 0,
    }
}

/// `sum_c block_c * query_c` modulo `X^N + 1`, the slow way, at the coefficients that are scores, compressed.
fn naive(layout: Layout, block: &[Poly], query: &[Poly]) -> Vec<u16> {
    let mut sum = Poly::zero();
    for at in (0..N).step_by(layout.stride()) {
        let mut total = 0;
        for (b, q) in block.iter().zip(query) {
            for i in 0..N {
                let product = modq::mul(b.as_slice()[i], q.as_slice()[(N + at - i) % N]);
                total = if i <= at { modq::add(total, product) } else { modq::sub(total, product) };
            }
        }
        sum.as_mut_slice()[at] = total;
    }
    reply::compress(&layout, &sum)
}

fn gallery(parameters: GalleryParameters, contents: &[Vec<Poly>]) -> Gallery {
    let block = |(polys, id): (&Vec<Poly>, u8)| {
        Block::from_polynomials(&parameters.layout, state(id), polys.clone(), &[], &[])
    };
    let blocks = contents.iter().zip(0..).map(block).collect();
    Gallery::new(parameters, 2, Arc::from(*b"manifest"), blocks).unwrap()
}

fn replies(snapshot: &Snapshot, query: &[Poly], threads: usize) -> Vec<BlockReply> {
    replies_to_all(snapshot, &[query], threads).remove(0)
}

fn replies_to_all(snapshot: &Snapshot, queries: &[&[Poly]], threads: usize) -> Vec<Vec<BlockReply>> {
    let queries: Vec<_> = queries.iter().map(|query| prepare_query(query)).collect();
    replies_to_prepared(snapshot, &queries.iter().collect::<Vec<_>>(), threads)
}

fn replies_to_prepared(
    snapshot: &Snapshot,
    queries: &[&PackedQuery],
    threads: usize,
) -> Vec<Vec<BlockReply>> {
    let mut all = vec![Vec::new(); queries.len()];
    let flow = match_all(snapshot, queries, NonZeroUsize::new(threads).unwrap(), |batch| {
        assert_eq!(batch.len(), queries.len());
        all.iter_mut().zip(batch).for_each(|(all, replies)| all.extend(replies));
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    all
}

fn located(gallery: &Gallery, id: u8) -> Vec<Located> {
    let mut located = vec![Located { ordinal: 9, slot: 9 }];
    let snapshot = gallery.locate(subject(id), &mut located);
    assert!(Arc::ptr_eq(&snapshot, &gallery.snapshot()));
    located
}

fn packed(queries: [&[Poly]; 2]) -> Vec<u8> {
    QueryPolynomials::new(queries.map(<[Poly]>::to_vec).into()).to_bytes()
}

/// The coefficients of both queries for each template, in order.
fn compare(verification: &mut Verification, snapshot: &Snapshot, templates: &[Located]) -> Vec<[u16; 2]> {
    let mut all = Vec::new();
    verification.compare(snapshot, templates, |comparison| {
        assert_eq!(comparison.template, templates[all.len()]);
        all.push([comparison.coefficient, comparison.check]);
    });
    all
}

fn update(block: u8, base_version: u64, writes: Vec<Write>, removals: Vec<Removal>) -> BlockUpdate {
    BlockUpdate {
        block: BlockId([block; 16]),
        base_version,
        writes,
        removals,
        first_entry: 0,
        added_entries: 0,
        record: Arc::new([99; 8]),
        record_digest: [99; 32],
    }
}

fn change(manifest_version: u64, updates: Vec<BlockUpdate>) -> Change {
    Change { manifest_version, sealed_manifest: Arc::from(*b"next"), provisioned: Vec::new(), updates }
}

fn subject(id: u8) -> Pseudonym {
    Pseudonym([id; 16])
}

fn write(slot: u32, id: u8, delta: &Delta) -> Write {
    Write { slot, subject: subject(id), delta: delta.clone() }
}

#[test]
fn a_pass_gives_the_schoolbook_product_of_every_block_in_order_on_any_number_of_threads() {
    let mut numbers = Numbers(1);
    for (dimension, stride, blocks) in [(2, 1, 2), (40, 32, 19)] {
        let parameters = parameters(dimension, stride);
        let layout = parameters.layout;
        let contents: Vec<_> = (0..blocks).map(|_| numbers.polys(layout.chunks())).collect();
        let gallery = gallery(parameters, &contents);
        let query = numbers.polys(layout.chunks());
        let expected: Vec<_> = contents
            .iter()
            .enumerate()
            .map(|(ordinal, block)| {
                let packed = reply::pack(&layout, &naive(layout, block, &query));
                BlockReply { ordinal, packed }
            })
            .collect();
        for threads in [1, 2, 5] {
            assert_eq!(replies(&gallery.snapshot(), &query, threads), expected, "{threads} threads");
        }
    }
}

#[test]
fn verification_gives_the_schoolbook_coefficients_of_its_templates_for_both_queries() {
    let mut numbers = Numbers(2);
    let mut verification = Verification::new();
    for (dimension, stride) in [(60, 64), (6, 2), (300, 128)] {
        let parameters = parameters(dimension, stride);
        let layout = parameters.layout;
        let contents = [numbers.polys(layout.chunks()), numbers.polys(layout.chunks())];
        let snapshot = gallery(parameters, &contents).snapshot();
        let queries = [numbers.polys(layout.chunks()), numbers.polys(layout.chunks())];
        verification.read(&layout, &packed([&queries[0], &queries[1]])).unwrap();
        let last = layout.slots() as u16 - 1;
        let templates =
            [(0, 0), (0, 5), (0, last), (1, 5), (0, 1)].map(|(ordinal, slot)| Located { ordinal, slot });
        let found = compare(&mut verification, &snapshot, &templates);
        let all =
            contents.each_ref().map(|content| queries.each_ref().map(|query| naive(layout, content, query)));
        for (template, found) in templates.iter().zip(found) {
            let expected =
                all[template.ordinal].each_ref().map(|coefficients| coefficients[usize::from(template.slot)]);
            assert_eq!(found, expected, "d={dimension} k={stride} {template:?}");
        }
    }
}

#[test]
fn a_query_that_is_refused_leaves_none_of_the_one_before() {
    let mut numbers = Numbers(7);
    let layout = parameters(64, 64).layout;
    let mut bytes = packed([&numbers.polys(1), &numbers.polys(1)]);
    let mut verification = Verification::new();
    verification.read(&layout, &bytes).unwrap();
    let length = tyto_scheme::Error::Length { what: "query", found: 3, expected: bytes.len() };
    assert_eq!(verification.read(&layout, &bytes[..3]), Err(length));
    // The last coefficient of the second polynomial.
    bytes.iter_mut().rev().take(5).for_each(|byte| *byte = 0xff);
    let range = tyto_scheme::Error::Coefficient { polynomial: 1, index: N - 1 };
    assert_eq!(verification.read(&layout, &bytes), Err(range));
    let snapshot = gallery(parameters(64, 64), &[numbers.polys(1)]).snapshot();
    let compared = std::panic::catch_unwind(move || {
        verification.compare(&snapshot, &[Located { ordinal: 0, slot: 0 }], |_| ());
    });
    assert!(compared.is_err(), "there is nothing to compare");
}

#[test]
fn a_ticket_prepared_ahead_gives_the_same_probe_as_one_whose_polynomials_are_changed() {
    let mut numbers = Numbers(3);
    for (dimension, stride) in [(3, 1), (6, 4), (128, 128)] {
        let parameters = parameters(dimension, stride);
        let layout = parameters.layout;
        let snapshot = gallery(parameters, &[numbers.polys(layout.chunks())]).snapshot();
        let mut queries = [numbers.polys(layout.chunks()), numbers.polys(layout.chunks())];
        let deltas = [numbers.delta(layout), numbers.delta(layout)];
        let prepared: Vec<_> = queries.iter().map(|query| prepare_query(query)).collect();
        let mut identification = prepared[0].clone();
        add_deltas(&layout, &mut identification, &deltas[0]);
        let mut verification = Verification::new();
        verification.use_ticket(&layout, prepared, &deltas);
        let templates: Vec<_> = (0..layout.slots() as u16).map(|slot| Located { ordinal: 0, slot }).collect();
        let found = compare(&mut verification, &snapshot, &templates);

        deltas.iter().zip(&mut queries).for_each(|(delta, query)| delta.add_to_query(&layout, query));
        verification.read(&layout, &packed([&queries[0], &queries[1]])).unwrap();
        assert_eq!(found, compare(&mut verification, &snapshot, &templates));
        let pass = replies_to_prepared(&snapshot, &[&identification], 1);
        let coefficients = reply::unpack(&layout, &pass[0][0].packed).unwrap();
        assert_eq!(coefficients, found.iter().map(|[first, _]| *first).collect::<Vec<_>>());
    }
}

#[test]
fn writes_and_removals_show_in_the_next_snapshot_and_never_in_an_older_one() {
    let mut numbers = Numbers(4);
    let parameters = parameters(4, 2);
    let layout = parameters.layout;
    let base = [numbers.polys(2), numbers.polys(2)];
    let gallery = gallery(parameters, &base);
    let query = numbers.polys(2);
    let before = gallery.snapshot();
    let answer_before = replies(&before, &query, 1);

    let (alice, bob) = (numbers.delta(layout), numbers.delta(layout));
    let writes = vec![write(7, 1, &alice), write(1023, 2, &bob)];
    let prepared = gallery.prepare(change(3, vec![update(1, 1, writes, Vec::new())])).unwrap();
    assert!(located(&gallery, 1).is_empty(), "nothing is visible before the install");
    gallery.install(prepared).unwrap();

    let written = gallery.snapshot();
    assert_eq!(located(&gallery, 1), [Located { ordinal: 1, slot: 7 }]);
    assert!(gallery.has_at_most(subject(1), 1) && !gallery.has_at_most(subject(1), 0));
    assert!(gallery.has_at_most(subject(3), 0), "nobody has no template");
    assert_eq!((written.manifest_version(), written.templates(), written.slots_used()), (3, 2, 2));
    assert_eq!((written.blocks()[0].version(), written.blocks()[1].version()), (1, 2));
    assert_eq!(written.blocks()[1].state().changed_at, 3);
    assert!(Arc::ptr_eq(&written.blocks()[0], &before.blocks()[0]), "an untouched block is not copied");
    let mut expected = base.clone();
    alice.add_to_block(&layout, 7, &mut expected[1]);
    bob.add_to_block(&layout, 1023, &mut expected[1]);
    let reference = self::gallery(parameters, &expected);
    let answer_written = replies(&written, &query, 1);
    assert_eq!(answer_written, replies(&reference.snapshot(), &query, 1));
    assert_ne!(answer_written, answer_before);

    let removals = vec![Removal { slot: 7, delta: alice.clone() }, Removal { slot: 1023, delta: bob }];
    let prepared = gallery.prepare(change(4, vec![update(1, 2, Vec::new(), removals)])).unwrap();
    gallery.install(prepared).unwrap();
    let after = gallery.snapshot();
    assert_eq!(replies(&after, &query, 1), answer_before, "removal brings the pads back");
    assert_eq!((after.templates(), after.slots_used()), (0, 2), "removed slots stay burnt");
    assert!(located(&gallery, 1).is_empty());
    assert_eq!(replies(&before, &query, 1), answer_before);
    assert_eq!(replies(&written, &query, 1), answer_written);

    let again = change(5, vec![update(1, 3, vec![write(7, 1, &alice)], Vec::new())]);
    assert_eq!(gallery.prepare(again).err(), Some(Error::SlotUsed { block: BlockId([1; 16]), slot: 7 }));
}

#[test]
fn a_block_loaded_with_its_templates_is_the_block_that_they_were_written_to() {
    let mut numbers = Numbers(5);
    let parameters = parameters(5, 1);
    let layout = parameters.layout;
    let base = numbers.polys(5);
    let (alice, bob) = (numbers.delta(layout), numbers.delta(layout));
    let written = gallery(parameters, std::slice::from_ref(&base));
    let writes = vec![write(3, 9, &alice), write(2047, 8, &bob)];
    written.install(written.prepare(change(3, vec![update(0, 1, writes, Vec::new())])).unwrap()).unwrap();
    let filled = [
        Filled { slot: 2047, subject: subject(8), delta: bob },
        Filled { slot: 3, subject: subject(9), delta: alice },
    ];
    let loaded = Block::from_polynomials(&layout, state(0), base, &filled, &[100]);
    assert_eq!(loaded.directory(), written.snapshot().blocks()[0].directory());
    assert_eq!((loaded.slots_used(), loaded.templates(), loaded.is_used(100)), (3, 2, true));
    let query = numbers.polys(5);
    let loaded = Gallery::new(parameters, 3, Arc::from(*b"next"), vec![loaded]).unwrap();
    assert_eq!(replies(&loaded.snapshot(), &query, 2), replies(&written.snapshot(), &query, 2));
}

#[test]
fn a_change_that_does_not_fit_is_refused_and_changes_nothing() {
    let mut numbers = Numbers(6);
    let parameters = parameters(4, 4);
    let layout = parameters.layout;
    let gallery = gallery(parameters, &[numbers.polys(1), numbers.polys(1)]);
    let delta = numbers.delta(layout);
    let put = |slot| vec![write(slot, 1, &delta)];
    let refused = |change| gallery.prepare(change).err().unwrap();
    let id = BlockId([0; 16]);

    assert_eq!(refused(change(2, vec![])), Error::Stale { current: 2 });
    assert_eq!(refused(change(4, vec![])), Error::Stale { current: 2 });
    assert_eq!(refused(change(3, vec![update(0, 2, put(0), vec![])])), Error::Stale { current: 2 });
    assert_eq!(refused(change(3, vec![update(7, 1, put(0), vec![])])), Error::UnknownBlock(BlockId([7; 16])));
    let twice = vec![update(0, 1, put(0), vec![]), update(0, 1, put(1), vec![])];
    assert_eq!(refused(change(3, twice)), Error::DuplicateBlock(id));
    let past_the_end = tyto_scheme::Error::Slot { slot: 512, slots: 512 };
    assert_eq!(refused(change(3, vec![update(0, 1, put(512), vec![])])), Error::Scheme(past_the_end));
    let twice = vec![write(5, 1, &delta), write(5, 2, &delta)];
    assert_eq!(refused(change(3, vec![update(0, 1, twice, vec![])])), Error::SlotUsed { block: id, slot: 5 });
    let removal = vec![Removal { slot: 5, delta: delta.clone() }];
    assert_eq!(
        refused(change(3, vec![update(0, 1, put(5), removal)])),
        Error::SlotEmpty { block: id, slot: 5 }
    );
    let mut skipping = update(0, 1, put(5), vec![]);
    skipping.first_entry = 1;
    assert_eq!(refused(change(3, vec![skipping])), Error::EntryIndex { block: id, found: 1, expected: 0 });
    let again = Block::from_polynomials(&layout, state(1), numbers.polys(1), &[], &[]);
    let provision = Change { provisioned: vec![again], ..change(3, vec![]) };
    assert_eq!(refused(provision), Error::DuplicateBlock(BlockId([1; 16])));
    assert_eq!((gallery.snapshot().manifest_version(), gallery.snapshot().slots_used()), (2, 0));
}

#[test]
fn the_second_of_two_prepared_changes_is_not_installed() {
    let mut numbers = Numbers(7);
    let parameters = parameters(4, 4);
    let gallery = gallery(parameters, &[numbers.polys(1)]);
    let delta = numbers.delta(parameters.layout);
    let prepare =
        |slot| gallery.prepare(change(3, vec![update(0, 1, vec![write(slot, 1, &delta)], vec![])])).unwrap();
    let (first, second) = (prepare(1), prepare(2));
    gallery.install(first).unwrap();
    assert_eq!(gallery.install(second).map(|_| ()), Err(Error::Stale { current: 3 }));
    assert_eq!(gallery.snapshot().slots_used(), 1);
}

#[test]
fn whoever_looks_for_a_subject_while_changes_are_installed_finds_what_its_snapshot_holds() {
    let mut numbers = Numbers(10);
    let parameters = parameters(4, 4);
    let gallery = gallery(parameters, &[numbers.polys(1)]);
    let delta = numbers.delta(parameters.layout);
    let done = AtomicBool::new(false);
    let versions_seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut seen, mut located) = (BTreeSet::new(), Vec::new());
            while !done.load(Ordering::Relaxed) {
                for who in (0..60).map(subject) {
                    let snapshot = gallery.locate(who, &mut located);
                    let held = snapshot.blocks()[0].slots_of(who).count();
                    assert_eq!(located.len(), held, "at version {}", snapshot.manifest_version());
                    seen.insert(snapshot.manifest_version());
                }
            }
            seen
        });
        // More subjects than enter the index in one step.
        let apply = |version, writes, removals| {
            let change = change(version, vec![update(0, version - 2, writes, removals)]);
            gallery.install(gallery.prepare(change).unwrap()).unwrap();
        };
        for round in 0..5 {
            let slot = |n: u8| round * 100 + u32::from(n);
            apply(3 + 2 * u64::from(round), (0..60).map(|n| write(slot(n), n, &delta)).collect(), vec![]);
            let removal = |n| Removal { slot: slot(n), delta: delta.clone() };
            apply(4 + 2 * u64::from(round), vec![], (0..60).map(removal).collect());
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(versions_seen.into_iter().all(|version| (2..=12).contains(&version)));
    assert!((0..60).all(|n| gallery.has_at_most(subject(n), 0)));
}

#[test]
fn appended_blocks_are_matched_last_and_found_by_id() {
    let mut numbers = Numbers(8);
    let parameters = parameters(4, 4);
    let content = [numbers.polys(1), numbers.polys(1)];
    let gallery = gallery(parameters, &content[..1]);
    let block = Block::from_polynomials(&parameters.layout, state(1), content[1].clone(), &[], &[]);
    let prepared = gallery.prepare(Change { provisioned: vec![block], ..change(3, vec![]) }).unwrap();
    gallery.install(prepared).unwrap();
    assert_eq!(gallery.block(BlockId([1; 16])).unwrap().version(), 1);
    assert!(gallery.block(BlockId([2; 16])).is_none());
    let query = numbers.polys(1);
    let expected = replies(&self::gallery(parameters, &content).snapshot(), &query, 1);
    assert_eq!(replies(&gallery.snapshot(), &query, 1), expected);
}

#[test]
fn a_sink_that_breaks_ends_the_pass() {
    let mut numbers = Numbers(9);
    let content = vec![numbers.polys(1); 64];
    let gallery = gallery(parameters(4, 4), &content);
    let query = prepare_query(&numbers.polys(1));
    let mut batches = 0;
    let flow = match_all(&gallery.snapshot(), &[&query], NonZeroUsize::new(2).unwrap(), |_| {
        batches += 1;
        ControlFlow::Break(())
    });
    assert!(flow.is_break());
    assert_eq!(batches, 1);
}

#[test]
fn every_query_of_a_pass_gets_the_replies_that_it_gets_alone() {
    let mut numbers = Numbers(11);
    let content: Vec<_> = (0..19).map(|_| numbers.polys(1)).collect();
    let gallery = gallery(parameters(4, 4), &content);
    let snapshot = gallery.snapshot();
    let queries: Vec<_> = (0..MAX_PROBES).map(|_| numbers.polys(1)).collect();
    let queries: Vec<_> = queries.iter().map(Vec::as_slice).collect();
    let alone: Vec<_> = queries.iter().map(|query| replies(&snapshot, query, 1)).collect();
    for threads in [1, 2] {
        assert!(replies_to_all(&snapshot, &queries, threads) == alone);
    }
}

#[test]
fn an_empty_gallery_gives_no_reply() {
    let gallery = gallery(parameters(4, 4), &[]);
    let query = Numbers(10).polys(1);
    assert!(replies(&gallery.snapshot(), &query, 2).is_empty());
}

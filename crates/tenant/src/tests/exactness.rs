//! Every score equals the plaintext inner product.

use super::*;

#[test]
fn scores_are_exact_at_every_stride_by_query_and_by_ticket() {
    let mut rng = Rng(1);
    for (d, k) in
        [(128, 1), (128, 2), (128, 16), (128, 128), (100, 8), (3, 4), (1, 1), (2, 1), (512, 512), (1024, 64)]
    {
        let mut world = World::new(gallery(d, k));
        let slots = world.layout().slots();
        let mut templates = edge_templates(&world.gallery);
        templates.truncate(slots);
        while templates.len() < slots.min(40) {
            templates.push(rng.template(&world.gallery));
        }
        let (first, second) = templates.split_at(templates.len() / 2);
        [first, second].into_iter().filter(|part| !part.is_empty()).for_each(|part| world.enrol(part));
        world.remove(0);
        let mut probes = edge_templates(&world.gallery);
        probes.push(rng.template(&world.gallery));
        for (i, x) in probes.iter().enumerate() {
            let expected = world.expected(x);
            assert_eq!(world.identify_by_ticket(x), expected, "ticket 1:N d={d} k={k} probe {i}");
            assert_eq!(world.verify_by_ticket(x), expected, "ticket 1:1 d={d} k={k} probe {i}");
            if i % 3 == 0 {
                assert_eq!(world.identify_whole(x), expected, "query 1:N d={d} k={k} probe {i}");
                assert_eq!(world.verify_whole(x), expected, "query 1:1 d={d} k={k} probe {i}");
            }
        }
    }
}

/// A hundred thousand scores, or ten million when soaking, without one wrong.
#[test]
fn a_great_many_scores_are_all_exact() {
    let (blocks, probes) = if soak() { (70, 70) } else { (7, 7) };
    let mut rng = Rng(2);
    let gallery = gallery(128, 1);
    let mut worlds = Vec::new();
    for _ in 0..blocks {
        let (open, provisioned) = OpenBlock::provision(&gallery).unwrap();
        let server = ServerBlock::new(gallery.layout(), &provisioned);
        worlds.push((open, provisioned.record, server, Vec::new()));
    }
    for (open, record, server, templates) in &mut worlds {
        templates.extend((0..open.free_slots()).map(|_| rng.template(&gallery)));
        let fills: Vec<_> = templates.iter().map(|t| open.fill(&gallery, subject(0), t).unwrap()).collect();
        let change = BlockChange::new(&gallery, record, &fills, &[]).unwrap();
        let writes: Vec<_> = fills.iter().map(|fill| (fill.slot(), fill.delta())).collect();
        server.apply(gallery.layout(), &writes, &[]);
        *record = change.record;
    }
    let mut compared = 0_u64;
    for _ in 0..probes {
        let x = rng.template(&gallery);
        let (query, pending) = whole_query::<Identification>(&gallery, &x, ()).unwrap();
        pending.check_echo(None).unwrap();
        for (_, record, server, templates) in &worlds {
            let view = BlockView::new(&gallery, record.clone());
            let packed =
                reply::pack(gallery.layout(), &server.coefficients(gallery.layout(), &query.queries()[0]));
            let claimed = view.claim_block(gallery.layout(), server.block, server.version, &packed).unwrap();
            for (slot, score) in pending.decrypt(&gallery, claimed).unwrap() {
                assert_eq!(score, x.inner_product(&templates[usize::from(slot)]));
                compared += 1;
            }
        }
    }
    println!("{compared} decrypted scores, none wrong");
    assert!(compared >= if soak() { 10_000_000 } else { 100_000 });
}

#[test]
fn a_block_resumed_from_its_journal_goes_on_in_the_next_slot() {
    let mut rng = Rng(3);
    let mut world = World::new(gallery(64, 16));
    let templates: Vec<_> = (0..5).map(|_| rng.template(&world.gallery)).collect();
    world.enrol(&templates[..3]);
    world.open = OpenBlock::resume_from_journal(&world.gallery, &world.record, world.open.next_slot());
    world.enrol(&templates[3..]);
    let x = rng.template(&world.gallery);
    assert_eq!(world.identify_by_ticket(&x), world.expected(&x));
    assert_eq!(world.enrolled.last().unwrap().0, 4);
}

#[test]
fn a_change_is_rebased_on_what_somebody_else_did_first() {
    let mut rng = Rng(4);
    let mut world = World::new(gallery(32, 4));
    let templates: Vec<_> = (0..4).map(|_| rng.template(&world.gallery)).collect();
    world.enrol(&templates[..3]);
    let fill = world.open.fill(&world.gallery, subject(9), &templates[3]).unwrap();
    let stale = BlockChange::new(&world.gallery, &world.record, std::slice::from_ref(&fill), &[]).unwrap();
    world.remove(1);
    let rebased = BlockChange::new(&world.gallery, &world.record, std::slice::from_ref(&fill), &[]).unwrap();
    assert_eq!((stale.base_version, rebased.base_version), (2, 3));
    world.server.apply(&world.gallery.parameters().layout, &[(fill.slot(), fill.delta())], &[]);
    world.enrolled.push((fill.slot(), templates[3].clone()));
    world.record = rebased.record;
    let x = rng.template(&world.gallery);
    assert_eq!(world.identify_by_ticket(&x), world.expected(&x));
}

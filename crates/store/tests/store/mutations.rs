//! Enrolment and removal.

use crate::support::{
    GALLERY, block_id, change, committed, dump, gallery_of_two_blocks, manifest, mutation, noise, reopen,
    write,
};
use bytes::Bytes;
use tyto_scheme::GalleryId;
use tyto_store::{BlockMutation, Counts, Error, Fault, Mutation, Outcome};

#[tokio::test]
async fn what_was_enrolled_is_there_after_a_restart() {
    let (dir, store) = gallery_of_two_blocks().await;
    let (a, b) = (block_id(0), block_id(1));
    let slots: Vec<u16> = (0..700).collect();
    let first = mutation(3, vec![change(a, 1, 0, &slots, &[]), change(b, 1, 0, &[2047], &[])]);
    assert_eq!(store.apply(first, None).await.unwrap(), committed(3));
    let second = mutation(4, vec![change(a, 2, 700, &[1999], &[3, 699])]);
    assert_eq!(store.apply(second, None).await.unwrap(), committed(4));
    let store = reopen(&dir, store).await;
    assert_eq!(store.gallery(GALLERY).await.unwrap().manifest, manifest(4));
    let counts = Counts { blocks: 2, templates: 700, slots_used: 702 };
    assert_eq!(store.counts(GALLERY).await.unwrap(), counts);
    let blocks = store.load_blocks(GALLERY).await.unwrap();
    let facts: Vec<_> = blocks
        .iter()
        .map(|b| (b.block, b.ordinal, b.version, b.entries, b.filled, b.used, b.changed_at))
        .collect();
    assert_eq!(facts, [(a, 0, 3, 703, 699, 701, 4), (b, 1, 2, 1, 1, 1, 3)]);
    assert_eq!(blocks[0].sealed_record, crate::support::record(a, 3));
    let filled = store.load_deltas(GALLERY, a).await.unwrap();
    let expected: Vec<u16> = slots.iter().copied().filter(|s| ![3, 699].contains(s)).chain([1999]).collect();
    assert_eq!(filled.iter().map(|f| f.slot).collect::<Vec<_>>(), expected);
    for slot in filled {
        let written = write(a, slot.slot);
        assert_eq!((slot.subject, slot.delta), (written.subject, written.delta));
    }
    assert_eq!(store.burnt_slots(GALLERY, a).await.unwrap(), [3, 699]);
    let entries = store.entries(GALLERY, a, 0, u32::MAX).await.unwrap();
    assert_eq!(entries.len(), 703);
    assert_eq!(entries[702], noise(0xe000_0000 + 702, 96));
}

#[tokio::test]
async fn the_latest_mutation_may_be_repeated_and_changes_nothing() {
    let (dir, store) = gallery_of_two_blocks().await;
    let first = mutation(3, vec![change(block_id(0), 1, 0, &[1, 2], &[])]);
    let second = mutation(4, vec![change(block_id(0), 2, 2, &[3], &[1])]);
    assert_eq!(store.apply(first.clone(), None).await.unwrap(), committed(3));
    assert_eq!(store.apply(second.clone(), None).await.unwrap(), committed(4));
    let before = dump(dir.path()).await;
    assert_eq!(store.apply(second.clone(), None).await.unwrap(), Outcome::Repeated { manifest_version: 4 });
    let store = reopen(&dir, store).await;
    assert_eq!(store.apply(second.clone(), None).await.unwrap(), Outcome::Repeated { manifest_version: 4 });
    // An older one, and another one of the same version, come too late.
    assert_eq!(store.apply(first, None).await.unwrap(), Outcome::Conflict { current: 4 });
    let mut other = second;
    other.manifest.sealed = noise(77, 300).into();
    assert_eq!(store.apply(other, None).await.unwrap(), Outcome::Conflict { current: 4 });
    assert_eq!(dump(dir.path()).await, before);
}

#[tokio::test]
async fn of_two_handles_that_change_the_same_version_one_wins() {
    let (dir, store) = gallery_of_two_blocks().await;
    let mut wins = [0, 0];
    for round in 0..20_u16 {
        let attempt = |writer: u16| {
            let store = store.clone();
            let version = 3 + u64::from(round);
            let changes =
                vec![change(block_id(0), 1 + u64::from(round), u32::from(round), &[round * 2 + writer], &[])];
            let mut mutation = mutation(version, changes);
            mutation.manifest.sealed = noise(u64::from(writer) << 40 | version, 300).into();
            async move { store.apply(mutation, None).await.unwrap() }
        };
        let (first, second) = tokio::join!(tokio::spawn(attempt(0)), tokio::spawn(attempt(1)));
        let (first, second) = (first.unwrap(), second.unwrap());
        let version = 3 + u64::from(round);
        let conflict = Outcome::Conflict { current: version };
        assert!([(committed(version), conflict), (conflict, committed(version))].contains(&(first, second)));
        wins[usize::from(first == conflict)] += 1;
    }
    assert_eq!(wins[0] + wins[1], 20);
    assert_eq!(store.counts(GALLERY).await.unwrap().templates, 20);
    drop(dir);
}

/// A name, an input, and which error it must get.
type Refusal = (&'static str, Mutation, fn(&Error) -> bool);

/// Inputs that must be refused by a gallery at manifest version 4 whose first block has version 3, four entries,
/// slot 0 burnt, and slots 1 and 2 filled. Each is a small step away from a good one.
fn refused() -> Vec<Refusal> {
    let (a, b) = (block_id(0), block_id(1));
    let good = || change(a, 3, 4, &[10], &[]);
    let with = |edit: &dyn Fn(&mut BlockMutation)| {
        let mut edited = good();
        edit(&mut edited);
        // A good change of another block comes first: it must not survive the refusal of the second.
        mutation(5, vec![change(b, 1, 0, &[7], &[]), edited])
    };
    let write_to = |slot: u16| with(&|c| c.writes[0].slot = slot);
    let remove = |slots: &[u16]| with(&|c| c.removals = slots.to_vec());
    let many =
        |last: u16| with(&|c| *c = change(a, 3, 4, &(20..1000).chain([last]).collect::<Vec<_>>(), &[]));
    let elsewhere = Mutation { gallery: GalleryId([0; 16]), ..mutation(5, vec![good()]) };
    let large = |bytes: usize| Bytes::from(vec![0; bytes]);
    vec![
        ("filled slot", write_to(2), |e| matches!(e, Error::SlotUsed { slot: 2, .. })),
        ("burnt slot", write_to(0), |e| matches!(e, Error::SlotUsed { slot: 0, .. })),
        ("slot range", write_to(2048), |e| matches!(e, Error::SlotRange { slot: 2048, slots: 2048 })),
        ("slot twice", many(20), |e| matches!(e, Error::SlotUsed { slot: 20, .. })),
        ("used slot after many", many(1), |e| matches!(e, Error::SlotUsed { slot: 1, .. })),
        ("removal, never written", remove(&[9]), |e| matches!(e, Error::SlotEmpty { slot: 9, .. })),
        ("removal, burnt", remove(&[0]), |e| matches!(e, Error::SlotEmpty { slot: 0, .. })),
        ("removal, twice", remove(&[1, 1]), |e| matches!(e, Error::SlotEmpty { slot: 1, .. })),
        ("removal, written now", remove(&[10]), |e| matches!(e, Error::SlotEmpty { slot: 10, .. })),
        ("removal, range", remove(&[5000]), |e| matches!(e, Error::SlotRange { slot: 5000, .. })),
        ("short delta", with(&|c| c.writes[0].delta = large(254)), |e| {
            matches!(e, Error::DeltaLength { expected: 256, found: 254, .. })
        }),
        ("older base", with(&|c| c.base_version = 2), |e| {
            matches!(e, Error::BlockVersion { current: 3, found: 2, .. })
        }),
        ("newer base", with(&|c| c.base_version = u64::MAX), |e| matches!(e, Error::BlockVersion { .. })),
        ("same block twice", mutation(5, vec![good(), good()]), |e| {
            matches!(e, Error::BlockVersion { current: 4, found: 3, .. })
        }),
        ("entry gap", with(&|c| c.first_entry = 5), |e| {
            matches!(e, Error::EntryIndex { expected: 4, found: 5, .. })
        }),
        ("entry overlap", with(&|c| c.first_entry = 3), |e| {
            matches!(e, Error::EntryIndex { expected: 4, found: 3, .. })
        }),
        ("large entry", with(&|c| c.entries[0] = large(1025)), |e| {
            matches!(e, Error::Limit { max: 1024, found: 1025, .. })
        }),
        ("many entries", with(&|c| c.entries = vec![large(1); 65_533]), |e| {
            matches!(e, Error::Limit { max: 65_536, found: 65_537, .. })
        }),
        ("large record", with(&|c| c.sealed_record = large(65_537)), |e| {
            matches!(e, Error::Limit { max: 65_536, found: 65_537, .. })
        }),
        ("unknown block", with(&|c| c.block = block_id(99)), |e| matches!(e, Error::UnknownBlock(_))),
        ("nothing", mutation(5, vec![]), |e| matches!(e, Error::Empty(_))),
        ("unknown gallery", elsewhere, |e| matches!(e, Error::UnknownGallery(_))),
    ]
}

#[tokio::test]
async fn refused_input_changes_nothing() {
    let (dir, store) = gallery_of_two_blocks().await;
    let enrol = mutation(3, vec![change(block_id(0), 1, 0, &[0, 1, 2], &[])]);
    assert_eq!(store.apply(enrol, None).await.unwrap(), committed(3));
    let burn = mutation(4, vec![change(block_id(0), 2, 3, &[], &[0])]);
    assert_eq!(store.apply(burn, None).await.unwrap(), committed(4));
    let before = dump(dir.path()).await;
    for (what, mutation, expected) in refused() {
        let error = store.apply(mutation, None).await.expect_err(what);
        assert!(expected(&error), "{what}: {error}");
        assert!(!matches!(error.fault(), Fault::Storage | Fault::Corrupt), "{what}: {error}");
        assert_eq!(dump(dir.path()).await, before, "{what}");
    }
    let good = mutation(5, vec![change(block_id(0), 3, 4, &[10], &[1])]);
    assert_eq!(store.apply(good, None).await.unwrap(), committed(5), "the step before all of these");
}

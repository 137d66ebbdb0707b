//! What must be refused is refused, with its own error, and no score comes out.

use super::*;
use crate::Error;
use crate::derive::GalleryKeys;
use crate::manifest::Manifest;
use crate::sealed;
use tyto_pqc::Secret32;
use tyto_scheme::GalleryId;
use tyto_scheme::params::T;
use tyto_scheme::query::Target;

fn filled_world(d: u32, k: u32, count: usize, seed: u64) -> (World, Rng) {
    let mut rng = Rng(seed);
    let mut world = World::new(gallery(d, k));
    let templates: Vec<_> = (0..count).map(|_| rng.template(&world.gallery)).collect();
    world.enrol(&templates);
    (world, rng)
}

fn identify_altered(
    world: &World,
    x: &Template,
    alter: impl FnOnce(&mut Vec<u16>),
) -> Result<Vec<(u16, i32)>, Error> {
    let (query, pending) = whole_query::<Identification>(&world.gallery, x, ()).unwrap();
    pending.check_echo(None)?;
    let mut coefficients = world.server.coefficients(world.layout(), &query.queries()[0]);
    alter(&mut coefficients);
    let view = world.view();
    let packed = reply::pack(world.layout(), &coefficients);
    let claimed =
        view.claim_block(world.layout(), world.server.block, world.server.version, &packed).unwrap();
    pending.decrypt(&world.gallery, claimed)
}

/// What adds `steps` to a score: `steps * t^-1 mod q`, in units of the reply.
fn shift(steps: i64, bits: u8) -> u16 {
    let value = i128::from(tyto_kernels::modq::mul(tyto_kernels::modq::from_i64(steps), reply::t_inverse()));
    ((value << bits) / i128::from(tyto_kernels::Q)) as u16 & ((1 << bits) - 1)
}

#[test]
fn shifted_swapped_and_random_scores_fail_the_check_vector() {
    let (world, mut rng) = filled_world(64, 1, 50, 10);
    let mask = (1 << world.layout().reply_bits()) - 1;
    for trial in 0..300 {
        let x = rng.template(&world.gallery);
        let (i, j) = (rng.below(50) as usize, rng.below(50) as usize);
        let steps = 1 + rng.below(T - 1) as i64;
        let mut is_close = false;
        let altered = identify_altered(&world, &x, |coefficients| match trial % 3 {
            0 => coefficients[i] = (coefficients[i] + shift(steps, 14)) & mask,
            1 => {
                let apart = coefficients[i].abs_diff(coefficients[j]);
                is_close = apart.min(mask + 1 - apart) <= 8;
                coefficients.swap(i, j);
            }
            _ => coefficients[i] ^= 1 << 13,
        });
        match altered {
            // Not further apart than one step of a score: the same scores may come of them.
            Ok(scores) if is_close => assert_eq!(scores, world.expected(&x)),
            Err(Error::CheckVector(block)) => assert_eq!(block, world.server.block),
            other => panic!("trial {trial}: {other:?}"),
        }
    }
}

#[test]
fn a_shifted_single_score_passes_the_rho_check_about_once_in_two_thousand() {
    let (world, mut rng) = filled_world(16, 16, 1, 11);
    let target = world.gallery.pseudonym(&subject(0));
    let trials = if soak() { 100_000 } else { 4_000 };
    let mut missed = 0;
    for _ in 0..trials {
        let x = rng.template(&world.gallery);
        let (query, pending) = whole_query::<Verification>(&world.gallery, &x, target).unwrap();
        pending.check_echo(None).unwrap();
        let mut replies = world.slot_coefficients(&query);
        // The best a server can do: guess rho, and shift the check score to match.
        let (steps, guess) = (1 + rng.below(T - 1), 1 + rng.below(T - 1));
        for (coefficient, steps) in replies[0].1.iter_mut().zip([steps, steps * guess % T]) {
            *coefficient = (*coefficient + shift(steps as i64, 14)) & ((1 << 14) - 1);
        }
        let view = world.view();
        let claimed = view.claim_slots(world.server.block, world.server.version, replies).unwrap();
        match pending.decrypt(&world.gallery, claimed) {
            Ok(_) => missed += 1,
            Err(Error::CheckQuery { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    println!("{missed} of {trials} shifted single scores passed; 1 in 2038 is expected");
    // Poisson with mean trials/2038 (2 or 49): these limits fail by chance less than once in a million runs.
    assert!(missed <= if soak() { 90 } else { 14 });
}

#[test]
fn replies_of_another_version_or_block_cannot_be_claimed() {
    let (mut world, mut rng) = filled_world(16, 4, 3, 12);
    let old = world.view();
    let template = rng.template(&world.gallery);
    world.enrol(&[template]);
    let packed = vec![0; world.layout().reply_bytes()];
    let block = world.server.block;
    let layout = *world.layout();
    assert!(matches!(
        old.claim_block(&layout, block, 3, &packed),
        Err(Error::Version { reply: 3, record: 2, .. })
    ));
    assert!(matches!(
        world.view().claim_block(&layout, BlockId([0; 16]), 3, &packed),
        Err(Error::Version { .. })
    ));
    assert!(matches!(world.view().claim_block(&layout, block, 3, &packed[1..]), Err(Error::Scheme(_))));
    assert!(matches!(
        world.view().claim_slots(block, 3, vec![(9, [0; 2])]),
        Err(Error::NotEnrolled { slot: 9, .. })
    ));
    let view = world.view();
    assert!(matches!(view.claim_slots(block, 3, vec![]), Err(Error::Slots(_))));
    assert!(matches!(view.claim_slots(block, 3, vec![(1, [0; 2]), (1, [0; 2])]), Err(Error::Slots(_))));
}

#[test]
fn a_query_decrypts_a_block_once() {
    let (world, mut rng) = filled_world(16, 1, 3, 13);
    let x = rng.template(&world.gallery);
    let (query, pending) = whole_query::<Identification>(&world.gallery, &x, ()).unwrap();
    pending.check_echo(None).unwrap();
    assert_eq!(world.identify(&query, &pending), world.expected(&x));
    let view = world.view();
    let packed = vec![0; world.layout().reply_bytes()];
    let again = view.claim_block(world.layout(), world.server.block, world.server.version, &packed).unwrap();
    assert!(matches!(pending.decrypt(&world.gallery, again), Err(Error::AnsweredTwice(_))));
}

#[test]
fn altered_ticket_uses_are_refused_before_anything_is_decrypted() {
    let (world, mut rng) = filled_world(16, 16, 2, 14);
    let gallery = &world.gallery;
    let target = gallery.pseudonym(&subject(0));
    let x = rng.template(gallery);
    for trial in 0..20 {
        let (ticket, _) = Ticket::<Verification>::generate(gallery).unwrap();
        let (device, issued) = ticket.for_device();
        let mut used = device.bind(&x, &Target::Subject(target)).unwrap();
        let mut accepted_for = target;
        assert!(issued.check(&used, target).is_ok());
        match trial % 4 {
            0 => {
                let mut values = used.delta.values().to_vec();
                values[trial % 16] = (values[trial % 16] + 1) % T as u16;
                used.delta = Delta::new(gallery.layout(), values).unwrap();
            }
            1 => used.tag[trial % 16] ^= 1,
            2 => accepted_for = gallery.pseudonym(&subject(1)),
            _ => used.ticket = tyto_scheme::TicketId([0; 16]),
        }
        assert!(
            matches!(issued.accept(gallery, &used, accepted_for), Err(Error::TicketTag(_))),
            "trial {trial}"
        );
    }
}

#[test]
fn an_answer_is_decrypted_only_after_its_echo_was_checked() {
    let (world, mut rng) = filled_world(16, 16, 2, 22);
    let x = rng.template(&world.gallery);
    let (ticket, upload) = Ticket::<Identification>::generate(&world.gallery).unwrap();
    let (used, pending) = ticket.bind(&world.gallery, &x, ()).unwrap();
    let query = world.apply_ticket(&upload, &used);
    let packed = reply::pack(world.layout(), &world.server.coefficients(world.layout(), &query.queries()[0]));
    let view = world.view();
    let claim =
        || view.claim_block(world.layout(), world.server.block, world.server.version, &packed).unwrap();
    assert!(matches!(pending.decrypt(&world.gallery, claim()), Err(Error::EchoUnchecked)));
    assert!(pending.check_echo(Some(&used)).is_ok());
    assert_eq!(pending.decrypt(&world.gallery, claim()).unwrap(), world.expected(&x));
    for alter in [true, false] {
        let (ticket, _) = Ticket::<Identification>::generate(&world.gallery).unwrap();
        let (used, pending) = ticket.bind(&world.gallery, &x, ()).unwrap();
        let mut echoed = used.clone();
        echoed.tag[0] ^= 1;
        let echoed = alter.then_some(&echoed);
        assert!(matches!(pending.check_echo(echoed), Err(Error::TicketTag(_))));
        assert!(pending.check_echo(Some(&used)).is_ok());
        assert!(
            matches!(pending.decrypt(&world.gallery, claim()), Err(Error::QuerySpent)),
            "refused once, spent"
        );
    }
}

#[test]
fn after_a_failed_check_no_answer_to_the_query_is_decrypted() {
    let (world, mut rng) = filled_world(16, 16, 2, 23);
    let x = rng.template(&world.gallery);
    let target = world.gallery.pseudonym(&subject(0));
    let (query, pending) = whole_query::<Verification>(&world.gallery, &x, target).unwrap();
    pending.check_echo(None).unwrap();
    let honest = world.slot_coefficients(&query);
    let mut shifted = honest.clone();
    shifted[0].1[0] ^= 1 << 13;
    let view = world.view();
    let claim = |replies| view.claim_slots(world.server.block, world.server.version, replies).unwrap();
    assert!(matches!(pending.decrypt(&world.gallery, claim(shifted)), Err(Error::CheckQuery { .. })));
    assert!(matches!(pending.decrypt(&world.gallery, claim(honest)), Err(Error::QuerySpent)));
}

#[test]
fn objects_of_another_gallery_are_refused() {
    let (world, mut rng) = filled_world(16, 16, 2, 24);
    let other = gallery(16, 8);
    let x = rng.template(&other);
    let mut open = OpenBlock::provision(&other).unwrap().0;
    assert!(matches!(open.fill(&world.gallery, subject(0), &x), Err(Error::OtherGallery)));
    let (ticket, _) = Ticket::<Identification>::generate(&other).unwrap();
    assert!(matches!(ticket.bind(&world.gallery, &x, ()), Err(Error::OtherGallery)));
    let (_, pending) = whole_query::<Identification>(&other, &x, ()).unwrap();
    pending.check_echo(None).unwrap();
    let view = world.view();
    let packed = vec![0; world.layout().reply_bytes()];
    let claimed =
        view.claim_block(world.layout(), world.server.block, world.server.version, &packed).unwrap();
    assert!(matches!(pending.decrypt(&world.gallery, claimed), Err(Error::OtherGallery)));
}

#[test]
fn a_fill_that_arrived_once_is_never_applied_again() {
    let mut world = World::new(gallery(16, 4));
    let template = Rng(25).template(&world.gallery);
    let fill = world.open.fill(&world.gallery, subject(0), &template).unwrap();
    let change = BlockChange::new(&world.gallery, &world.record, std::slice::from_ref(&fill), &[]).unwrap();
    world.record = change.record;
    let again = BlockChange::new(&world.gallery, &world.record, std::slice::from_ref(&fill), &[]);
    assert!(matches!(again, Err(Error::SlotSpent { slot: 0, .. })));
    // Not even after somebody removed it.
    let stored = [(fill.slot(), fill.delta().clone(), *fill.tag())];
    let removals = Removal::from_stored(&world.gallery, &world.record, &stored).unwrap();
    let removed = BlockChange::new(&world.gallery, &world.record, &[], &removals).unwrap().record;
    let again = BlockChange::new(&world.gallery, &removed, &[fill], &[]);
    assert!(matches!(again, Err(Error::SlotSpent { slot: 0, .. })));
    let resumed = OpenBlock::resume_from_journal(&world.gallery, &removed, 0);
    assert_eq!(resumed.next_slot(), 1, "the record knows what a damaged journal forgot");
}

#[test]
fn a_device_cannot_probe_out_of_range() {
    let (world, _) = filled_world(3, 4, 1, 15);
    let gallery = &world.gallery;
    let target = gallery.pseudonym(&subject(0));
    let bind = |alter: &dyn Fn(&mut Vec<u16>)| {
        let (ticket, _) = Ticket::<Verification>::generate(gallery).unwrap();
        let (device, issued) = ticket.for_device();
        let mut values = device.delta_for_test(&Template::from_integers(&[5, 0, 0]).unwrap());
        alter(&mut values);
        // A dishonest device has the MAC key, so its tag is right.
        let delta = Delta::new(gallery.layout(), values).unwrap();
        let used = device.sign_for_test(delta, &Target::Subject(target));
        issued.accept(gallery, &used, target).map(|_| ())
    };
    assert!(bind(&|_| {}).is_ok());
    let add = |coordinate: usize, value: u16| {
        bind(&move |values: &mut Vec<u16>| values[coordinate] = (values[coordinate] + value) % T as u16)
    };
    for (what, outcome) in [("too long", add(1, 40)), ("zero", add(0, T as u16 - 5)), ("padding", add(3, 1))]
    {
        assert!(matches!(outcome, Err(Error::ProbeRange(_))), "{what}: {outcome:?}");
    }
}

#[test]
fn sealed_objects_open_only_for_their_key_place_and_version() {
    let (world, _) = filled_world(16, 4, 3, 16);
    let (gallery, block) = (&world.gallery, world.server.block);
    let sealed = world.record.seal(gallery).unwrap();
    assert!(Record::open(gallery, block, 2, &sealed).is_ok());
    assert!(matches!(
        Record::open(gallery, block, 1, &sealed),
        Err(Error::Sealed { object: "block record" })
    ));
    assert!(Record::open(gallery, BlockId([1; 16]), 2, &sealed).is_err());
    assert!(Record::open(&super::gallery(16, 4), block, 2, &sealed).is_err());
    for at in (0..sealed.len()).step_by(37) {
        let mut altered = sealed.clone();
        altered[at] ^= 0x10;
        assert!(Record::open(gallery, block, 2, &altered).is_err());
    }
    let manifest = Manifest::empty().next(&[]);
    let sealed = manifest.seal(gallery).unwrap();
    assert_eq!(Manifest::open(gallery, 2, &sealed).unwrap(), manifest);
    assert!(Manifest::open(gallery, 3, &sealed).is_err());
}

#[test]
fn a_gallery_opens_with_its_own_key_and_parameters() {
    let key = TenantKey::generate().unwrap();
    let layout = Layout::new(ParameterSet::Exact41, 16, 1).unwrap();
    let metric = Metric::InnerProduct { max_norm: 2.5 };
    let (_, new) = Gallery::create(&key, "staff", layout, metric).unwrap();
    let opened = Gallery::open(&key, new.parameters, &new.sealed_descriptor).unwrap();
    assert_eq!((opened.name(), opened.quantiser().metric()), ("staff", metric));
    let mut other = new.parameters;
    other.mask_epoch = 1;
    assert!(matches!(Gallery::open(&key, other, &new.sealed_descriptor), Err(Error::Sealed { .. })));
    let stranger = TenantKey::generate().unwrap();
    assert!(matches!(Gallery::open(&stranger, new.parameters, &new.sealed_descriptor), Err(Error::OtherKey)));
    assert!(matches!(Gallery::create(&key, "", layout, metric), Err(Error::NameLength { .. })));
}

#[test]
fn slots_run_out_and_are_never_handed_out_twice() {
    let mut world = World::new(gallery(64, 64));
    let template = Rng(17).template(&world.gallery);
    let slots: Vec<u16> =
        (0..32).map(|i| world.open.fill(&world.gallery, subject(i), &template).unwrap().slot()).collect();
    assert_eq!(slots, (0..32).collect::<Vec<_>>());
    assert!(matches!(world.open.fill(&world.gallery, subject(0), &template), Err(Error::BlockFull(_))));
    let short = Template::from_integers(&[1; 63]).unwrap();
    let mut fresh = World::new(gallery(64, 64));
    assert!(matches!(fresh.open.fill(&fresh.gallery, subject(0), &short), Err(Error::Dimension { .. })));
    assert_eq!(fresh.open.next_slot(), 0, "a refused template spends no slot");
}

#[test]
fn removals_need_the_authentic_delta() {
    let (world, _) = filled_world(16, 4, 3, 18);
    let (gallery, record) = (&world.gallery, &world.record);
    let (slot, delta, tag) = world.stored[1].clone();
    let remove = |slot, delta, tag| Removal::from_stored(gallery, record, &[(slot, delta, tag)]);
    assert!(remove(slot, delta.clone(), tag).is_ok());
    assert!(matches!(remove(slot, world.stored[0].1.clone(), tag), Err(Error::DeltaTag { .. })));
    assert!(matches!(remove(0, delta.clone(), tag), Err(Error::DeltaTag { slot: 0, .. })));
    assert!(matches!(remove(9, delta, tag), Err(Error::NotEnrolled { slot: 9, .. })));
}

#[test]
fn slot_maps_that_differ_from_the_record_are_refused() {
    let (world, _) = filled_world(16, 4, 3, 19);
    let mut short = SlotMap::new(&world.gallery, world.server.block);
    assert!(matches!(short.check(&world.record), Err(Error::SlotMap { .. })));
    assert!(short.append(&world.gallery, &[0; 96]).is_err());
    assert_eq!(world.slots.subject(2).unwrap().as_bytes(), b"subject 2");
}

#[test]
fn one_probe_never_shares_a_secret_with_another_even_if_randomness_repeats() {
    let gallery = gallery(16, 1);
    let query = |x: &Template| {
        crate::probe::whole_query_with_nonce::<Identification>(&gallery, &[7; 32], x, ()).unwrap().0
    };
    let (x, y) = (Rng(20).template(&gallery), Rng(21).template(&gallery));
    assert_eq!(query(&x), query(&x));
    let (a, b) = (query(&x), query(&y));
    // Under one secret the ciphertexts would agree in all but one coefficient of each polynomial.
    let differing = a.iter().zip(&b).filter(|(a, b)| a != b).count();
    assert!(differing * 10 > a.len() * 9, "{differing} of {}", a.len());
}

#[test]
fn tickets_from_different_seeds_or_galleries_differ() {
    let gallery = gallery(16, 4);
    let id = tyto_scheme::TicketId([1; 16]);
    let make = |gallery: &Gallery, seed: u8| {
        Ticket::<Verification>::from_seed(gallery, id, &Secret32::from_bytes([seed; 32])).1
    };
    assert_eq!(make(&gallery, 1), make(&gallery, 1));
    assert_ne!(make(&gallery, 1), make(&gallery, 2));
}

#[test]
fn masks_are_read_only_if_this_key_sealed_them_for_this_gallery() {
    let layout = Layout::new(ParameterSet::Exact41, 16, 4).unwrap();
    let [key, other_key] = [0; 2].map(|_| TenantKey::generate().unwrap());
    let create = |key, id| Gallery::create_with_id(key, GalleryId([id; 16]), "masks", layout, Metric::Cosine);
    let (gallery, new) = create(&key, 1).unwrap();
    let sealed = gallery.seal_masks().unwrap();
    let opened = |sealed: &[u8]| {
        let opened = Gallery::open_with_masks(&key, new.parameters, &new.sealed_descriptor, sealed).unwrap();
        assert_eq!(opened.masks.to_bytes(), gallery.masks.to_bytes(), "whatever was read");
        opened
    };
    assert!(!opened(&sealed).has_expanded_masks());

    // Masks of a gallery with another id, and of the same gallery id under another key.
    let another = create(&key, 2).unwrap().0;
    assert!(opened(&another.seal_masks().unwrap()).has_expanded_masks());
    let (foreign, _) = create(&other_key, 1).unwrap();
    assert!(opened(&foreign.seal_masks().unwrap()).has_expanded_masks());
    // The very plaintext at the very place: under another key, and of another version.
    let seal = |keys: &GalleryKeys, version: u8, masks: &[u8]| {
        let plain = [&[version][..], masks].concat();
        sealed::seal(&keys.masks, "tyto/v1/masks", &[gallery.context()], &plain).unwrap()
    };
    let masks = gallery.masks.to_bytes();
    assert!(!opened(&seal(&gallery.keys, 1, &masks)).has_expanded_masks(), "as the gallery seals them");
    let foreign_keys = GalleryKeys::derive(&other_key, &new.parameters).unwrap();
    assert!(opened(&seal(&foreign_keys, 1, &masks)).has_expanded_masks());
    assert!(opened(&seal(&gallery.keys, 2, &masks)).has_expanded_masks());
    let mut altered = sealed.clone();
    altered[sealed.len() / 2] ^= 1;
    for bad in [&altered[..], &sealed[1..], &sealed[..sealed.len() - 1], &[]] {
        assert!(opened(bad).has_expanded_masks());
    }
}

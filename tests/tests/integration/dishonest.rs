//! A dishonest server commits one fault at a time; the client refuses each with its own, local error.

use bytes::Bytes;
use std::sync::{Arc, Mutex};
use tyto_api::proto::gallery::v1 as gallery;
use tyto_api::proto::matching::v1 as matching;
use tyto_client::{Error, GalleryHandle, IdentifyOptions, ProbeBy, VerifyOptions};
use tyto_kernels::{Q, modq};
use tyto_scheme::params::T;
use tyto_scheme::{Layout, reply};
use tyto_tenant::Error as Secret;
use tyto_tests::dishonest::{Fault, Proxy};
use tyto_tests::rig::{Rig, connect, gallery, subject, template};
use tyto_tests::{Rng, soak};

/// Trials of each fault.
fn trials() -> usize {
    if soak() { 1000 } else { 100 }
}

struct World {
    _rig: Rig,
    proxy: Proxy,
    gallery: GalleryHandle,
    rng: Rng,
    subjects: usize,
}

/// A gallery of `subjects` subjects behind a proxy that is still honest.
async fn world(dimension: u32, stride: u32, subjects: usize, seed: u64) -> World {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.endpoint()).await;
    let client = connect(proxy.endpoint()).await;
    let gallery = gallery(&client, "faces", dimension, stride).await;
    let mut world = World { _rig: rig, proxy, gallery, rng: Rng(seed), subjects };
    let templates: Vec<_> =
        (0..subjects).map(|i| (subject(i), template(&world.gallery, &mut world.rng))).collect();
    world.gallery.enrol(templates, &|_| ()).await.expect("an honest enrolment");
    world
}

impl World {
    fn layout(&self) -> Layout {
        *self.gallery.gallery().layout()
    }

    /// What adds `steps` to a score.
    fn shift(&self, steps: u64) -> u16 {
        let value = u128::from(modq::mul(steps, reply::t_inverse()));
        ((value << self.layout().reply_bits()) / u128::from(Q)) as u16
    }

    async fn identify(&mut self) -> Result<(), Error> {
        let probe = template(&self.gallery, &mut self.rng);
        let probe_by = if self.rng.below(2) == 0 { ProbeBy::Ticket } else { ProbeBy::WholeQuery };
        let options = IdentifyOptions { probe_by, ..IdentifyOptions::default() };
        self.gallery.identify(&probe, options).await.map(|_| ())
    }

    async fn verify(&mut self) -> Result<(), Error> {
        let probe = template(&self.gallery, &mut self.rng);
        let who = subject(self.rng.below(self.subjects));
        let probe_by = if self.rng.below(2) == 0 { ProbeBy::Ticket } else { ProbeBy::WholeQuery };
        self.gallery.verify_with(&who, &probe, VerifyOptions { probe_by }).await.map(|_| ())
    }
}

/// The blocks of all messages of an answer.
fn blocks(messages: &mut [matching::IdentifyResponse]) -> Vec<&mut matching::BlockReply> {
    use matching::identify_response::Part;
    let mut all = Vec::new();
    for message in messages {
        if let Some(Part::Blocks(blocks)) = &mut message.part {
            all.extend(&mut blocks.replies);
        }
    }
    all
}

fn alter_coefficients(layout: Layout, block: &mut matching::BlockReply, alter: impl Fn(&mut Vec<u16>)) {
    let mut coefficients = reply::unpack(&layout, &block.coefficients).expect("an honest reply");
    alter(&mut coefficients);
    block.coefficients = reply::pack(&layout, &coefficients).into();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_shifted_by_a_constant_fails_the_check_vector() {
    let mut world = world(32, 8, 40, 1).await;
    let layout = world.layout();
    for _ in 0..trials() {
        let steps = 1 + world.rng.below(T as usize - 1) as u64;
        let shift = world.shift(steps);
        let slot = world.rng.below(40);
        let mask = (1 << layout.reply_bits()) - 1;
        world.proxy.commit(Fault {
            identify_response: Some(Box::new(move |messages| {
                alter_coefficients(layout, blocks(messages).remove(0), |c| {
                    c[slot] = (c[slot] + shift) & mask;
                });
            })),
            ..Fault::default()
        });
        let outcome = world.identify().await;
        assert!(matches!(outcome, Err(Error::Tenant(Secret::CheckVector(_)))), "{outcome:?}");
    }
    world.proxy.repent();
    world.identify().await.expect("an honest answer is accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shifted_single_score_fails_the_check_query_but_once_in_2038() {
    let mut world = world(16, 16, 4, 2).await;
    let mask = (1_u32 << world.layout().reply_bits()) - 1;
    let trials = 10 * trials();
    let mut missed = 0;
    for _ in 0..trials {
        // The best that a server can do: guess rho, and shift the check score to fit.
        let steps = 1 + world.rng.below(T as usize - 1) as u64;
        let guess = 1 + world.rng.below(T as usize - 1) as u64;
        let shifts = [world.shift(steps), world.shift(steps * guess % T)].map(u32::from);
        world.proxy.commit(Fault {
            verify_response: Some(Box::new(move |answer| {
                for result in &mut answer.results {
                    result.coefficient = (result.coefficient + shifts[0]) & mask;
                    result.check_coefficient = (result.check_coefficient + shifts[1]) & mask;
                }
            })),
            ..Fault::default()
        });
        match world.verify().await {
            Ok(()) => missed += 1,
            Err(Error::Tenant(Secret::CheckQuery { .. })) => {}
            Err(other) => panic!("{other}"),
        }
    }
    println!("{missed} of {trials} shifted single scores passed; 1 in 2038 is expected");
    // Poisson with mean 0.5 or 4.9: exceeded by chance less than once in a million runs.
    assert!(missed <= if soak() { 20 } else { 8 });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_slots_swapped_are_refused() {
    let mut world = world(32, 8, 40, 3).await;
    let layout = world.layout();
    let mut unseen = 0;
    for _ in 0..trials() {
        let (i, j) = (world.rng.below(40), world.rng.below(39));
        let j = if j < i { j } else { j + 1 };
        let equal = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&equal);
        world.proxy.commit(Fault {
            identify_response: Some(Box::new(move |messages| {
                alter_coefficients(layout, blocks(messages).remove(0), |c| {
                    // Within the noise of one step: the same score.
                    let distance = c[i].abs_diff(c[j]).min((1 << layout.reply_bits()) - c[i].abs_diff(c[j]));
                    *seen.lock().unwrap() = distance <= 8;
                    c.swap(i, j);
                });
            })),
            ..Fault::default()
        });
        match world.identify().await {
            Err(Error::Tenant(Secret::CheckVector(_))) => {}
            Ok(()) if *equal.lock().unwrap() => unseen += 1,
            other => panic!("{other:?}"),
        }
    }
    println!("{unseen} swaps were of equal scores and changed nothing");
    assert!(unseen < trials() / 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_block_version_is_refused() {
    let mut world = world(16, 4, 20, 4).await;
    for trial in 0..trials() {
        let back = 1 + world.rng.below(3) as u64;
        world.proxy.commit(Fault {
            identify_response: Some(Box::new(move |messages| {
                blocks(messages).remove(0).block_version -= back.min(1);
            })),
            verify_response: Some(Box::new(|answer| answer.results[0].block_version -= 1)),
            ..Fault::default()
        });
        let outcome = if trial % 2 == 0 { world.identify().await } else { world.verify().await };
        assert!(matches!(outcome, Err(Error::StaleBlock { .. })), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_rolled_back_to_an_older_manifest_is_refused() {
    let mut world = world(16, 4, 20, 5).await;
    let old = Arc::new(Mutex::new(None::<(u64, Bytes)>));
    let keep = Arc::clone(&old);
    world.proxy.commit(Fault {
        records: Some(Box::new(move |messages| {
            if let Some(gallery::fetch_records_response::Part::Manifest(manifest)) = &messages[0].part {
                *keep.lock().unwrap() = Some((manifest.version, manifest.sealed.clone()));
            }
        })),
        ..Fault::default()
    });
    world.gallery.sync().await.expect("an honest synchronisation");
    let (version, sealed) = old.lock().unwrap().take().expect("a manifest passed");
    world.proxy.repent();
    let newer = template(&world.gallery, &mut world.rng);
    world.gallery.enrol([(subject(99), newer)], &|_| ()).await.expect("an honest enrolment");
    for trial in 0..trials() {
        let (for_records, for_answers) = (sealed.clone(), sealed.clone());
        world.proxy.commit(Fault {
            records: Some(Box::new(move |messages| {
                messages.truncate(1);
                if let Some(gallery::fetch_records_response::Part::Manifest(manifest)) = &mut messages[0].part
                {
                    *manifest =
                        gallery::SealedManifest { version, sealed: for_records.clone(), changed_blocks: 0 };
                }
            })),
            verify_response: Some(Box::new(move |answer| {
                let snapshot = answer.snapshot.as_mut().expect("an honest answer");
                *snapshot =
                    matching::Snapshot { manifest_version: version, sealed_manifest: for_answers.clone() };
            })),
            ..Fault::default()
        });
        let outcome =
            if trial % 2 == 0 { world.gallery.sync().await.map(|_| ()) } else { world.verify().await };
        assert!(matches!(outcome, Err(Error::RolledBack { .. })), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_coefficients_of_a_block_are_refused() {
    let mut world = world(16, 16, 1, 6).await;
    let mut missed = 0;
    for trial in 0..trials() {
        let (byte, bit) = (world.rng.below(1 << 20), world.rng.below(8));
        // Either the base block is altered as it is provisioned, or the delta as it is enrolled.
        let fault = if trial % 2 == 0 {
            Fault {
                segment: Some(Box::new(move |bytes| {
                    // Low bits of one coefficient, so that it stays below q.
                    let first = tyto_scheme::segment::SEGMENT_HEADER_BYTES + 16;
                    let blocks = (bytes.len() - first + 16) / (16 + 10_496);
                    for block in 0..blocks {
                        bytes[first + block * (16 + 10_496) + 41 * (byte % 256)] ^= 1 << bit;
                    }
                })),
                ..Fault::default()
            }
        } else {
            Fault {
                enrol_request: Some(Box::new(move |request| {
                    let delta = &mut request.changes[0].writes[0].delta;
                    let mut bytes = delta.to_vec();
                    let at = 2 * (byte % 16);
                    let value = (u16::from_le_bytes([bytes[at], bytes[at + 1]]) + 1) % T as u16;
                    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
                    *delta = bytes.into();
                })),
                ..Fault::default()
            }
        };
        let client = connect(world.proxy.endpoint()).await;
        let name = format!("trial {trial}");
        world.proxy.commit(fault);
        let altered = gallery(&client, &name, 16, 16).await;
        // Several: the altered block scores at random, and one random score is the right one once in 2039.
        let enrolled: Vec<_> = (0..4).map(|i| (subject(i), template(&altered, &mut world.rng))).collect();
        altered.enrol(enrolled, &|_| ()).await.expect("the server takes what it was told");
        world.proxy.repent();
        let probe = template(&altered, &mut world.rng);
        let identified = altered.identify(&probe, IdentifyOptions::default()).await.map(|_| ());
        let refused = matches!(identified, Err(Error::Tenant(Secret::CheckVector(_))));
        assert!(refused, "trial {trial}: {identified:?}");
        match altered.verify(&subject(0), &probe).await.map(|_| ()) {
            Err(Error::Tenant(Secret::CheckQuery { .. })) => {}
            // Random scores pass the check of a single score once in 2039.
            Ok(()) => missed += 1,
            Err(other) => panic!("trial {trial}: {other:?}"),
        }
        client.delete_gallery(&name).await.expect("it is deleted");
    }
    println!("{missed} of {} verifications on altered blocks passed; 1 in 2039 is expected", trials());
    assert!(missed <= if soak() { 8 } else { 4 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_replaced_by_an_older_one_or_by_another_blocks_is_refused() {
    let mut world = world(16, 16, 200, 7).await;
    // Everything that a client without a view is sent.
    let records = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&records);
    world.proxy.commit(Fault {
        records: Some(Box::new(move |messages| *keep.lock().unwrap() = messages.clone())),
        ..Fault::default()
    });
    let keyring = tyto_tests::rig::keyring();
    let key = keyring.current().expect("a key").duplicate();
    let fresh = |endpoint: String| {
        let keyring = tyto_client::tenant::keyring::Keyring::new(key.duplicate(), 1);
        let mut config = tyto_client::Config::new(endpoint);
        config.attestations = false;
        async move { tyto_client::Client::connect(config, keyring).await.expect("it connects") }
    };
    let owner = fresh(world.proxy.endpoint().to_owned()).await;
    let target = gallery(&owner, "records", 16, 16).await;
    let templates: Vec<_> = (0..200).map(|i| (subject(i), template(&target, &mut world.rng))).collect();
    target.enrol(templates, &|_| ()).await.expect("an honest enrolment");
    let reader = fresh(world.proxy.endpoint().to_owned()).await;
    reader.open_gallery("records").await.expect("an honest server");
    let old = records.lock().unwrap().clone();
    let more = (200..400).map(|i| (subject(i), template(&target, &mut world.rng))).collect::<Vec<_>>();
    target.enrol(more, &|_| ()).await.expect("an honest enrolment");
    target.remove(&subject(3)).await.expect("an honest removal");
    let (mut older, mut foreign) = (0, 0);
    for trial in 0..trials() {
        let old = old.clone();
        let pick = world.rng.below(1000);
        world.proxy.commit(Fault {
            records: Some(Box::new(move |messages| replace_record(messages, &old, trial % 2 == 0, pick))),
            ..Fault::default()
        });
        let outcome = reader_of(&fresh(world.proxy.endpoint().to_owned()).await).await;
        match outcome {
            Err(Error::OtherRecord(_) | Error::StaleBlock { .. } | Error::Tenant(Secret::Sealed { .. })) => {
                if trial % 2 == 0 {
                    older += 1;
                } else {
                    foreign += 1;
                }
            }
            other => panic!("trial {trial}: {other:?}"),
        }
    }
    println!("{older} older records and {foreign} of other blocks refused");
    assert_eq!(older + foreign, trials());
}

async fn reader_of(client: &tyto_client::Client) -> Result<(), Error> {
    client.open_gallery("records").await.map(|_| ())
}

/// Replaces the sealed record of one block by an older one of the same block, or by that of another block.
fn replace_record(
    messages: &mut [gallery::FetchRecordsResponse],
    old: &[gallery::FetchRecordsResponse],
    older: bool,
    pick: usize,
) {
    use gallery::fetch_records_response::Part;
    fn records(messages: &[gallery::FetchRecordsResponse]) -> Vec<gallery::SealedRecord> {
        let record = |message: &gallery::FetchRecordsResponse| match &message.part {
            Some(Part::Block(block)) => block.record.clone(),
            _ => None,
        };
        messages.iter().filter_map(record).collect()
    }
    let (now, before) = (records(messages), records(old));
    // A block that changed since, so that its older record differs.
    let changed: Vec<_> = now
        .iter()
        .filter(|record| {
            before.iter().any(|old| old.block_id == record.block_id && old.version < record.version)
        })
        .collect();
    let victim = changed[pick % changed.len()];
    let replacement = if older {
        before.iter().find(|old| old.block_id == victim.block_id).expect("it was there").sealed.clone()
    } else {
        now.iter().find(|other| other.block_id != victim.block_id).expect("there are several").sealed.clone()
    };
    for message in messages {
        if let Some(Part::Block(block)) = &mut message.part
            && let Some(record) = &mut block.record
            && record.block_id == victim.block_id
        {
            record.sealed = replacement.clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_block_is_refused() {
    let mut world = world(16, 16, 400, 8).await;
    for _ in 0..trials() {
        let pick = world.rng.below(1000);
        world.proxy.commit(Fault {
            identify_response: Some(Box::new(move |messages| {
                use matching::identify_response::Part;
                let total = blocks(messages).len();
                let mut index = 0;
                for message in messages.iter_mut() {
                    if let Some(Part::Blocks(blocks)) = &mut message.part {
                        blocks.replies.retain(|_| {
                            index += 1;
                            index - 1 != pick % total
                        });
                    }
                }
                for message in messages {
                    match &mut message.part {
                        Some(Part::Header(header)) => header.blocks_total -= 1,
                        Some(Part::Trailer(trailer)) => trailer.blocks_matched -= 1,
                        _ => {}
                    }
                }
            })),
            ..Fault::default()
        });
        let outcome = world.identify().await;
        assert!(matches!(outcome, Err(Error::MissingBlock(_))), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_ticket_delta_is_refused() {
    let mut world = world(16, 16, 4, 9).await;
    let mut harmless = 0;
    for trial in 0..trials() {
        let coordinate = world.rng.below(32);
        let honest = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&honest);
        let hide = trial % 2 == 0;
        world.proxy.commit(Fault {
            verify_request: Some(Box::new(move |request| {
                let Some(matching::probe::Kind::Ticket(used)) =
                    request.probe.as_mut().and_then(|probe| probe.kind.as_mut())
                else {
                    return;
                };
                *keep.lock().unwrap() = Some(used.clone());
                let mut bytes = used.deltas.to_vec();
                let at = 2 * coordinate;
                let value = (u16::from_le_bytes([bytes[at], bytes[at + 1]]) + 1) % T as u16;
                bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
                used.deltas = bytes.into();
            })),
            // A server that also hides what it did: it echoes the use that it was sent.
            verify_response: Some(Box::new(move |answer| {
                if hide {
                    answer.ticket.clone_from(&honest.lock().unwrap());
                }
            })),
            ..Fault::default()
        });
        let probe = template(&world.gallery, &mut world.rng);
        let options = VerifyOptions { probe_by: ProbeBy::Ticket };
        let outcome = world.gallery.verify_with(&subject(trial % 4), &probe, options).await;
        match outcome {
            Err(Error::Tenant(Secret::TicketTag(_))) if !hide => {}
            Err(Error::Tenant(Secret::CheckQuery { .. })) if hide => {}
            // The altered coordinate met a zero of the template: the scores are those of the honest probe.
            Ok(_) if hide => harmless += 1,
            other => panic!("trial {trial}: {other:?}"),
        }
    }
    println!("{harmless} alterations met a zero of the template and changed no score");
    assert!(harmless < trials() / 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_subject_and_a_left_out_template_are_refused() {
    let mut world = world(16, 16, 3, 10).await;
    let second = template(&world.gallery, &mut world.rng);
    world.gallery.enrol([(subject(0), second)], &|_| ()).await.expect("an honest enrolment");
    let probe = template(&world.gallery, &mut world.rng);
    world.proxy.commit(Fault {
        verify_response: Some(Box::new(|answer| answer.results.truncate(1))),
        ..Fault::default()
    });
    let outcome = world.gallery.verify(&subject(0), &probe).await;
    assert!(matches!(outcome, Err(Error::MissingSlot { .. })), "{outcome:?}");
    // The scores of another subject under the claimed one's name.
    let stranger = Bytes::copy_from_slice(&world.gallery.gallery().pseudonym(&subject(1)).0);
    world.proxy.commit(Fault {
        verify_request: Some(Box::new(move |request| request.subject = stranger.clone())),
        ..Fault::default()
    });
    let options = VerifyOptions { probe_by: ProbeBy::WholeQuery };
    let outcome = world.gallery.verify_with(&subject(2), &probe, options).await;
    assert!(matches!(outcome, Err(Error::MissingSlot { .. } | Error::UnconfirmedSlot { .. })), "{outcome:?}");
    world.proxy.repent();
    assert_eq!(world.gallery.verify(&subject(0), &probe).await.expect("an honest answer").templates.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_stored_delta_is_refused_on_removal() {
    let world = world(16, 16, 3, 11).await;
    world.proxy.commit(Fault {
        deltas: Some(Box::new(|answer| {
            let mut bytes = answer.deltas[0].delta.to_vec();
            bytes[0] ^= 1;
            answer.deltas[0].delta = bytes.into();
        })),
        ..Fault::default()
    });
    let outcome = world.gallery.remove(&subject(1)).await;
    assert!(matches!(outcome, Err(Error::Tenant(Secret::DeltaTag { .. }))), "{outcome:?}");
    world.proxy.repent();
    assert_eq!(world.gallery.remove(&subject(1)).await.expect("an honest server"), 1);
}

//! What a dishonest server can learn from how a client takes its answers: nothing.

use futures_util::StreamExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::Status;
use tyto_api::proto::gallery::v1 as galleries;
use tyto_api::proto::matching::v1 as matching;
use tyto_api::proto::matching::v1::identify_response::Part;
use tyto_client::{Error, GalleryHandle, IdentifyOptions, ProbeBy};
use tyto_scheme::reply;
use tyto_tenant::Error as Secret;
use tyto_tests::Rng;
use tyto_tests::dishonest::{Answers, Fault, Proxy};
use tyto_tests::rig::{Rig, connect, gallery, subject, template};

const PAUSE: Duration = Duration::from_millis(50);

struct World {
    _rig: Rig,
    proxy: Proxy,
    gallery: GalleryHandle,
    rng: Rng,
}

/// A gallery of four blocks behind a proxy that is still honest.
async fn world(seed: u64) -> World {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.endpoint()).await;
    let client = connect(proxy.endpoint()).await;
    let gallery = gallery(&client, "faces", 16, 16).await;
    let mut world = World { _rig: rig, proxy, gallery, rng: Rng(seed) };
    let templates: Vec<_> =
        (0..400).map(|i| (subject(i), template(&world.gallery, &mut world.rng))).collect();
    world.gallery.enrol(templates, &|_| ()).await.expect("an honest enrolment");
    world
}

impl World {
    async fn identify(&mut self, probe_by: ProbeBy) -> Result<(), Error> {
        let probe = template(&self.gallery, &mut self.rng);
        let options = IdentifyOptions { probe_by, ..IdentifyOptions::default() };
        self.gallery.identify(&probe, options).await.map(|_| ())
    }

    /// Alters the first block that is answered, and counts requests.
    fn alter_first_block(&self, requests: &Arc<AtomicUsize>) -> Fault {
        let (layout, requests) = (*self.gallery.gallery().layout(), Arc::clone(requests));
        Fault {
            identify_request: Some(Box::new(move |_| {
                requests.fetch_add(1, Ordering::SeqCst);
            })),
            identify_response: Some(Box::new(move |messages| {
                let blocks = messages.iter_mut().find_map(|message| match &mut message.part {
                    Some(Part::Blocks(blocks)) => Some(blocks),
                    _ => None,
                });
                let block = &mut blocks.expect("the gallery has blocks").replies[0];
                let mut coefficients = reply::unpack(&layout, &block.coefficients).expect("an honest reply");
                let mask = (1 << layout.reply_bits()) - 1;
                coefficients[0] = (coefficients[0] + (1 << (layout.reply_bits() - 1))) & mask;
                block.coefficients = reply::pack(&layout, &coefficients).into();
            })),
            ..Fault::default()
        }
    }
}

/// Each block in a message of its own, one after the other.
fn one_by_one(messages: Vec<matching::IdentifyResponse>) -> Vec<matching::IdentifyResponse> {
    let split = |message: matching::IdentifyResponse| match message.part {
        Some(Part::Blocks(blocks)) => {
            let one = |reply| matching::IdentifyResponse {
                part: Some(Part::Blocks(matching::IdentifyBlocks { replies: vec![reply] })),
            };
            blocks.replies.into_iter().map(one).collect()
        }
        part => vec![matching::IdentifyResponse { part }],
    };
    messages.into_iter().flat_map(split).collect()
}

fn slowly(
    messages: Vec<Result<matching::IdentifyResponse, Status>>,
    sent: Arc<AtomicUsize>,
) -> Answers<matching::IdentifyResponse> {
    let one = move |message| {
        let sent = Arc::clone(&sent);
        async move {
            tokio::time::sleep(PAUSE).await;
            sent.fetch_add(1, Ordering::SeqCst);
            message
        }
    };
    futures_util::stream::iter(messages).then(one).boxed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_block_does_not_end_the_stream_that_the_server_sees() {
    let mut world = world(21).await;
    for probe_by in [ProbeBy::WholeQuery, ProbeBy::Ticket] {
        let (requests, sent, total) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (count, all) = (Arc::clone(&sent), Arc::clone(&total));
        world.proxy.commit(Fault {
            identify_pace: Some(Box::new(move |messages| {
                let mut messages = one_by_one(messages);
                let trailer = messages.pop().expect("an honest answer");
                let silence = matching::IdentifyProgress { blocks_matched: 4 };
                let part = Some(Part::Progress(silence));
                messages.extend(std::iter::repeat_n(matching::IdentifyResponse { part }, 6));
                messages.push(trailer);
                all.store(messages.len(), Ordering::SeqCst);
                slowly(messages.into_iter().map(Ok).collect(), Arc::clone(&count))
            })),
            ..world.alter_first_block(&requests)
        });
        let outcome = world.identify(probe_by).await;
        assert!(matches!(outcome, Err(Error::Tenant(Secret::CheckVector(_)))), "{outcome:?}");
        assert!(total.load(Ordering::SeqCst) >= 12, "header, four blocks, six signs of life, trailer");
        assert_eq!(
            sent.load(Ordering::SeqCst),
            total.load(Ordering::SeqCst),
            "the stream was read to its end"
        );
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_after_a_block_gets_no_second_try() {
    let mut world = world(22).await;
    for (probe_by, altered) in [
        (ProbeBy::WholeQuery, true),
        (ProbeBy::WholeQuery, false),
        (ProbeBy::Ticket, true),
        (ProbeBy::Ticket, false),
    ] {
        let requests = Arc::<AtomicUsize>::default();
        let mut fault = world.alter_first_block(&requests);
        if !altered {
            fault.identify_response = None;
        }
        // At once, so that the break may overtake the decryption.
        fault.identify_pace = Some(Box::new(|messages| {
            let mut messages: Vec<_> = one_by_one(messages).into_iter().map(Ok).collect();
            messages.pop();
            messages.push(Err(Status::unavailable("the line broke")));
            futures_util::stream::iter(messages).boxed()
        }));
        world.proxy.commit(fault);
        let outcome = world.identify(probe_by).await;
        if altered {
            assert!(matches!(outcome, Err(Error::Tenant(Secret::CheckVector(_)))), "{outcome:?}");
        } else {
            assert!(matches!(outcome, Err(Error::Rpc { code: tonic::Code::Unavailable, .. })), "{outcome:?}");
        }
        assert_eq!(requests.load(Ordering::SeqCst), 1, "no new trial for the server");
    }
    world.proxy.repent();
    world.identify(ProbeBy::Ticket).await.expect("an honest answer is accepted");
}

/// A list of galleries with entries that are not this tenant's, whatever they say.
fn list_strangers(messages: &mut galleries::ListGalleriesResponse) {
    let honest = messages.galleries[0].clone();
    let mut garbage = honest.clone();
    garbage.sealed_descriptor = vec![7; honest.sealed_descriptor.len()].into();
    garbage.parameters.as_mut().expect("an honest answer").gallery_id = vec![0xff; 16].into();
    let mut future = honest;
    future.parameters.as_mut().expect("an honest answer").parameter_set = 999;
    messages.galleries.insert(0, future);
    messages.galleries.push(garbage);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_gallery_in_the_list_stops_nobody() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.endpoint()).await;
    let client = connect(proxy.endpoint()).await;
    gallery(&client, "ours", 16, 16).await;
    proxy.commit(Fault { galleries: Some(Box::new(list_strangers)), ..Fault::default() });
    let names: Vec<_> = client.galleries().await.expect("a list").into_iter().map(|it| it.name).collect();
    assert_eq!(names, [Some("ours".to_owned()), None]);
    client.open_gallery("ours").await.expect("ours opens");
    proxy.commit(Fault {
        galleries: Some(Box::new(|list| list.galleries.extend(list.galleries.clone()))),
        ..Fault::default()
    });
    let twice = client.galleries().await;
    assert!(matches!(twice, Err(Error::OutOfOrder { .. })), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_gallery_that_is_listed_again_is_not_found() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.endpoint()).await;
    let client = connect(proxy.endpoint()).await;
    gallery(&client, "gone", 16, 16).await;
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    proxy.commit(Fault {
        galleries: Some(Box::new(move |list| *keep.lock().unwrap() = Some(list.clone()))),
        ..Fault::default()
    });
    client.delete_gallery("gone").await.expect("an honest deletion");
    let old = kept.lock().unwrap().clone().expect("a list passed");
    proxy.commit(Fault { galleries: Some(Box::new(move |list| list.clone_from(&old))), ..Fault::default() });
    assert!(client.galleries().await.expect("a list").is_empty());
    assert!(matches!(client.open_gallery("gone").await, Err(Error::UnknownGallery { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_came_meanwhile_must_be_answered_too() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.endpoint()).await;
    let key = tyto_client::tenant::TenantKey::generate().expect("OS randomness");
    let client = |endpoint: String| {
        let keyring = tyto_client::tenant::keyring::Keyring::new(key.duplicate(), 1);
        let mut config = tyto_client::Config::new(endpoint);
        config.attestations = false;
        async move { tyto_client::Client::connect(config, keyring).await.expect("it connects") }
    };
    let (writer, reader) = (client(rig.endpoint()).await, client(proxy.endpoint().to_owned()).await);
    let ours = gallery(&writer, "faces", 16, 16).await;
    let mut rng = Rng(23);
    let [first, second, probe] = [(); 3].map(|()| template(&ours, &mut rng));
    ours.enrol([(subject(0), first)], &|_| ()).await.expect("an honest enrolment");
    let theirs = reader.open_gallery("faces").await.expect("an honest server");
    // Behind the reader's back: the answer is computed on a manifest that the reader does not know yet.
    ours.enrol([(subject(0), second)], &|_| ()).await.expect("an honest enrolment");
    proxy.commit(Fault {
        verify_response: Some(Box::new(|answer| {
            assert_eq!(answer.results.len(), 2);
            answer.results.sort_by_key(|result| result.slot);
            answer.results.truncate(1);
        })),
        ..Fault::default()
    });
    let outcome = theirs.verify(&subject(0), &probe).await;
    assert!(matches!(outcome, Err(Error::MissingSlot { .. })), "{outcome:?}");
    proxy.repent();
    assert_eq!(theirs.verify(&subject(0), &probe).await.expect("an honest answer").templates.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_whose_acknowledgement_is_garbage_are_counted_as_uncertain() {
    let mut world = world(24).await;
    world.proxy.commit(Fault {
        enrol_response: Some(Box::new(|answer| *answer = galleries::EnrolResponse::default())),
        ..Fault::default()
    });
    let more: Vec<_> = (400..403).map(|i| (subject(i), template(&world.gallery, &mut world.rng))).collect();
    let outcome = world.gallery.enrol(more, &|_| ()).await;
    assert!(matches!(outcome, Err(Error::Enrolment { acknowledged: 0, uncertain: 3, .. })), "{outcome:?}");
    world.proxy.repent();
    assert_eq!(world.gallery.subjects().await.expect("an honest server").len(), 403, "they had arrived");
}

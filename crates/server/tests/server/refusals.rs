//! What callers may not send: each is refused with a status that names the field, and changes nothing.

use crate::support::{
    Fixture, Galleries, Matching, Model, Numbers, describe, enrol, remove, subject, upload,
};
use bytes::Bytes;
use tonic::{Code, Status};
use tyto_api::gallery::{Mutation, Outcome};
use tyto_api::limits::{MAX_ENTRIES_PER_BLOCK, MAX_RECORD_BYTES};
use tyto_api::matching::{Probe, TicketPart, WholeQuery};
use tyto_api::proto::gallery::v1 as gallery;
use tyto_api::proto::matching::v1 as matching;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::query::Kind;
use tyto_scheme::{BlockId, KeyId};

/// Makes something wrong of something right.
type Spoil<'a> = Box<dyn FnMut(&mut Mutation) + 'a>;

/// A wrong thing, how it is refused, and what the refusal names.
type Case<T> = (fn(&mut T), Code, &'static str);

fn assert_refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, names: &str) {
    let status = result.expect_err(names);
    assert_eq!(status.code(), code, "{}", status.message());
    assert!(status.message().contains(names), "{:?} does not name {names:?}", status.message());
}

async fn start(seed: u64) -> (Fixture, Model) {
    let mut fixture = Fixture::start().await;
    let mut model = Model::create(&mut fixture.galleries, seed, 8, 8).await;
    model.provision(&mut fixture.galleries, 2).await;
    model.enrol(&mut fixture.galleries, 0, &[(3, subject(1))]).await;
    (fixture, model)
}

#[tokio::test]
async fn wrong_enrolments_are_refused_by_field_and_change_nothing() {
    let (mut fixture, mut model) = start(1).await;
    let client = &mut fixture.galleries;
    let before = describe(client, &model).await;
    let unfit = &mut |m: &mut Mutation, bytes: &[u8]| {
        m.changes[0].writes[0].delta = Bytes::copy_from_slice(bytes);
    };
    let table: Vec<(Spoil<'_>, Code, &str)> = vec![
        (Box::new(|m| m.changes.clear()), Code::InvalidArgument, "changes is empty"),
        (Box::new(|m| m.gallery.0[0] ^= 1), Code::NotFound, "gallery"),
        (Box::new(|m| m.changes[0].block = BlockId([9; 16])), Code::NotFound, "block"),
        (Box::new(|m| m.changes[0].writes[0].slot = 256), Code::InvalidArgument, "slot 256"),
        (Box::new(|m| m.changes[0].writes[0].slot = 2048), Code::InvalidArgument, "changes.writes.slot"),
        (Box::new(|m| m.changes[0].writes[0].slot = 3), Code::FailedPrecondition, "slot 3"),
        (Box::new(|m| unfit(m, &[0; 15])), Code::InvalidArgument, "changes.writes.delta"),
        (Box::new(|m| unfit(m, &[0xff; 16])), Code::InvalidArgument, "not below 2039"),
        (Box::new(|m| m.changes[0].first_entry = 0), Code::FailedPrecondition, "entries"),
        (Box::new(|m| m.changes[0].removals = vec![3]), Code::InvalidArgument, "changes.removals"),
        (Box::new(|m| m.changes[0].sealed_record = Bytes::new()), Code::InvalidArgument, "sealed_record"),
        (
            Box::new(|m| m.changes[0].sealed_record = vec![1; MAX_RECORD_BYTES + 1].into()),
            Code::InvalidArgument,
            "the limit is 65536",
        ),
        (
            Box::new(|m| {
                m.changes[0].entries = vec![Bytes::from_static(b"e"); MAX_ENTRIES_PER_BLOCK as usize];
            }),
            Code::InvalidArgument,
            "the limit is 8192",
        ),
        (Box::new(|m| m.manifest.sealed = Bytes::new()), Code::InvalidArgument, "manifest.sealed"),
        (Box::new(|m| m.manifest.version = 0), Code::InvalidArgument, "manifest.version"),
        (
            Box::new(|m| {
                let twice = m.changes[0].clone();
                m.changes.push(twice);
            }),
            Code::FailedPrecondition,
            "twice",
        ),
        (
            Box::new(|m| {
                let twice = m.changes[0].writes[0].clone();
                m.changes[0].writes.push(twice);
            }),
            Code::FailedPrecondition,
            "slot 7",
        ),
    ];
    for (mut spoil, code, names) in table {
        let mut mutation = model.enrolment(0, &[(7, subject(2))]);
        spoil(&mut mutation);
        assert_refused(enrol(client, mutation).await, code, names);
        assert_eq!(describe(client, &model).await, before, "{names}");
    }
    let empty_slot = model.removal(0, &[4]);
    assert_refused(remove(client, empty_slot).await, Code::FailedPrecondition, "slot 4");
    let past_the_end = model.removal(0, &[256]);
    assert_refused(remove(client, past_the_end).await, Code::InvalidArgument, "changes.removals");
    assert_eq!(describe(client, &model).await, before);
    model.enrol(client, 0, &[(7, subject(2))]).await;
}

#[tokio::test]
async fn wrong_segments_are_refused_by_field_and_change_nothing() {
    let (mut fixture, mut model) = start(2).await;
    let client = &mut fixture.galleries;
    let before = describe(client, &model).await;
    // A coefficient of the last polynomial becomes 2^41 - 1, which is not below q.
    let mut segment = model.new_segment(2);
    let mut bytes = segment.bytes.to_vec();
    let end = bytes.len();
    bytes[end - 6..].fill(0xff);
    segment.header.digest = sha3_256(&[&bytes]);
    segment.bytes = bytes.into();
    assert_refused(upload(client, segment.messages(0, 9000)).await, Code::InvalidArgument, "is not below q");

    let mut segment = model.new_segment(1);
    segment.header.digest[0] ^= 1;
    assert_refused(upload(client, segment.messages(0, 9000)).await, Code::InvalidArgument, "digest");

    let mut segment = model.new_segment(2);
    segment.commit.records.swap(0, 1);
    assert_refused(upload(client, segment.messages(0, 9000)).await, Code::InvalidArgument, "order");
    let mut segment = model.new_segment(2);
    segment.commit.records.pop();
    assert_refused(
        upload(client, segment.messages(0, 9000)).await,
        Code::InvalidArgument,
        "one record per block",
    );
    let mut segment = model.new_segment(1);
    segment.commit.records[0].version = 2;
    assert_refused(upload(client, segment.messages(0, 9000)).await, Code::InvalidArgument, "version 1");

    let mut other = Model::create(client, 3, 8, 8).await;
    let mut foreign = other.new_segment(1);
    foreign.header.gallery = model.parameters.gallery;
    foreign.commit.manifest.version = model.manifest.version + 1;
    assert_refused(upload(client, foreign.messages(0, 9000)).await, Code::InvalidArgument, "gallery id");

    let segment = model.new_segment(1);
    let chunk_first = segment.messages(0, 9000)[1..].to_vec();
    assert_refused(upload(client, chunk_first).await, Code::InvalidArgument, "header is not first");
    let commit_early = vec![segment.header.into(), segment.commit.clone().into()];
    assert_refused(upload(client, commit_early).await, Code::FailedPrecondition, "0 of");
    assert_refused(upload(client, Vec::new()).await, Code::InvalidArgument, "header is missing");
    let mut large = segment.header;
    large.total_bytes = (64 << 20) + 1;
    assert_refused(upload(client, vec![large.into()]).await, Code::InvalidArgument, "header.total_bytes");
    assert_eq!(describe(client, &model).await, before);
    assert_eq!(
        upload(client, segment.messages(0, 9000)).await.unwrap(),
        Outcome::Committed { manifest_version: model.manifest.version + 1 }
    );
}

#[tokio::test]
async fn wrong_probes_are_refused_by_field() {
    let (mut fixture, mut model) = start(4).await;
    let client = &mut fixture.matching;
    let queries = model.queries(Kind::Verify);
    let Probe::Query(good) = model.whole(&queries) else { panic!("a whole query") };
    let table: [Case<WholeQuery>; 4] = [
        (|query| query.key = KeyId([1; 16]), Code::InvalidArgument, "query.key_id"),
        (|query| query.mask_epoch = 1, Code::InvalidArgument, "query.mask_epoch"),
        (
            |query| query.polynomials = query.polynomials.slice(1..),
            Code::InvalidArgument,
            "query.polynomials",
        ),
        (
            |query| query.polynomials = vec![0xff; query.polynomials.len()].into(),
            Code::InvalidArgument,
            "not below q",
        ),
    ];
    for (spoil, code, names) in table {
        let mut query = good.clone();
        spoil(&mut query);
        let request = model.verification(subject(1), Probe::Query(query));
        assert_refused(crate::support::verify(client, request).await, code, names);
    }
    let two_for_one = model.identification(Probe::Query(good));
    assert_refused(
        crate::support::identify(client, two_for_one).await,
        Code::InvalidArgument,
        "query.polynomials",
    );
}

#[tokio::test]
async fn wrong_tickets_are_refused_by_field() {
    let (mut fixture, mut model) = start(5).await;
    let client = &mut fixture.matching;
    let pads = model.queries(Kind::Verify);
    let mut sent = async |spoil: fn(&mut Vec<TicketPart>)| {
        let (_, messages) = model.ticket_messages(Kind::Verify, &pads);
        let mut parts: Vec<TicketPart> = messages.into_iter().map(|part| part.try_into().unwrap()).collect();
        spoil(&mut parts);
        let messages: Vec<matching::UploadTicketRequest> = parts.into_iter().map(Into::into).collect();
        client.upload_ticket(tokio_stream::iter(messages)).await
    };
    macro_rules! header {
        ($parts:ident) => {{
            let TicketPart::Header(header) = &mut $parts[0] else { panic!("a header") };
            header
        }};
    }
    let table: [Case<Vec<TicketPart>>; 9] = [
        (|p| header!(p).key = KeyId([1; 16]), Code::InvalidArgument, "header.key_id"),
        (|p| header!(p).ticket.0[0] ^= 1, Code::InvalidArgument, "header.ticket_id"),
        (|p| header!(p).gallery.0[0] ^= 1, Code::NotFound, "gallery"),
        (|p| header!(p).digest[0] ^= 1, Code::InvalidArgument, "digest"),
        (|p| header!(p).total_bytes -= 1, Code::InvalidArgument, "header.total_bytes"),
        (|p| drop(p.pop()), Code::InvalidArgument, "size"),
        (|p| drop(p.remove(0)), Code::InvalidArgument, "header is not first"),
        (|p| p.clear(), Code::InvalidArgument, "header is missing"),
        (
            |p| {
                if let TicketPart::Chunk(chunk) = &mut p[1] {
                    chunk.offset = 1;
                }
            },
            Code::InvalidArgument,
            "chunk.offset",
        ),
    ];
    for (spoil, code, names) in table {
        assert_refused(sent(spoil).await, code, names);
    }
    sent(|_| {}).await.unwrap();
}

#[tokio::test]
async fn messages_over_the_limit_are_refused_and_the_server_goes_on() {
    let (mut fixture, model) = start(6).await;
    let mut numbers = Numbers(1);
    let huge = gallery::CreateGalleryRequest {
        parameters: Some(model.parameters.into()),
        sealed_descriptor: numbers.bytes(5 << 20),
        sealed_manifest: numbers.bytes(10),
    };
    let refused = fixture.galleries.create_gallery(huge).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    let long_manifest = gallery::CreateGalleryRequest {
        parameters: Some(model.parameters.into()),
        sealed_descriptor: numbers.bytes(10),
        sealed_manifest: numbers.bytes(4097),
    };
    let refused = fixture.galleries.create_gallery(long_manifest).await;
    assert_refused(refused, Code::InvalidArgument, "the limit is 4096");
    let chunk = tyto_api::gallery::Chunk { offset: 0, data: numbers.bytes(5 << 20) };
    assert_refused(
        upload(&mut fixture.galleries, vec![chunk.into()]).await,
        Code::OutOfRange,
        "4194304 bytes",
    );
    let chunk = tyto_api::gallery::Chunk { offset: 0, data: numbers.bytes((1 << 20) + 1) };
    assert_refused(
        upload(&mut fixture.galleries, vec![chunk.into()]).await,
        Code::InvalidArgument,
        "chunk.data",
    );
    assert_eq!(describe(&mut fixture.galleries, &model).await.templates, 1);
}

#[tokio::test]
async fn wrong_ids_and_pages_are_refused_by_field() {
    let (mut fixture, model) = start(7).await;
    let galleries: &mut Galleries = &mut fixture.galleries;
    let short = gallery::DescribeGalleryRequest { gallery_id: Bytes::from_static(b"short") };
    assert_refused(galleries.describe_gallery(short).await, Code::InvalidArgument, "gallery_id has 5 bytes");
    let page = gallery::ListTemplatesRequest {
        gallery_id: model.id(),
        page_size: 0,
        page_token: Bytes::from_static(b"?"),
    };
    assert_refused(galleries.list_templates(page).await, Code::InvalidArgument, "page_token");
    let mut slots = gallery::FetchDeltasRequest {
        gallery_id: model.id(),
        block_id: Bytes::copy_from_slice(&model.blocks[0].id.0),
        slots: vec![256],
    };
    assert_refused(galleries.fetch_deltas(slots.clone()).await, Code::InvalidArgument, "slots");
    slots.slots = vec![0; 257];
    assert_refused(galleries.fetch_deltas(slots).await, Code::InvalidArgument, "the limit is 256");
    let matching: &mut Matching = &mut fixture.matching;
    let empty = matching::VerifyRequest { gallery_id: model.id(), ..Default::default() };
    assert_refused(matching.verify(empty).await, Code::InvalidArgument, "subject");
    let parameters = gallery::GalleryParameters { dimension: 2048, stride: 1, ..model.parameters.into() };
    let unsafe_layout = gallery::CreateGalleryRequest {
        parameters: Some(parameters),
        sealed_descriptor: Bytes::from_static(b"d"),
        sealed_manifest: Bytes::from_static(b"m"),
    };
    assert_refused(
        fixture.galleries.create_gallery(unsafe_layout).await,
        Code::InvalidArgument,
        "parameters: dimension 2048",
    );
}

#[test]
fn segments_beyond_the_memory_limit_are_refused_and_do_not_start() {
    // Again, in a process of its own: what other tests leave in memory counts, too.
    let program = std::env::current_exe().unwrap();
    let mut test = std::process::Command::new(program);
    test.args(["--exact", "refusals::the_memory_limit_of_a_process"]).env(ALONE, "1");
    let output = test.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Set in the process of a test that is alone.
const ALONE: &str = "TYTO_TEST_ALONE";

#[tokio::test]
async fn the_memory_limit_of_a_process() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let mut fixture = Fixture::start().await;
    let mut model = Model::create(&mut fixture.galleries, 8, 8, 8).await;
    model.provision(&mut fixture.galleries, 2).await;
    let two = describe(&mut fixture.galleries, &model).await.resident_bytes;

    // Room for the third block and not for the fourth.
    fixture.config.limits.resident_bytes = two + two * 3 / 4;
    let mut fixture = fixture.restart().await;
    model.provision(&mut fixture.galleries, 1).await;
    let segment = model.new_segment(1);
    assert_refused(
        upload(&mut fixture.galleries, segment.messages(0, 9000)).await,
        Code::ResourceExhausted,
        "limits.resident_bytes",
    );
    assert_eq!(describe(&mut fixture.galleries, &model).await.blocks, 3);
    // What was accepted under a limit can be loaded under it.
    let fixture = fixture.restart().await;

    let Fixture { mut config, server, galleries, matching, dir: _dir } = fixture;
    drop((galleries, matching));
    server.shutdown().await.unwrap();
    config.limits.resident_bytes = two;
    let Err(refused) = tyto_server::Server::start(config).await else { panic!("it started") };
    let text = refused.to_string();
    assert!(text.contains(&two.to_string()) && text.contains("limits.resident_bytes"), "{text}");
}

#[tokio::test]
async fn a_ticket_without_room_is_refused_before_its_bytes_come() {
    use tokio_stream::StreamExt;
    let mut fixture = Fixture::start_with(|config| config.tickets.stored_bytes = 1 << 20).await;
    // One query of this layout has 1.3 MB.
    let mut model = Model::create(&mut fixture.galleries, 9, 128, 1).await;
    let pads = model.queries(Kind::Identify);
    let (_, messages) = model.ticket_messages(Kind::Identify, &pads);
    let header_alone = tokio_stream::iter(messages.into_iter().take(1)).chain(tokio_stream::pending());
    assert_refused(
        fixture.matching.upload_ticket(header_alone).await,
        Code::ResourceExhausted,
        "bytes of a gallery's tickets and answers",
    );
}

#[tokio::test]
async fn a_ticket_that_comes_too_slowly_gives_its_place_to_others() {
    use tokio_stream::StreamExt;
    let mut fixture = Fixture::start_with(|config| {
        config.limits.concurrent_ticket_uploads = 1;
        config.limits.idle_stream_s = 1;
    })
    .await;
    let mut model = Model::create(&mut fixture.galleries, 10, 8, 8).await;
    let pads = model.queries(Kind::Verify);
    let (_, messages) = model.ticket_messages(Kind::Verify, &pads);
    let slow = tokio_stream::iter(messages.into_iter().take(1)).chain(tokio_stream::pending());
    let mut client = fixture.matching.clone();
    let stalled = tokio::spawn(async move { client.upload_ticket(slow).await });
    model.ticket(&mut fixture.matching, Kind::Verify, &pads).await;
    let status = stalled.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

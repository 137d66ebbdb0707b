//! The life of galleries and of what is in them.

use crate::support::{Fixture, Model, describe, enrol, identify, remove, subject, upload};
use bytes::Bytes;
use tokio_stream::StreamExt;
use tonic::Code;
use tyto_api::gallery::{FetchRecords, GalleryInfo, Outcome, RecordPart, TemplateLocation};
use tyto_api::proto::gallery::v1 as proto;
use tyto_scheme::query::Kind;

#[tokio::test]
async fn a_gallery_lives_from_creation_to_deletion() {
    let mut fixture = Fixture::start().await;
    let client = &mut fixture.galleries;
    let model = Model::create(client, 1, 8, 8).await;
    let again = proto::CreateGalleryRequest::from(model.creation());
    client.create_gallery(again.clone()).await.expect("an identical repetition succeeds");
    let other = proto::CreateGalleryRequest { sealed_descriptor: Bytes::from_static(b"other"), ..again };
    assert_eq!(client.create_gallery(other).await.unwrap_err().code(), Code::AlreadyExists);

    let info = GalleryInfo::try_from(describe(client, &model).await).unwrap();
    assert_eq!(info.parameters, model.parameters);
    assert_eq!((info.manifest_version, info.blocks, info.templates, info.slots_total), (1, 0, 0, 0));
    assert_eq!(info.sealed_descriptor, model.descriptor);

    client.delete_gallery(proto::DeleteGalleryRequest { gallery_id: model.id() }).await.unwrap();
    let gone = client.describe_gallery(proto::DescribeGalleryRequest { gallery_id: model.id() }).await;
    assert_eq!(gone.unwrap_err().code(), Code::NotFound);
    let again = client.delete_gallery(proto::DeleteGalleryRequest { gallery_id: model.id() }).await;
    assert_eq!(again.unwrap_err().code(), Code::NotFound);
    let reused = client.create_gallery(proto::CreateGalleryRequest::from(model.creation())).await;
    assert_eq!(reused.unwrap_err().code(), Code::AlreadyExists, "an id is never used again");
}

#[tokio::test]
async fn galleries_are_listed_page_by_page_in_order() {
    let mut fixture = Fixture::start_with(|config| config.limits.galleries = 5).await;
    let client = &mut fixture.galleries;
    let mut ids = Vec::new();
    for seed in 0..5 {
        ids.push(Model::create(client, seed, 4, 4).await.id());
    }
    ids.sort();
    let mut found = Vec::new();
    let mut page_token = Bytes::new();
    loop {
        let request = proto::ListGalleriesRequest { page_size: 2, page_token };
        let page = client.list_galleries(request).await.unwrap().into_inner();
        assert!(page.galleries.len() <= 2);
        found.extend(page.galleries.into_iter().map(|info| info.parameters.unwrap().gallery_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ids);

    let mut creation = proto::CreateGalleryRequest::from(Model::create_only(9, 4, 4).creation());
    let refused = client.create_gallery(creation.clone()).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::ResourceExhausted, "there are 5 galleries, the limit")
    );
    client.delete_gallery(proto::DeleteGalleryRequest { gallery_id: ids[0].clone() }).await.unwrap();
    creation.sealed_descriptor = Bytes::from_static(b"room again");
    client.create_gallery(creation).await.unwrap();
}

#[tokio::test]
async fn an_upload_is_resumed_where_it_broke_off() {
    let mut fixture = Fixture::start().await;
    let client = &mut fixture.galleries;
    let mut model = Model::create(client, 2, 8, 1).await;
    let segment = model.new_segment(2);
    let status = proto::GetUploadRequest {
        gallery_id: model.id(),
        upload_id: Bytes::copy_from_slice(&segment.header.upload.0),
    };
    assert_eq!(client.get_upload(status.clone()).await.unwrap_err().code(), Code::NotFound);

    let mut broken = segment.messages(0, 60_000);
    broken.truncate(3);
    let refused = upload(client, broken).await.unwrap_err();
    assert_eq!(refused.message(), "stream: it ended without a commit");
    let held = client.get_upload(status.clone()).await.unwrap().into_inner();
    assert_eq!((held.received_bytes, held.committed), (120_000, false));

    let hole = upload(client, segment.messages(130_000, 60_000)).await.unwrap_err();
    assert_eq!(hole.code(), Code::FailedPrecondition);
    assert!(hole.message().contains("continues at byte 120000"), "{}", hole.message());
    let committed = Outcome::Committed { manifest_version: 2 };
    assert_eq!(upload(client, segment.messages(120_000, 60_000)).await.unwrap(), committed);
    assert!(client.get_upload(status).await.unwrap().into_inner().committed);
    let repeated = segment.messages(segment.bytes.len(), 1);
    assert_eq!(upload(client, repeated).await.unwrap(), committed, "a repeated commit is recognised");
    model.committed(segment);
    assert_eq!(describe(client, &model).await.slots_total, 2 * 2048);

    let queries = model.queries(Kind::Identify);
    let parts = identify(&mut fixture.matching, model.identification(model.whole(&queries))).await.unwrap();
    model.assert_identified(&parts, &queries[0]);
}

#[tokio::test]
async fn of_two_writers_the_second_is_told_of_the_conflict() {
    let mut fixture = Fixture::start().await;
    let client = &mut fixture.galleries;
    let mut model = Model::create(client, 3, 8, 8).await;
    model.provision(client, 1).await;
    let late = model.new_segment(1);
    let (first, second) = (model.enrolment(0, &[(1, subject(1))]), model.enrolment(0, &[(2, subject(2))]));
    let mut other = client.clone();
    let (a, b) = tokio::join!(enrol(client, first.clone()), enrol(&mut other, second.clone()));
    let outcomes = [a.unwrap(), b.unwrap()];
    let committed = Outcome::Committed { manifest_version: 3 };
    assert!(outcomes.contains(&committed), "{outcomes:?}");
    let conflict = outcomes.iter().any(|o| matches!(o, Outcome::Conflict { manifest_version: 2 | 3 }));
    assert!(conflict, "{outcomes:?}");
    assert_eq!(describe(client, &model).await.templates, 1);

    let winner = if outcomes[0] == committed { first } else { second };
    assert_eq!(enrol(client, winner.clone()).await.unwrap(), committed, "an identical repetition");
    assert_eq!(describe(client, &model).await.templates, 1);
    let conflict = Outcome::Conflict { manifest_version: 3 };
    assert_eq!(upload(client, late.messages(0, 1 << 20)).await.unwrap(), conflict);
    model.applied(winner);
    let mut stale_block = model.enrolment(0, &[(9, subject(3))]);
    stale_block.changes[0].base_version = 1;
    assert_eq!(enrol(client, stale_block).await.unwrap(), conflict);
}

#[tokio::test]
async fn what_is_enrolled_is_listed_fetched_removed_and_survives_a_restart() {
    let mut fixture = Fixture::start().await;
    let mut model = Model::create(&mut fixture.galleries, 4, 8, 4).await;
    model.provision(&mut fixture.galleries, 2).await;
    model.provision(&mut fixture.galleries, 1).await;
    let templates = [(0, subject(1)), (5, subject(2)), (511, subject(1))];
    model.enrol(&mut fixture.galleries, 1, &templates).await;
    model.enrol(&mut fixture.galleries, 2, &[(7, subject(1))]).await;
    let removal = model.removal(1, &[5]);
    let committed = Outcome::Committed { manifest_version: removal.manifest.version };
    assert_eq!(remove(&mut fixture.galleries, removal.clone()).await.unwrap(), committed);
    assert_eq!(remove(&mut fixture.galleries, removal.clone()).await.unwrap(), committed, "repeated");
    model.applied(removal);

    for restarted in [false, true] {
        if restarted {
            fixture = fixture.restart().await;
        }
        let client = &mut fixture.galleries;
        let info = describe(client, &model).await;
        assert_eq!((info.templates, info.slots_used, info.slots_total), (3, 4, 3 * 512));
        assert_eq!(info.manifest_version, model.manifest.version);
        assert_listed(client, &model).await;
        assert_fetched(client, &model).await;
        let queries = model.queries(Kind::Identify);
        let request = model.identification(model.whole(&queries));
        let parts = identify(&mut fixture.matching, request).await.unwrap();
        model.assert_identified(&parts, &queries[0]);
    }
    let burnt = model.enrolment(1, &[(5, subject(9))]);
    let refused = enrol(&mut fixture.galleries, burnt).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("slot 5"), "{}", refused.message());
}

async fn assert_listed(client: &mut crate::support::Galleries, model: &Model) {
    let mut found: Vec<TemplateLocation> = Vec::new();
    let mut page_token = Bytes::new();
    loop {
        let request = proto::ListTemplatesRequest { gallery_id: model.id(), page_size: 2, page_token };
        let page = client.list_templates(request).await.unwrap().into_inner();
        found
            .extend(page.templates.into_iter().map(|location| TemplateLocation::try_from(location).unwrap()));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let locations = |block: &crate::support::ModelBlock| {
        let id = block.id;
        let location =
            |(&slot, filled): (&u16, &(_, _, _))| TemplateLocation { subject: filled.0, block: id, slot };
        block.filled.iter().map(location).collect::<Vec<_>>()
    };
    assert_eq!(found, model.blocks.iter().flat_map(locations).collect::<Vec<_>>());
}

async fn assert_fetched(client: &mut crate::support::Galleries, model: &Model) {
    let all = fetch(client, model, 0, Vec::new()).await;
    assert_eq!(all.len(), 1 + model.blocks.len());
    for (part, block) in all[1..].iter().zip(&model.blocks) {
        let RecordPart::Block { record, first_entry, entries } = part else { panic!("{part:?}") };
        assert_eq!((record.block, record.version, &record.sealed), (block.id, block.version, &block.record));
        assert_eq!((*first_entry, entries), (0, &block.entries));
    }
    // The last mutation changed block 1 alone; two of its four entries are known.
    let changed = fetch(client, model, model.manifest.version - 1, vec![(model.blocks[1].id, 2)]).await;
    let manifest = RecordPart::Manifest {
        version: model.manifest.version,
        sealed: model.manifest.sealed.clone(),
        changed_blocks: 1,
    };
    assert_eq!(changed[0], manifest);
    let RecordPart::Block { record, first_entry, entries } = &changed[1] else { panic!("{changed:?}") };
    assert_eq!(record.block, model.blocks[1].id);
    assert_eq!((*first_entry, &entries[..]), (2, &model.blocks[1].entries[2..]));
    assert_eq!(fetch(client, model, model.manifest.version, Vec::new()).await.len(), 1);

    let block_id = Bytes::copy_from_slice(&model.blocks[1].id.0);
    let request = proto::FetchDeltasRequest { gallery_id: model.id(), block_id, slots: vec![511, 5, 0] };
    let deltas = client.fetch_deltas(request).await.unwrap().into_inner().deltas;
    let found: Vec<_> = deltas.into_iter().map(|delta| (delta.slot, delta.delta, delta.tag)).collect();
    let expected = [0, 511].map(|slot| {
        let (_, delta, tag) = &model.blocks[1].filled[&slot];
        (slot.into(), delta.to_bytes().into(), Bytes::copy_from_slice(tag))
    });
    assert_eq!(found, expected, "removed slots have no delta any more");
}

async fn fetch(
    client: &mut crate::support::Galleries,
    model: &Model,
    known_manifest_version: u64,
    known_entries: Vec<(tyto_scheme::BlockId, u32)>,
) -> Vec<RecordPart> {
    let request = FetchRecords { gallery: model.parameters.gallery, known_manifest_version, known_entries };
    let answers = client.fetch_records(proto::FetchRecordsRequest::from(request)).await.unwrap().into_inner();
    answers.map(|part| part.unwrap().try_into().unwrap()).collect().await
}

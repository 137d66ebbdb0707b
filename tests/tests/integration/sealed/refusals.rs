//! What somebody between can do to a sealed call: make it fail.

use super::between::{Alter, Plan, Records};
use super::{Way, rig};
use tonic::codegen::http::{HeaderMap, HeaderValue};
use tonic::{Code, Status};
use tyto_api::gallery::CreateGallery;
use tyto_api::proto::attest::v1::ListKeysRequest;
use tyto_api::proto::gallery::v1::{CreateGalleryRequest, ListGalleriesRequest};
use tyto_client::tenant::{Gallery, Metric, TenantKey};
use tyto_tests::rig::layout;

fn creation(name: &str) -> CreateGalleryRequest {
    let key = TenantKey::generate().unwrap();
    let (_, new) = Gallery::create(&key, name, layout(8, 8), Metric::Cosine).unwrap();
    let sealed_manifest = bytes::Bytes::copy_from_slice(&new.sealed_manifest);
    let sealed_descriptor = new.sealed_descriptor.into();
    CreateGallery { parameters: new.parameters, sealed_descriptor, sealed_manifest }.into()
}

fn altered(alter: impl Fn(Records) -> Records + Send + Sync + 'static) -> Alter {
    Box::new(alter)
}

/// What is done to the record at some place.
type AtPlace = fn(Records, usize) -> Records;

/// Every alteration of three records (head, message, end) by place.
fn alterations() -> Vec<(String, AtPlace, usize)> {
    let flip: AtPlace = |mut records, at| {
        let last = records[at].len() - 1;
        records[at][last] ^= 1;
        records
    };
    let drop: AtPlace = |mut records, at| {
        records.remove(at);
        records
    };
    let duplicate: AtPlace = |mut records, at| {
        records.insert(at, records[at].clone());
        records
    };
    let truncate: AtPlace = |mut records, at| {
        records.truncate(at);
        records
    };
    let swap: AtPlace = |mut records, at| {
        records.swap(at, (at + 1) % 3);
        records
    };
    let cut: AtPlace = |mut records, at| {
        records[at].pop();
        records
    };
    let kind: AtPlace = |mut records, at| {
        records[at][1] ^= 1;
        records
    };
    let all = [
        ("flipped", flip),
        ("dropped", drop),
        ("duplicated", duplicate),
        ("truncated", truncate),
        ("reordered", swap),
        ("cut", cut),
        ("of another kind", kind),
    ];
    all.into_iter()
        .flat_map(|(name, alter)| (0..3).map(move |at| (format!("record {at} {name}"), alter, at)))
        .collect()
}

/// Whatever is done to the records of a request: the call fails, and the service has done nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_request_is_not_served() {
    let rig = rig(|_| ()).await;
    let way = Way::to(&rig).await;
    for (what, alter, at) in alterations() {
        way.between
            .plan(Plan { request: Some(altered(move |records| alter(records, at))), ..Plan::default() });
        let result = way.gallery().create_gallery(creation(&what)).await;
        assert!(result.is_err(), "{what}");
    }
    way.between.plan(Plan::default());
    let list = way.gallery().list_galleries(ListGalleriesRequest::default()).await.unwrap();
    assert_eq!(list.into_inner().galleries.len(), 0, "nothing was created");
    way.gallery().create_gallery(creation("untouched")).await.unwrap();
    assert_eq!(way.between.last().0.len(), 3, "head, message and end are what was altered");
}

/// Whatever is done to the records of an answer: it is not believed.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_answer_is_not_believed() {
    let rig = rig(|_| ()).await;
    let way = Way::to(&rig).await;
    for (what, alter, at) in alterations() {
        way.between
            .plan(Plan { answer: Some(altered(move |records| alter(records, at))), ..Plan::default() });
        let result = way.attest().list_keys(ListKeysRequest::default()).await;
        assert!(result.is_err(), "{what}");
    }
    way.between.plan(Plan::default());
    way.attest().list_keys(ListKeysRequest::default()).await.unwrap();
    assert_eq!(way.between.last().1.len(), 3, "head, message and end are what was altered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_call_is_refused() {
    let rig = rig(|_| ()).await;
    let (way, other) = (Way::to(&rig).await, Way::to(&rig).await);
    for (from, what) in [(&way, "another RPC"), (&other, "another session")] {
        for at in 0..3 {
            from.gallery().create_gallery(creation(&format!("{what} {at}"))).await.unwrap();
            let (requests, answers) = from.between.last();
            let swapped = move |mut records: Records| {
                records[at] = requests[at].clone();
                records
            };
            way.between.plan(Plan { request: Some(altered(swapped)), ..Plan::default() });
            assert!(way.gallery().create_gallery(creation("x")).await.is_err(), "request {at} of {what}");
            let swapped = move |mut records: Records| {
                records[at] = answers[at].clone();
                records
            };
            way.between.plan(Plan { answer: Some(altered(swapped)), ..Plan::default() });
            let result = way.gallery().list_galleries(ListGalleriesRequest::default()).await;
            assert!(result.is_err(), "answer {at} of {what}");
            way.between.plan(Plan::default());
        }
    }
    let list = way.gallery().list_galleries(ListGalleriesRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.galleries.len(), 6, "those that were meant");
}

/// A whole call of an earlier time: its id was used.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_served_once() {
    let rig = rig(|_| ()).await;
    let way = Way::to(&rig).await;
    way.gallery().create_gallery(creation("first")).await.unwrap();
    let (requests, _) = way.between.last();
    way.between.plan(Plan { request: Some(altered(move |_| requests.clone())), ..Plan::default() });
    assert!(way.gallery().create_gallery(creation("second")).await.is_err(), "recorded and sent again");
    way.between.plan(Plan { twice: true, ..Plan::default() });
    assert!(
        way.gallery().create_gallery(creation("third")).await.is_err(),
        "sent twice: the second is refused"
    );
    way.between.plan(Plan::default());
    let list = way.gallery().list_galleries(ListGalleriesRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.galleries.len(), 2, "the first and the third, once each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_moved_to_another_method_is_refused() {
    let rig = rig(|_| ()).await;
    let way = Way::to(&rig).await;
    let method = Some("/tyto.gallery.v1.GalleryService/DeleteGallery");
    way.between.plan(Plan { method, ..Plan::default() });
    let status = way.gallery().create_gallery(creation("moved")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

/// The client's own records come back to it, with a beginning of the right form.
#[tokio::test(flavor = "multi_thread")]
async fn reflected_records_are_refused() {
    let rig = rig(|_| ()).await;
    let way = Way::to(&rig).await;
    way.attest().list_keys(ListKeysRequest::default()).await.unwrap();
    let between = way.between.clone();
    let reflect = move |answers: Records| {
        let (requests, _) = between.last();
        let mut first = answers[0][..18].to_vec();
        first.extend_from_slice(&requests[0][34..]);
        vec![first, requests[1].clone(), requests[2].clone()]
    };
    way.between.plan(Plan { answer: Some(altered(reflect)), ..Plan::default() });
    assert!(way.attest().list_keys(ListKeysRequest::default()).await.is_err());
}

/// The outer status says nothing: neither does a forged error make a call fail, nor a forged success a failed call good.
#[tokio::test(flavor = "multi_thread")]
async fn the_outer_status_is_nobodys_word() {
    let rig = rig(|_| ()).await;
    let way = Way::to(&rig).await;
    let mut forged = HeaderMap::new();
    forged.insert(Status::GRPC_STATUS, HeaderValue::from_static("7"));
    forged.insert(Status::GRPC_MESSAGE, HeaderValue::from_static("forged"));
    way.between.plan(Plan { trailers: Some(forged.clone()), ..Plan::default() });
    way.attest().list_keys(ListKeysRequest::default()).await.unwrap();
    // Without the records behind it, it is all there is, and still not believed.
    let gone = Some(altered(|_| Records::new()));
    way.between.plan(Plan { answer: gone, trailers: Some(forged), ..Plan::default() });
    let status = way.attest().list_keys(ListKeysRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!status.message().contains("forged"), "{status}");
}

/// A call cannot be stripped of its sealing, and an unsealed one is refused where sealing is required.
#[tokio::test(flavor = "multi_thread")]
async fn unsealed_calls_are_refused_where_sealing_is_required() {
    let rig = rig(|_| ()).await;
    let way = Way::to(&rig).await;
    way.between.plan(Plan { bare: true, ..Plan::default() });
    assert!(way.gallery().create_gallery(creation("bare")).await.is_err());
    let plain = tyto_tests::rig::connect(&rig.endpoint()).await;
    let refused = plain.galleries().await.unwrap_err();
    let is_precondition = matches!(&refused, tyto_client::Error::Rpc { code: Code::FailedPrecondition, .. });
    assert!(is_precondition, "{refused}");
    // Health needs no session.
    let mut health = tonic_health::pb::health_client::HealthClient::new(super::channel(&rig).await);
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    // Where sealing is allowed and not required, both go.
    let open = super::rig(|config| config.session.required = false).await;
    assert_eq!(tyto_tests::rig::connect(&open.endpoint()).await.galleries().await.unwrap().len(), 0);
    assert_eq!(super::client(&open).await.galleries().await.unwrap().len(), 0);
    // Bare records are no message of the service either.
    let way = Way::to(&open).await;
    way.between.plan(Plan { bare: true, ..Plan::default() });
    assert!(way.gallery().create_gallery(creation("bare")).await.is_err());
    way.between.plan(Plan::default());
    let list = way.gallery().list_galleries(ListGalleriesRequest::default()).await.unwrap().into_inner();
    assert!(list.galleries.is_empty());
}

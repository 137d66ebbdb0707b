//! Health, reflection, and what happens to calls when the server goes down.

use crate::support::{Fixture, Model, channel, describe, subject};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tyto_api::matching::IdentifyPart;
use tyto_api::proto::gallery::v1 as gallery;
use tyto_api::proto::matching::v1 as matching;
use tyto_scheme::query::Kind;
use tyto_server::{RunningServer, Server};

async fn services(server: &RunningServer) -> Result<ServerReflectionResponse, tonic::Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel(server).await);
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    Ok(answers.message().await?.expect("an answer"))
}

#[tokio::test]
async fn reflection_lists_the_services_unless_it_is_switched_off() {
    let on = Fixture::start().await;
    let Some(MessageResponse::ListServicesResponse(list)) =
        services(&on.server).await.unwrap().message_response
    else {
        panic!("no list of services")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in
        ["tyto.gallery.v1.GalleryService", "tyto.matching.v1.MatchingService", "grpc.health.v1.Health"]
    {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
    let off = Fixture::start_with(|config| config.reflection = false).await;
    assert_eq!(services(&off.server).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn health_says_that_the_server_goes_down() {
    let fixture = Fixture::start().await;
    let mut client = HealthClient::new(channel(&fixture.server).await);
    let request = HealthCheckRequest { service: "tyto.matching.v1.MatchingService".into() };
    let mut changes = client.watch(request).await.unwrap().into_inner();
    let serving = HealthCheckResponse { status: ServingStatus::Serving.into() };
    assert_eq!(changes.message().await.unwrap(), Some(serving));
    let Fixture { server, galleries, matching, .. } = fixture;
    drop((galleries, matching));
    let down = tokio::spawn(server.shutdown());
    let not_serving = HealthCheckResponse { status: ServingStatus::NotServing.into() };
    assert_eq!(changes.message().await.unwrap(), Some(not_serving));
    drop((changes, client));
    down.await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_in_flight_are_finished_before_the_server_stops() {
    let mut fixture = Fixture::start().await;
    let mut model = Model::create(&mut fixture.galleries, 1, 2, 1).await;
    // Some 2 MB of answer: more than can be under way before the reader goes on.
    model.provision(&mut fixture.galleries, 500).await;
    let queries = model.queries(Kind::Identify);
    let request = matching::IdentifyRequest::from(model.identification(model.whole(&queries)));
    let mut answers = fixture.matching.identify(request).await.unwrap().into_inner();
    let mut parts: Vec<IdentifyPart> = vec![answers.message().await.unwrap().unwrap().try_into().unwrap()];

    let segment = model.new_segment(3);
    let (chunks, waiting) = mpsc::channel(1);
    let mut galleries = fixture.galleries.clone();
    let upload = tokio::spawn(async move { galleries.provision(ReceiverStream::new(waiting)).await });
    let mut messages = segment.messages(0, 20_000).into_iter();
    chunks.send(messages.next().unwrap()).await.unwrap();
    chunks.send(messages.next().unwrap()).await.unwrap();
    wait_for_upload(&mut fixture, &model, &segment).await;

    let Fixture { server, galleries, matching, dir, config } = fixture;
    let down = tokio::spawn(server.shutdown());
    drop((galleries, matching));
    for message in messages {
        chunks.send(message).await.unwrap();
    }
    upload.await.unwrap().expect("an upload that had begun is committed");
    while let Some(part) = answers.next().await {
        parts.push(part.unwrap().try_into().unwrap());
    }
    model.assert_identified(&parts, &queries[0]);
    drop(answers);
    down.await.unwrap().unwrap();

    model.committed(segment);
    let server = Server::start(config.clone()).await.unwrap();
    let mut galleries = crate::support::Galleries::new(channel(&server).await);
    assert_eq!(describe(&mut galleries, &model).await.blocks, 503);
    drop(dir);
}

/// Waits until the server has begun to take the upload.
async fn wait_for_upload(fixture: &mut Fixture, model: &Model, segment: &crate::support::NewSegment) {
    let upload_id = bytes::Bytes::copy_from_slice(&segment.header.upload.0);
    let request = gallery::GetUploadRequest { gallery_id: model.id(), upload_id };
    loop {
        match fixture.galleries.get_upload(request.clone()).await {
            Ok(status) if status.get_ref().received_bytes > 0 => return,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test]
async fn an_open_enrolment_stream_does_not_hold_the_shutdown_up() {
    let mut fixture = Fixture::start().await;
    let mut model = Model::create(&mut fixture.galleries, 2, 8, 8).await;
    model.provision(&mut fixture.galleries, 1).await;
    let (requests, waiting) = mpsc::channel(1);
    let mutation = model.enrolment(0, &[(1, subject(1))]);
    requests.send(gallery::EnrolRequest::from(mutation)).await.unwrap();
    let mut answers = fixture.galleries.enrol(ReceiverStream::new(waiting)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let Fixture { server, galleries, matching, .. } = fixture;
    drop((galleries, matching));
    let down = tokio::spawn(server.shutdown());
    assert_eq!(answers.message().await.unwrap_err().code(), Code::Unavailable);
    drop((answers, requests));
    down.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_not_finished_at_the_deadline_is_cut_off_and_the_data_is_free() {
    let mut fixture = Fixture::start_with(|config| config.drain_deadline_s = 1).await;
    let mut model = Model::create(&mut fixture.galleries, 3, 8, 8).await;
    let segment = model.new_segment(1);
    let (chunks, waiting) = mpsc::channel(4);
    let mut galleries = fixture.galleries.clone();
    let upload = tokio::spawn(async move { galleries.provision(ReceiverStream::new(waiting)).await });
    for message in segment.messages(0, 1000).into_iter().take(2) {
        chunks.send(message).await.unwrap();
    }
    wait_for_upload(&mut fixture, &model, &segment).await;
    let Fixture { server, config, dir, galleries, matching } = fixture;
    let begun = Instant::now();
    server.shutdown().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "the call had its time");
    assert!(upload.await.unwrap().is_err());
    drop((galleries, matching));
    Server::start(config).await.expect("the data directory is free");
    drop(dir);
}

//! Rights that end, wrong credentials, and a server that requires none.

use super::cast::{Cast, OTHER, OWN, Part, grant, now_ms, stored_key};
use crate::support::{Fixture, Model};
use std::process::Command;
use tonic::Code;
use tyto_access::{ApiKey, Records, Role};
use tyto_api::proto::gallery::v1 as gallery;

const LIST: &str = "tyto.gallery.v1.GalleryService/ListGalleries";
const DAY_MS: u64 = 24 * 3600 * 1000;

async fn list(cast: &Cast, bearer: &str) -> Code {
    cast.call(LIST, bytes::Bytes::new(), Some(bearer)).await.code()
}

#[tokio::test]
async fn credentials_that_are_wrong_are_told_apart_only_if_they_prove_something() {
    let cast = Cast::start().await;
    let right = cast.bearer(OWN, Part::Holder(Role::Auditor));
    assert_eq!(list(&cast, &right).await, Code::Ok);
    let typo = format!("{}{}", &right[..right.len() - 1], if right.ends_with('0') { '1' } else { '0' });
    let told = async |bearer: &str| {
        let status = cast.call(LIST, bytes::Bytes::new(), Some(bearer)).await;
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        status.message().to_owned()
    };
    assert!(told(&typo).await.contains("typing error"));
    assert!(told("Bearer tyto_1234").await.contains("no API key"));
    assert!(told("Basic dXNlcjpwYXNz").await.contains("no known form"));
    let stranger = ApiKey::generate().unwrap();
    // A key that nobody has and one with the id of another say the same.
    let unknown = told(&format!("Bearer {}", *stranger.to_text())).await;
    assert!(unknown.contains("no such credential"), "{unknown}");
    // Health asks nobody, whatever they bring.
    let health = cast.call("grpc.health.v1.Health/Check", bytes::Bytes::new(), Some("Bearer wrong")).await;
    assert_eq!(health.code(), Code::Ok);
    let flood = cast.call("grpc.health.v1.Health/Check", vec![0; 5000].into(), None).await;
    assert_eq!(flood.code(), Code::OutOfRange, "who has proved nothing sends little");
    let unheard = cast.call("tyto.gallery.v1.GalleryService/Unheard", bytes::Bytes::new(), None).await;
    assert_eq!(unheard.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn keys_that_are_too_old_unused_expired_or_revoked_are_refused() {
    let cast = Cast::start().await;
    let principal = cast.member(OWN, Part::Holder(Role::Auditor)).principal;
    let now = now_ms();
    let make = |age_days: u64, used_days_ago: u64| {
        let key = ApiKey::generate().unwrap();
        let mut stored = stored_key(&key, principal, now - age_days * DAY_MS);
        stored.last_used_ms = now - used_days_ago * DAY_MS;
        (key, stored)
    };
    let (mut expired, mut revoked) = (make(1, 0), make(1, 0));
    expired.1.expires_ms = Some(now - 1);
    revoked.1.revoked_ms = Some(now - 1);
    let keys = [make(89, 29), make(91, 1), make(60, 31), expired, revoked];
    let stored = keys.iter().map(|(_, stored)| stored.clone()).collect();
    let records = Records { keys: stored, ..Records::default() };
    let cast = cast.restart_after(async |store| store.add_access(&records).await.unwrap()).await;
    let expected =
        [None, Some("older than 90 days"), Some("not used for 30 days"), Some("expired"), Some("revoked")];
    for ((key, _), expected) in keys.iter().zip(expected) {
        let status = cast.call(LIST, bytes::Bytes::new(), Some(&format!("Bearer {}", *key.to_text()))).await;
        match expected {
            None => assert_eq!(status.code(), Code::Ok, "{status}"),
            Some(reason) => {
                assert_eq!(status.code(), Code::Unauthenticated);
                assert!(status.message().contains(reason), "{status}");
            }
        }
    }
    // The use of the first one is kept across a restart.
    let id = keys[0].0.id();
    let check = async |store: &tyto_store::Store| {
        let records = store.access_records().await.unwrap();
        let used = records.keys.iter().find(|key| key.id == id).unwrap().last_used_ms;
        assert!(used >= now, "{used}");
    };
    cast.restart_after(check).await;
}

#[tokio::test]
async fn a_grant_ends_at_its_time_while_its_holder_goes_on_calling() {
    let cast = Cast::start().await;
    let holder = cast.member(OWN, Part::Nothing).principal;
    let mut ending = grant(holder, Role::Auditor, None);
    let ends_ms = now_ms() + 2500;
    ending.expires_ms = Some(ends_ms);
    let records = Records { grants: vec![ending], ..Records::default() };
    let cast = cast.restart_after(async |store| store.add_access(&records).await.unwrap()).await;
    let bearer = cast.bearer(OWN, Part::Nothing);
    let before = list(&cast, &bearer).await;
    // A machine that needs longer than that to start a server has seen no more than the end.
    assert!(before == Code::Ok || now_ms() >= ends_ms, "{before:?}");
    while now_ms() < ends_ms {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(list(&cast, &bearer).await, Code::PermissionDenied);
}

#[tokio::test]
async fn no_secret_stands_in_logs_metrics_or_what_is_stored() {
    let cast = Cast::start().await;
    let bearer = cast.bearer(OWN, Part::Holder(Role::Auditor));
    assert_eq!(list(&cast, &bearer).await, Code::Ok);
    let secret = &bearer["Bearer tyto_0123456789abcdef_".len()..][..64];
    let shown = format!("{:?} {:?}", cast.config, cast.member(OWN, Part::Holder(Role::Auditor)).key);
    assert!(!shown.contains(secret));
    let data = cast.config.data_dir.clone();
    let Cast { server, dir, .. } = cast;
    server.shutdown().await.unwrap();
    let raw: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&secret[at..at + 2], 16).unwrap()).collect();
    let mut searched = 0;
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let content = std::fs::read(&path).unwrap();
            assert!(!content.windows(64).any(|window| window == secret.as_bytes()), "{}", path.display());
            assert!(!content.windows(32).any(|window| window == raw), "{}", path.display());
            searched += content.len();
        }
    }
    assert!(searched > 10_000, "the database was searched");
    drop(dir);
}

#[tokio::test]
async fn without_required_credentials_the_built_in_tenant_is_served_and_wrong_ones_are_still_refused() {
    let fixture = Fixture::start().await;
    let mut galleries = fixture.galleries.clone();
    let model = Model::create(&mut galleries, 5, 8, 8).await;
    let mut request = tonic::Request::new(gallery::DescribeGalleryRequest { gallery_id: model.id() });
    let stranger = ApiKey::generate().unwrap();
    let bearer = format!("Bearer {}", *stranger.to_text()).parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let refused = galleries.describe_gallery(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    // A proxy calls from here too, but not for somebody from here.
    for (header, value) in
        [("x-forwarded-for", "10.0.0.1"), ("via", "2.0 edge"), ("forwarded", "for=10.0.0.1")]
    {
        let mut request = tonic::Request::new(gallery::DescribeGalleryRequest { gallery_id: model.id() });
        request.metadata_mut().insert(header, value.parse().unwrap());
        let refused = galleries.describe_gallery(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{header}");
    }
    let named = tonic::transport::Endpoint::from_shared(format!("http://{}", fixture.server.local_addr()));
    let named = named.unwrap().origin("http://templates.example".parse().unwrap()).connect().await.unwrap();
    let request = gallery::DescribeGalleryRequest { gallery_id: model.id() };
    let refused = crate::support::Galleries::new(named).describe_gallery(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "addressed to another name");
    // What would outlast a caller without a credential needs one.
    let mut admins = tyto_api::proto::admin::v1::admin_service_client::AdminServiceClient::new(
        crate::support::channel(&fixture.server).await,
    );
    let request = tyto_api::proto::admin::v1::CreatePrincipalRequest { name: "eve".into() };
    assert_eq!(admins.create_principal(request).await.unwrap_err().code(), Code::Unauthenticated);
    drop(admins);
    // What was created without a credential is the built-in tenant's.
    let fixture = fixture.restart().await;
    let mut galleries = fixture.galleries.clone();
    let request = gallery::DescribeGalleryRequest { gallery_id: model.id() };
    galleries.describe_gallery(request).await.unwrap();
}

#[tokio::test]
async fn an_operator_key_is_made_while_no_server_runs_and_opens_one_that_requires_it() {
    let cast = Cast::start().await;
    let make = |dir: &std::path::Path| {
        let command = Command::new(env!("CARGO_BIN_EXE_tytod"))
            .args(["operator-key", "--name", "root", "--data-dir"])
            .arg(dir)
            .output();
        command.unwrap()
    };
    let refused = make(&cast.config.data_dir);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("in use"));
    let mut printed = Vec::new();
    let cast = cast.restart_after(async |_| ()).await;
    let Cast { config, server, channel, members, dir } = cast;
    drop(channel);
    server.shutdown().await.unwrap();
    for _ in 0..2 {
        let made = make(&config.data_dir);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        printed.push(String::from_utf8(made.stdout).unwrap().trim().to_owned());
    }
    assert_ne!(printed[0], printed[1]);
    let server = tyto_server::Server::start(config.clone()).await.unwrap();
    let channel = crate::support::channel(&server).await;
    let cast = Cast { config, server, channel, members, dir };
    let keys = "tyto.attest.v1.AttestService/ListKeys";
    for key in &printed {
        let bearer = format!("Bearer {key}");
        assert_eq!(cast.call(keys, bytes::Bytes::new(), Some(&bearer)).await.code(), Code::Ok);
        assert_eq!(list(&cast, &bearer).await, Code::PermissionDenied, "it has no right in any tenant");
    }
    assert_eq!(list(&cast, &cast.bearer(OTHER, Part::Holder(Role::Admin))).await, Code::Ok);
}

#[tokio::test]
async fn a_server_that_asks_nobody_does_not_start_on_an_address_that_others_reach() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = tyto_server::Config::local(dir.path().join("data"));
    config.listen = "0.0.0.0:0".parse().unwrap();
    let refused = tyto_server::Server::start(config.clone()).await.err().unwrap();
    assert!(matches!(refused, tyto_server::Error::Exposed { .. }), "{refused}");
    assert!(!config.data_dir.exists(), "refused before anything is made");
    config.access.required = true;
    tyto_server::Server::start(config).await.unwrap().shutdown().await.unwrap();
}

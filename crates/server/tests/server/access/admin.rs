//! Changes of who may do what, while the server runs.

use super::cast::{Admins, Cast, OTHER, OWN, Part, now_ms};
use crate::support::Model;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tyto_access::Role;
use tyto_api::proto::{admin::v1 as proto, gallery::v1 as gallery};

const LIST: &str = "tyto.gallery.v1.GalleryService/ListGalleries";

fn bearer(key: &proto::IssuedKey) -> String {
    format!("Bearer {}", key.text)
}

async fn list(cast: &Cast, bearer: &str) -> Code {
    cast.call(LIST, Bytes::new(), Some(bearer)).await.code()
}

/// A principal with a key, and no right.
async fn newcomer(admins: &mut Admins, name: &str) -> (Bytes, proto::IssuedKey) {
    let request = proto::CreatePrincipalRequest { name: name.into() };
    let principal = admins.create_principal(request).await.unwrap().into_inner().principal.unwrap();
    let principal_id = principal.principal_id;
    let request = proto::CreateApiKeyRequest { principal_id: principal_id.clone(), expires_unix_ms: 0 };
    (principal_id, admins.create_api_key(request).await.unwrap().into_inner().key.unwrap())
}

async fn grant(admins: &mut Admins, principal_id: &Bytes, role: proto::Role) -> proto::Grant {
    let request = proto::AddGrantRequest {
        principal_id: principal_id.clone(),
        role: role.into(),
        gallery_id: Bytes::new(),
        expires_unix_ms: 0,
    };
    admins.add_grant(request).await.unwrap().into_inner().grant.unwrap()
}

#[tokio::test]
async fn an_operator_makes_a_tenant_whose_admin_makes_the_rest_and_each_change_holds_at_once() {
    let cast = Cast::start().await;
    let mut operator = cast.admins(&cast.bearer(OWN, Part::Operator));
    let request = proto::CreateTenantRequest { name: "acme".into(), admin_name: "ada".into() };
    let made = operator.create_tenant(request.clone()).await.unwrap().into_inner();
    let again = operator.create_tenant(request).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists, "{again}");
    let ada_key = made.key.unwrap();
    let admin_key = ada_key.key.as_ref().unwrap().key_id.clone();
    let mut ada = cast.admins(&bearer(&ada_key));
    let (principal, key) = newcomer(&mut ada, "bob").await;
    assert_eq!(list(&cast, &bearer(&key)).await, Code::PermissionDenied);
    let granted = grant(&mut ada, &principal, proto::Role::Auditor).await;
    assert_eq!(list(&cast, &bearer(&key)).await, Code::Ok);
    ada.revoke_grant(proto::RevokeGrantRequest { grant_id: granted.grant_id }).await.unwrap();
    assert_eq!(list(&cast, &bearer(&key)).await, Code::PermissionDenied);
    grant(&mut ada, &principal, proto::Role::Auditor).await;

    let disabled = |disabled| proto::SetPrincipalStateRequest { principal_id: principal.clone(), disabled };
    ada.set_principal_state(disabled(true)).await.unwrap();
    assert_eq!(list(&cast, &bearer(&key)).await, Code::Unauthenticated);
    ada.set_principal_state(disabled(false)).await.unwrap();
    assert_eq!(list(&cast, &bearer(&key)).await, Code::Ok);

    // A new key beside the old one, until that is revoked.
    let key_id = key.key.as_ref().unwrap().key_id.clone();
    let rotate = proto::RotateApiKeyRequest { key_id: key_id.clone(), overlap_s: 3600, expires_unix_ms: 0 };
    let newer = ada.rotate_api_key(rotate).await.unwrap().into_inner().key.unwrap();
    assert_eq!((list(&cast, &bearer(&key)).await, list(&cast, &bearer(&newer)).await), (Code::Ok, Code::Ok));
    ada.revoke_api_key(proto::RevokeApiKeyRequest { key_id }).await.unwrap();
    assert_eq!(list(&cast, &bearer(&key)).await, Code::Unauthenticated);
    assert_eq!(list(&cast, &bearer(&newer)).await, Code::Unauthenticated, "what came of it has ended too");
    let create = proto::CreateApiKeyRequest { principal_id: principal.clone(), expires_unix_ms: 0 };
    let fresh = ada.create_api_key(create).await.unwrap().into_inner().key.unwrap();
    let mut own = cast.admins(&bearer(&fresh));
    let overlapping = own.rotate_own_key(proto::RotateOwnKeyRequest { overlap_s: 60 }).await.unwrap();
    let newer = overlapping.into_inner().key.unwrap();
    let twice = own.rotate_own_key(proto::RotateOwnKeyRequest { overlap_s: 60 }).await.unwrap_err();
    assert_eq!(twice.code(), Code::FailedPrecondition, "{twice}");
    let mut own = cast.admins(&bearer(&newer));
    let replaced = own.rotate_own_key(proto::RotateOwnKeyRequest { overlap_s: 0 }).await.unwrap();
    let newest = replaced.into_inner().key.unwrap();
    assert_eq!(list(&cast, &bearer(&newer)).await, Code::Unauthenticated, "replaced without an overlap");
    assert_eq!(list(&cast, &bearer(&newest)).await, Code::Ok);

    let tenant_id = made.tenant.unwrap().tenant_id;
    let disabled = |disabled| proto::SetTenantStateRequest { tenant_id: tenant_id.clone(), disabled };
    operator.set_tenant_state(disabled(true)).await.unwrap();
    assert_eq!(list(&cast, &bearer(&newest)).await, Code::Unauthenticated);
    assert_eq!(list(&cast, &cast.bearer(OWN, Part::Holder(Role::Auditor))).await, Code::Ok);
    operator.set_tenant_state(disabled(false)).await.unwrap();
    assert_eq!(list(&cast, &bearer(&newest)).await, Code::Ok);

    // A tenant that can help itself is not helped; one that has lost its keys is.
    let rescue = proto::AddTenantAdminRequest { tenant_id: tenant_id.clone(), name: "eve".into() };
    let refused = operator.add_tenant_admin(rescue.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    ada.revoke_api_key(proto::RevokeApiKeyRequest { key_id: admin_key }).await.unwrap();
    let eve = operator.add_tenant_admin(rescue).await.unwrap().into_inner().key.unwrap();
    assert_eq!(list(&cast, &bearer(&eve)).await, Code::Ok);
}

#[tokio::test]
async fn admins_reach_nobody_of_another_tenant_and_no_operator() {
    let cast = Cast::start().await;
    let mut admins = cast.admins(&cast.bearer(OWN, Part::Holder(Role::Admin)));
    let theirs = cast.member(OTHER, Part::Holder(Role::Matcher));
    let operator = cast.member(OWN, Part::Operator);
    for target in [theirs, operator] {
        let principal_id = Bytes::copy_from_slice(&target.principal.0);
        let key_id = Bytes::copy_from_slice(&target.key.id().0);
        let create = proto::CreateApiKeyRequest { principal_id: principal_id.clone(), expires_unix_ms: 0 };
        let rotate = proto::RotateApiKeyRequest { key_id: key_id.clone(), overlap_s: 0, expires_unix_ms: 0 };
        let grant = proto::AddGrantRequest {
            principal_id: principal_id.clone(),
            role: proto::Role::Admin.into(),
            gallery_id: Bytes::new(),
            expires_unix_ms: 0,
        };
        let state = proto::SetPrincipalStateRequest { principal_id, disabled: true };
        let codes = [
            admins.create_api_key(create).await.unwrap_err().code(),
            admins.rotate_api_key(rotate).await.unwrap_err().code(),
            admins.revoke_api_key(proto::RevokeApiKeyRequest { key_id }).await.unwrap_err().code(),
            admins.add_grant(grant).await.unwrap_err().code(),
            admins.set_principal_state(state).await.unwrap_err().code(),
        ];
        assert_eq!(codes, [Code::NotFound; 5]);
    }
    let mut answer = admins.review(proto::ReviewRequest {}).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(part) = answer.message().await.unwrap() {
        seen.extend(part.principals);
    }
    assert_eq!(seen.len(), Part::ALL.len() - 1, "the own tenant's, without the operator");
    assert!(seen.iter().all(|principal| principal.tenant_id == OWN.0[..] && !principal.operator));
}

#[tokio::test]
async fn the_built_in_tenants_admins_make_no_operator_keys() {
    let cast = Cast::start().await;
    let mut operator = cast.admins(&cast.bearer(OWN, Part::Operator));
    let tenant_id = Bytes::copy_from_slice(&tyto_access::TenantId::BUILT_IN.0);
    let request = proto::AddTenantAdminRequest { tenant_id, name: "eve".into() };
    let key = operator.add_tenant_admin(request).await.unwrap().into_inner().key.unwrap();
    let principal_id = Bytes::copy_from_slice(&cast.member(OWN, Part::Operator).principal.0);
    let request = proto::CreateApiKeyRequest { principal_id, expires_unix_ms: 0 };
    let refused = cast.admins(&bearer(&key)).create_api_key(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused}");
}

#[tokio::test]
async fn a_revocation_reaches_a_stream_that_is_open() {
    let cast = Cast::start().await;
    let mut galleries = cast.galleries(OWN, Part::Holder(Role::Admin));
    let mut model = Model::create_only(3, 8, 8);
    galleries.create_gallery(gallery::CreateGalleryRequest::from(model.creation())).await.unwrap();
    let mut admins = cast.admins(&cast.bearer(OWN, Part::Holder(Role::Admin)));
    let (principal, key) = newcomer(&mut admins, "door").await;
    let granted = grant(&mut admins, &principal, proto::Role::Enroller).await;
    let mut enroller = cast.galleries_as(&bearer(&key));
    let segment = model.new_segment(1);
    enroller.provision(tokio_stream::iter(segment.messages(0, 1 << 20))).await.unwrap();
    model.committed(segment);

    let (sender, requests) = mpsc::channel(1);
    let first = model.enrolment(0, &[(0, crate::support::subject(1))]);
    sender.send(gallery::EnrolRequest::from(first.clone())).await.unwrap();
    let mut answers = enroller.enrol(ReceiverStream::new(requests)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some(), "the first one is committed");
    model.applied(first);
    admins.revoke_grant(proto::RevokeGrantRequest { grant_id: granted.grant_id }).await.unwrap();
    let second = model.enrolment(0, &[(1, crate::support::subject(2))]);
    sender.send(gallery::EnrolRequest::from(second)).await.unwrap();
    let denied = answers.message().await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied, "{denied}");
}

#[tokio::test]
async fn what_would_end_before_it_begins_or_is_of_no_known_form_is_refused_by_name() {
    let cast = Cast::start().await;
    let mut admins = cast.admins(&cast.bearer(OWN, Part::Holder(Role::Admin)));
    let principal_id = Bytes::copy_from_slice(&cast.member(OWN, Part::Nothing).principal.0);
    let create =
        |expires_unix_ms| proto::CreateApiKeyRequest { principal_id: principal_id.clone(), expires_unix_ms };
    let past = admins.create_api_key(create(now_ms() - 1)).await.unwrap_err();
    assert_eq!((past.code(), past.message()), (Code::InvalidArgument, "expires_unix_ms lies in the past"));
    let grant = |role, gallery_id: &[u8]| proto::AddGrantRequest {
        principal_id: principal_id.clone(),
        role,
        gallery_id: Bytes::copy_from_slice(gallery_id),
        expires_unix_ms: 0,
    };
    for (request, code, field) in [
        (grant(0, &[]), Code::InvalidArgument, "role"),
        (grant(99, &[]), Code::InvalidArgument, "role"),
        (grant(2, &[1; 3]), Code::InvalidArgument, "gallery_id"),
        (grant(2, &[1; 16]), Code::NotFound, "gallery"),
    ] {
        let refused = admins.add_grant(request).await.unwrap_err();
        assert!(refused.code() == code && refused.message().contains(field), "{refused}");
    }
    for name in ["", "a\nb", &"x".repeat(129)] {
        let request = proto::CreatePrincipalRequest { name: name.into() };
        assert_eq!(admins.create_principal(request).await.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn what_is_said_of_a_gallery_names_whose_it_is() {
    let cast = Cast::start().await;
    let model = Model::create_only(9, 8, 8);
    let mut named = Vec::new();
    for tenant in [OWN, OTHER] {
        let request = gallery::CreateGalleryRequest::from(model.creation());
        let answer = cast.galleries(tenant, Part::Holder(Role::Admin)).create_gallery(request).await.unwrap();
        let statement =
            tyto_attest::Statement::decode(&answer.into_inner().logged.unwrap().statement).unwrap();
        let principal = cast.member(tenant, Part::Holder(Role::Admin)).principal;
        assert_eq!(statement.principal, Some(format!("{tenant}/{principal}")));
        named.push(statement.principal);
    }
    assert_ne!(named[0], named[1], "two galleries of one id");
}

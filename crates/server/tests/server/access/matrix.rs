//! Every method x every role x own and other tenant, against the table in the documentation.

use super::cast::{Cast, OTHER, OWN, Part};
use crate::support::Model;
use bytes::Bytes;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use tonic::Code;
use tyto_access::Role;
use tyto_api::gallery::{BlockChange, Chunk, ManifestUpdate, Mutation, ProvisionHeader, SlotWrite};
use tyto_api::matching::{Probe, TicketHeader, TicketPart, TicketUse};
use tyto_api::proto::{FILE_DESCRIPTOR_SET, admin, attest, gallery, matching};
use tyto_scheme::{BlockId, Pseudonym, TicketId, UploadId};

/// Who may call a method, as the documentation has it.
#[derive(Debug)]
struct Row {
    about: String,
    /// Anybody, each role, operators.
    yes: Vec<bool>,
}

impl Row {
    fn open(&self) -> bool {
        self.yes[0]
    }

    fn allows(&self, part: Part) -> bool {
        self.open()
            || match part {
                Part::Nothing => false,
                Part::Holder(role) => {
                    self.yes[1 + Role::ALL.iter().position(|&other| other == role).unwrap()]
                }
                Part::Operator => self.yes[5],
            }
    }
}

fn documented() -> BTreeMap<String, Row> {
    let page = include_str!("../../../../../docs/access.md");
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let rows =
        page.lines().filter(|line| line.starts_with("| `")).map(cells).filter(|cells| cells.len() == 8);
    rows.map(|cells| {
        let yes = cells[2..].iter().map(|cell| cell == "yes").collect();
        (cells[0].clone(), Row { about: cells[1].clone(), yes })
    })
    .collect()
}

/// The methods of the compiled interface.
fn methods() -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for set in [FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET] {
        for file in prost_types::FileDescriptorSet::decode(set).unwrap().file {
            for service in &file.service {
                let name = |method: &prost_types::MethodDescriptorProto| {
                    format!("{}.{}/{}", file.package(), service.name(), method.name())
                };
                methods.extend(service.method.iter().map(name));
            }
        }
    }
    // Its descriptor is not exported.
    methods.insert("grpc.reflection.v1.ServerReflection/ServerReflectionInfo".into());
    methods
}

fn bytes(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

fn mutation(model: &Model) -> Mutation {
    let sealed = |fill| Bytes::from(vec![fill; 60]);
    let change = BlockChange {
        block: BlockId([2; 16]),
        base_version: 1,
        writes: Vec::new(),
        removals: vec![3],
        first_entry: 0,
        entries: vec![sealed(4)],
        sealed_record: sealed(5),
    };
    let manifest = ManifestUpdate { version: 2, sealed: sealed(6) };
    Mutation { gallery: model.parameters.gallery, changes: vec![change], manifest }
}

fn enrolment(model: &Model) -> Mutation {
    let mut mutation = mutation(model);
    let write = SlotWrite { slot: 3, subject: Pseudonym([1; 16]), delta: vec![0; 16].into(), tag: [1; 16] };
    mutation.changes[0].removals = Vec::new();
    mutation.changes[0].writes = vec![write];
    mutation
}

fn probe() -> Probe {
    Probe::Ticket(TicketUse { ticket: TicketId([9; 16]), deltas: vec![0; 32].into(), tag: [1; 16] })
}

/// A request that is right but for what it is about. A method that is not here fails the test.
fn request(method: &str, model: &Model) -> Bytes {
    let gallery_id = model.id();
    let id = model.parameters.gallery;
    match method.rsplit_once('.').unwrap().1 {
        "Health/Check"
        | "Health/Watch"
        | "ServerReflection/ServerReflectionInfo"
        | "SessionService/Handshake" => Bytes::new(),
        "AdminService/CreateTenant" => {
            bytes(&admin::v1::CreateTenantRequest { name: id.to_string(), admin_name: "ada".into() })
        }
        "AdminService/ListTenants" => bytes(&admin::v1::ListTenantsRequest {}),
        "AdminService/SetTenantState" => {
            bytes(&admin::v1::SetTenantStateRequest { tenant_id: gallery_id, disabled: false })
        }
        "AdminService/AddTenantAdmin" => {
            bytes(&admin::v1::AddTenantAdminRequest { tenant_id: gallery_id, name: "eve".into() })
        }
        "AdminService/BindSubject" | "AdminService/UnbindSubject" => {
            let identity = Some(admin::v1::subject::Identity::Certificate(id.to_string()));
            let subject = admin::v1::Subject { identity, principal_id: gallery_id, created_unix_ms: 0 };
            bytes(&admin::v1::BindSubjectRequest { subject: Some(subject) })
        }
        "AdminService/CreatePrincipal" => bytes(&admin::v1::CreatePrincipalRequest { name: id.to_string() }),
        "AdminService/SetPrincipalState" => {
            bytes(&admin::v1::SetPrincipalStateRequest { principal_id: gallery_id, disabled: true })
        }
        "AdminService/CreateApiKey" => {
            bytes(&admin::v1::CreateApiKeyRequest { principal_id: gallery_id, expires_unix_ms: 0 })
        }
        "AdminService/RotateApiKey" => bytes(&admin::v1::RotateApiKeyRequest {
            key_id: vec![1; 8].into(),
            overlap_s: 0,
            expires_unix_ms: 0,
        }),
        // The test goes on with the old one.
        "AdminService/RotateOwnKey" => bytes(&admin::v1::RotateOwnKeyRequest { overlap_s: 3600 }),
        "AdminService/RevokeApiKey" => bytes(&admin::v1::RevokeApiKeyRequest { key_id: vec![1; 8].into() }),
        "AdminService/AddGrant" => bytes(&admin::v1::AddGrantRequest {
            principal_id: gallery_id,
            role: admin::v1::Role::Matcher.into(),
            gallery_id: Bytes::new(),
            expires_unix_ms: 0,
        }),
        "AdminService/RevokeGrant" => bytes(&admin::v1::RevokeGrantRequest { grant_id: gallery_id }),
        "AdminService/Review" => bytes(&admin::v1::ReviewRequest {}),
        "AttestService/Attest" => bytes(&attest::v1::AttestRequest {
            mode: attest::v1::AttestMode::Immediate.into(),
            audience: String::new(),
            nonce: vec![1; 32].into(),
            documents: vec![attest::v1::Document {
                algorithm: "sha3-256".into(),
                digest: vec![1; 32].into(),
                label: String::new(),
            }],
        }),
        "AttestService/GetCheckpoint" => bytes(&attest::v1::GetCheckpointRequest {}),
        "AttestService/GetReceipt" => {
            bytes(&attest::v1::GetReceiptRequest { leaf_hash: vec![1; 32].into(), wait_ms: 0 })
        }
        "AttestService/GetConsistencyProof" => {
            bytes(&attest::v1::GetConsistencyProofRequest { old_size: 1, ..Default::default() })
        }
        "AttestService/ListKeys" => bytes(&attest::v1::ListKeysRequest {}),
        "GalleryService/CreateGallery" => bytes(&gallery::v1::CreateGalleryRequest::from(model.creation())),
        "GalleryService/DescribeGallery" => bytes(&gallery::v1::DescribeGalleryRequest { gallery_id }),
        "GalleryService/ListGalleries" => bytes(&gallery::v1::ListGalleriesRequest::default()),
        "GalleryService/DeleteGallery" => bytes(&gallery::v1::DeleteGalleryRequest { gallery_id }),
        "GalleryService/Provision" => {
            let (upload, digest) = (UploadId([7; 16]), [8; 32]);
            let header = ProvisionHeader { gallery: id, upload, total_bytes: 1000, digest };
            bytes(&gallery::v1::ProvisionRequest::from(header))
        }
        "GalleryService/GetUpload" => {
            bytes(&gallery::v1::GetUploadRequest { gallery_id, upload_id: vec![7; 16].into() })
        }
        "GalleryService/Enrol" => bytes(&gallery::v1::EnrolRequest::from(enrolment(model))),
        "GalleryService/Remove" => bytes(&gallery::v1::RemoveRequest::from(mutation(model))),
        "GalleryService/ListTemplates" => {
            bytes(&gallery::v1::ListTemplatesRequest { gallery_id, ..Default::default() })
        }
        "GalleryService/FetchRecords" => {
            bytes(&gallery::v1::FetchRecordsRequest { gallery_id, ..Default::default() })
        }
        "GalleryService/FetchDeltas" => bytes(&gallery::v1::FetchDeltasRequest {
            gallery_id,
            block_id: vec![2; 16].into(),
            slots: vec![3],
        }),
        "MatchingService/UploadTicket" => {
            let (ticket, key, digest) = (TicketId([9; 16]), crate::support::KEY, [1; 32]);
            let header = TicketHeader { gallery: id, ticket, key, total_bytes: 1000, digest };
            bytes(&matching::v1::UploadTicketRequest::from(TicketPart::Header(header)))
        }
        "MatchingService/Verify" => {
            bytes(&matching::v1::VerifyRequest::from(model.verification(Pseudonym([1; 16]), probe())))
        }
        "MatchingService/Identify" => {
            bytes(&matching::v1::IdentifyRequest::from(model.identification(probe())))
        }
        _ => panic!("{method} is new: it needs a request here, and a row in docs/access.md"),
    }
}

/// A gallery of the own tenant.
async fn own_gallery(cast: &Cast, seed: u64) -> Model {
    let model = Model::create_only(seed, 8, 8);
    let mut admin = cast.galleries(OWN, Part::Holder(Role::Admin));
    admin.create_gallery(gallery::v1::CreateGalleryRequest::from(model.creation())).await.unwrap();
    model
}

#[tokio::test]
async fn every_method_is_allowed_exactly_where_the_documentation_says_so() {
    let cast = Cast::start().await;
    let table = documented();
    let methods = methods();
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), methods, "left: docs/access.md");
    let (mut seed, mut cells) = (1, 0);
    for (method, row) in &table {
        let nobody = cast.call(method, request(method, &Model::create_only(0, 8, 8)), None).await;
        assert_eq!(
            nobody.code() == Code::Unauthenticated,
            !row.open(),
            "{method} without a credential: {nobody}"
        );
        for part in Part::ALL {
            seed += 1;
            // Each method has a gallery of its own, and so is not disturbed by those before.
            let model = if method.ends_with("/CreateGallery") {
                Model::create_only(seed, 8, 8)
            } else {
                own_gallery(&cast, seed).await
            };
            // The other tenant first: what it is told must not depend on what the own tenant did.
            for tenant in [OTHER, OWN] {
                let status =
                    cast.call(method, request(method, &model), Some(&cast.bearer(tenant, part))).await;
                let what = format!(
                    "{method} by {part:?} of {}: {status}",
                    if tenant == OWN { "own" } else { "other" }
                );
                let denied = matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated);
                assert_eq!(denied, !row.allows(part), "{what}");
                if denied {
                    assert_eq!(status.code(), Code::PermissionDenied, "{what}");
                } else if tenant == OTHER && row.about == "gallery" {
                    let absent = Model::create_only(seed + 1_000_000, 8, 8);
                    let gone =
                        cast.call(method, request(method, &absent), Some(&cast.bearer(OTHER, part))).await;
                    let told = status.message().replace(&model.parameters.gallery.to_string(), "it");
                    let told_of_none = gone.message().replace(&absent.parameters.gallery.to_string(), "it");
                    assert_eq!((status.code(), told), (Code::NotFound, told_of_none), "{what}");
                }
                cells += 1;
            }
        }
    }
    assert_eq!(cells, methods.len() * Part::ALL.len() * 2, "the table was walked");
}

#[tokio::test]
async fn lists_show_what_the_caller_has_grants_for_and_nothing_of_others() {
    let cast = Cast::start().await;
    let (first, second) = (own_gallery(&cast, 1).await, own_gallery(&cast, 2).await);
    let matcher = cast.member(OWN, Part::Nothing).principal;
    let one = first.parameters.gallery;
    let cast = cast
        .restart_after(async |store| {
            let grants = vec![super::cast::grant(matcher, Role::Matcher, Some(one))];
            store.add_access(&tyto_access::Records { grants, ..Default::default() }).await.unwrap();
        })
        .await;
    let list = async |tenant, part| {
        let request = gallery::v1::ListGalleriesRequest::default();
        let answer = cast.galleries(tenant, part).list_galleries(request).await.unwrap().into_inner();
        let id = |info: gallery::v1::GalleryInfo| info.parameters.unwrap().gallery_id;
        answer.galleries.into_iter().map(id).collect::<BTreeSet<_>>()
    };
    assert_eq!(list(OWN, Part::Nothing).await, BTreeSet::from([first.id()]));
    assert_eq!(list(OWN, Part::Holder(Role::Auditor)).await, BTreeSet::from([first.id(), second.id()]));
    assert!(list(OTHER, Part::Holder(Role::Auditor)).await.is_empty());
    // A grant for one gallery is none for another one, whether or not there is one.
    let verify = "tyto.matching.v1.MatchingService/Verify";
    let bearer = cast.bearer(OWN, Part::Nothing);
    for (model, expected) in [
        (&first, Code::NotFound),
        (&second, Code::PermissionDenied),
        (&Model::create_only(99, 8, 8), Code::PermissionDenied),
    ] {
        let status = cast.call(verify, request(verify, model), Some(&bearer)).await;
        assert_eq!(status.code(), expected, "{status}");
    }
    let chunk =
        tyto_api::proto::gallery::v1::ProvisionRequest::from(Chunk { offset: 0, data: vec![1].into() });
    let provision = "tyto.gallery.v1.GalleryService/Provision";
    let status = cast.call(provision, bytes(&chunk), Some(&bearer)).await;
    assert_eq!(status.code(), Code::PermissionDenied, "denied before its first message is looked at");
}

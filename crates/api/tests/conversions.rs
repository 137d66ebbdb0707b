//! What a peer may send and what it may not: each refusal names the field and the limit.

use bytes::Bytes;
use tyto_api::attest::{
    Attest, AttestMode, Attested, GetConsistencyProof, GetReceipt, KeyList, ReceiptAnswer,
};
use tyto_api::gallery::{
    BlockChange, CreateGallery, FetchRecords, ListGalleries, ListTemplates, LoggedChange, ManifestUpdate,
    Mutation, Outcome, ProvisionPart, SlotWrite,
};
use tyto_api::limits::{
    MAX_AUDIENCE_BYTES, MAX_CHANGES_PER_CALL, MAX_CHUNK_BYTES, MAX_DESCRIPTOR_BYTES, MAX_RECORD_BYTES,
};
use tyto_api::matching::{
    AttestationRequest, Identify, IdentifyPart, Probe, TicketUse, Verify, VerifyAnswer,
};
use tyto_api::proto::{attest::v1 as attest, gallery::v1 as gallery, matching::v1 as matching};
use tyto_api::{Error, content};
use tyto_attest::{Document, DocumentDigest, KeyEntry, Purpose};
use tyto_scheme::query::Target;
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, Pseudonym, TicketId};

fn bytes(len: usize) -> Bytes {
    vec![7; len].into()
}

fn mutation() -> Mutation {
    let write = SlotWrite { slot: 2047, subject: Pseudonym([3; 16]), delta: bytes(8), tag: [4; 16] };
    let change = BlockChange {
        block: BlockId([2; 16]),
        base_version: 5,
        writes: vec![write],
        removals: Vec::new(),
        first_entry: 9,
        entries: vec![bytes(100)],
        sealed_record: bytes(50),
    };
    let manifest = ManifestUpdate { version: 6, sealed: bytes(60) };
    Mutation { gallery: GalleryId([1; 16]), changes: vec![change], manifest }
}

fn identify() -> Identify {
    let ticket = TicketUse { ticket: TicketId([5; 16]), deltas: bytes(8), tag: [6; 16] };
    Identify {
        gallery: GalleryId([1; 16]),
        probe: Probe::Ticket(ticket),
        known_manifest_version: 3,
        attestation: Some(AttestationRequest { nonce: [8; 32], audience: "door 4".into() }),
    }
}

#[test]
fn what_one_side_sends_the_other_understands() {
    assert_eq!(Mutation::from_enrol(mutation().into()), Ok(mutation()));
    assert_eq!(Identify::try_from(matching::IdentifyRequest::from(identify())), Ok(identify()));
    let parameters = GalleryParameters::new(GalleryId([1; 16]), 1, 128, 1, 7, KeyId([2; 16])).unwrap();
    let (sealed_descriptor, sealed_manifest) = (bytes(10), bytes(20));
    let create = CreateGallery { parameters, sealed_descriptor, sealed_manifest };
    assert_eq!(CreateGallery::try_from(gallery::CreateGalleryRequest::from(create.clone())), Ok(create));
    let logged = LoggedChange { statement: bytes(9), salt: [8; 32] };
    assert_eq!(LoggedChange::try_from(gallery::LoggedChange::from(logged.clone())).as_ref(), Ok(&logged));
    assert!(!format!("{logged:?}").contains("8, 8"), "the salt is not printed");
    for outcome in [Outcome::Committed { manifest_version: 4 }, Outcome::Conflict { manifest_version: 5 }] {
        assert_eq!(Outcome::try_from(gallery::RemoveResponse::from((outcome, None))), Ok(outcome));
    }
}

#[test]
fn mutations_out_of_bounds_are_refused_by_field() {
    let refused = |spoil: fn(&mut gallery::EnrolRequest)| {
        let mut message = gallery::EnrolRequest::from(mutation());
        spoil(&mut message);
        Mutation::from_enrol(message).unwrap_err()
    };
    let length = |field, found_bytes, expected_bytes| Error::Length { field, found_bytes, expected_bytes };
    assert_eq!(refused(|m| m.gallery_id = bytes(15)), length("gallery_id", 15, 16));
    assert_eq!(refused(|m| m.changes.clear()), Error::Empty { field: "changes" });
    assert_eq!(refused(|m| m.manifest = None), Error::Missing { field: "manifest" });
    assert_eq!(refused(|m| m.changes[0].block_id = bytes(0)), length("changes.block_id", 0, 16));
    assert_eq!(refused(|m| m.changes[0].writes[0].tag = bytes(17)), length("changes.writes.tag", 17, 16));
    assert_eq!(
        refused(|m| m.changes[0].writes[0].slot = 2048),
        Error::OutOfRange { field: "changes.writes.slot", value: 2048, min: 0, max: 2047 }
    );
    assert_eq!(refused(|m| m.changes[0].removals.push(1)), Error::NotEmpty { field: "changes.removals" });
    assert_eq!(
        refused(|m| m.changes[0].sealed_record = bytes(MAX_RECORD_BYTES + 1)),
        Error::TooLong {
            field: "changes.sealed_record",
            found_bytes: MAX_RECORD_BYTES + 1,
            max_bytes: MAX_RECORD_BYTES
        }
    );
    assert_eq!(refused(|m| m.changes[0].entries[0].clear()), Error::Empty { field: "changes.entries" });
    assert_eq!(
        refused(|m| m.changes = vec![m.changes[0].clone(); MAX_CHANGES_PER_CALL + 1]),
        Error::TooMany { field: "changes", found: MAX_CHANGES_PER_CALL + 1, max: MAX_CHANGES_PER_CALL }
    );
    assert!(matches!(refused(|m| m.manifest.as_mut().unwrap().version = 0), Error::OutOfRange { .. }));
    let with_writes = gallery::RemoveRequest::from(mutation());
    assert_eq!(Mutation::from_remove(with_writes), Err(Error::NotEmpty { field: "changes.writes" }));
}

#[test]
fn other_requests_out_of_bounds_are_refused_by_field() {
    let header = gallery::ProvisionHeader {
        gallery_id: bytes(16),
        upload_id: bytes(16),
        total_bytes: (64 << 20) + 1,
        digest: bytes(32),
    };
    let part = gallery::provision_request::Part::Header(header);
    let oversized = ProvisionPart::try_from(gallery::ProvisionRequest { part: Some(part) });
    assert!(matches!(oversized, Err(Error::OutOfRange { field: "header.total_bytes", .. })));
    let chunk = gallery::Chunk { offset: 0, data: bytes(MAX_CHUNK_BYTES + 1) };
    let part = Some(gallery::provision_request::Part::Chunk(chunk));
    let oversized = ProvisionPart::try_from(gallery::ProvisionRequest { part });
    assert!(matches!(oversized, Err(Error::TooLong { field: "chunk.data", .. })));
    let empty = ProvisionPart::try_from(gallery::ProvisionRequest { part: None });
    assert_eq!(empty, Err(Error::Missing { field: "part" }));

    let create = gallery::CreateGalleryRequest {
        parameters: None,
        sealed_descriptor: bytes(MAX_DESCRIPTOR_BYTES + 1),
        sealed_manifest: bytes(1),
    };
    assert!(matches!(
        CreateGallery::try_from(create),
        Err(Error::TooLong { field: "sealed_descriptor", .. })
    ));
    let page = gallery::ListGalleriesRequest { page_size: 101, page_token: Bytes::new() };
    assert!(matches!(ListGalleries::try_from(page), Err(Error::OutOfRange { max: 100, .. })));
    let page = gallery::ListGalleriesRequest { page_size: 0, page_token: bytes(3) };
    assert_eq!(ListGalleries::try_from(page), Err(Error::PageToken { field: "page_token" }));
    let page =
        gallery::ListTemplatesRequest { gallery_id: bytes(16), page_size: 0, page_token: Bytes::new() };
    assert_eq!(ListTemplates::try_from(page).unwrap().page_size, 10_000);
    let known = gallery::KnownEntries { block_id: bytes(1), entries: 0 };
    let fetch = gallery::FetchRecordsRequest {
        gallery_id: bytes(16),
        known_manifest_version: 0,
        known_entries: vec![known],
    };
    assert!(matches!(
        FetchRecords::try_from(fetch),
        Err(Error::Length { field: "known_entries.block_id", .. })
    ));
}

#[test]
fn probes_and_audiences_out_of_bounds_are_refused_by_field() {
    let refused = |spoil: fn(&mut matching::IdentifyRequest)| {
        let mut message = matching::IdentifyRequest::from(identify());
        spoil(&mut message);
        Identify::try_from(message).unwrap_err()
    };
    assert_eq!(refused(|m| m.probe = None), Error::Missing { field: "probe" });
    assert_eq!(
        refused(|m| m.probe = Some(matching::Probe { kind: None })),
        Error::Missing { field: "probe.kind" }
    );
    assert!(matches!(
        refused(|m| m.attestation.as_mut().unwrap().nonce = bytes(31)),
        Error::Length { field: "attestation.nonce", found_bytes: 31, expected_bytes: 32 }
    ));
    assert!(matches!(
        refused(|m| m.attestation.as_mut().unwrap().audience = "a".repeat(MAX_AUDIENCE_BYTES + 1)),
        Error::TooLong { field: "attestation.audience", .. }
    ));
    assert_eq!(
        refused(|m| m.attestation.as_mut().unwrap().audience = "a\nb".into()),
        Error::ControlCharacters { field: "attestation.audience" }
    );
    let no_subject = matching::VerifyRequest { gallery_id: bytes(16), ..matching::VerifyRequest::default() };
    assert!(matches!(Verify::try_from(no_subject), Err(Error::Length { field: "subject", .. })));
}

#[test]
fn answers_out_of_bounds_are_refused_by_field() {
    let answer = matching::VerifyResponse::default();
    assert_eq!(VerifyAnswer::try_from(answer), Err(Error::Missing { field: "snapshot" }));
    let reply = matching::BlockReply { block_id: bytes(16), block_version: 0, ..Default::default() };
    let part = matching::identify_response::Part::Blocks(matching::IdentifyBlocks { replies: vec![reply] });
    let answer = IdentifyPart::try_from(matching::IdentifyResponse { part: Some(part) });
    assert!(matches!(answer, Err(Error::OutOfRange { field: "replies.block_version", .. })));
}

#[test]
fn the_content_of_a_ticket_use_is_as_documented() {
    let mut found = Vec::new();
    content::request(Target::Gallery, &identify().probe, &mut found);
    let mut expected = b"T".to_vec();
    expected.extend([5; 16]);
    expected.push(2);
    expected.extend([0; 16]);
    expected.extend([7; 8]);
    expected.extend([6; 16]);
    assert_eq!(found, expected);
}

fn attest() -> Attest {
    let digest = DocumentDigest::Sha384([7; 48]);
    let document = |label: Option<&str>| Document { digest, label: label.map(str::to_owned) };
    Attest {
        mode: AttestMode::ReceiptOnly,
        audience: "court".to_owned(),
        nonce: [5; 32],
        documents: vec![document(Some("contract.pdf")), document(None)],
    }
}

#[test]
fn attestations_receipts_and_keys_arrive_as_they_were_sent() {
    for mode in [AttestMode::Immediate, AttestMode::ReceiptOnly] {
        let request = Attest { mode, ..attest() };
        assert_eq!(Attest::try_from(attest::AttestRequest::from(request.clone())), Ok(request));
    }
    let attested = Attested { entries: vec![bytes(9), bytes(10)] };
    assert_eq!(Attested::try_from(attest::AttestResponse::from(attested.clone())), Ok(attested));
    let receipt = GetReceipt { leaf_hash: [1; 32], wait_ms: 900 };
    assert_eq!(GetReceipt::try_from(attest::GetReceiptRequest::from(receipt)), Ok(receipt));
    for answer in [ReceiptAnswer::Receipt(bytes(8)), ReceiptAnswer::NotCovered { retry_after_ms: 300 }] {
        let sent = attest::GetReceiptResponse::from(answer.clone());
        assert_eq!(ReceiptAnswer::try_from(sent), Ok(answer));
    }
    for new_size in [None, Some(3)] {
        let proof = GetConsistencyProof { old_size: 3, new_size };
        let sent = attest::GetConsistencyProofRequest::from(proof);
        assert_eq!(GetConsistencyProof::try_from(sent), Ok(proof));
    }
    let key = tyto_pqc::mldsa::SigningKey::generate().unwrap().verifying_key().clone().into();
    let keys = vec![KeyEntry { purpose: Purpose::Attestation, key }];
    let list = KeyList { issuer: "tyto".to_owned(), log_id: [3; 32], keys };
    assert_eq!(KeyList::try_from(attest::ListKeysResponse::from(list.clone())), Ok(list));
}

#[test]
fn attestation_requests_out_of_bounds_are_refused_by_field() {
    let refused = |spoil: fn(&mut attest::AttestRequest)| {
        let mut message = attest::AttestRequest::from(attest());
        spoil(&mut message);
        Attest::try_from(message).unwrap_err()
    };
    let length = |field, found_bytes, expected_bytes| Error::Length { field, found_bytes, expected_bytes };
    let unknown = |error, name| matches!(error, Error::UnknownValue { field, .. } if field == name);
    assert!(unknown(refused(|m| m.mode = 0), "mode"));
    assert!(unknown(refused(|m| m.mode = 77), "mode"));
    assert!(unknown(refused(|m| m.documents[0].algorithm = "md5".to_owned()), "documents.algorithm"));
    assert_eq!(refused(|m| m.documents.clear()), Error::Empty { field: "documents" });
    assert_eq!(refused(|m| m.nonce = bytes(31)), length("nonce", 31, 32));
    assert_eq!(refused(|m| m.documents[1].digest = bytes(32)), length("documents.digest", 32, 48));
    let control = Error::ControlCharacters { field: "documents.label" };
    assert_eq!(refused(|m| m.documents[0].label = "a\nb".to_owned()), control);
    let long = Error::TooLong { field: "audience", found_bytes: 257, max_bytes: 256 };
    assert_eq!(refused(|m| m.audience = "x".repeat(257)), long);
    let many = Error::TooMany { field: "documents", found: 257, max: 256 };
    assert_eq!(refused(|m| m.documents = vec![m.documents[0].clone(); 257]), many);
    let proof = |old_size, new_size| {
        GetConsistencyProof::try_from(attest::GetConsistencyProofRequest { old_size, new_size })
    };
    assert!(matches!(proof(0, 5), Err(Error::OutOfRange { field: "old_size", .. })));
    assert!(matches!(proof(6, 5), Err(Error::OutOfRange { field: "new_size", min: 6, .. })));
    let hash = attest::GetReceiptRequest { leaf_hash: bytes(16), wait_ms: 0 };
    assert_eq!(GetReceipt::try_from(hash), Err(length("leaf_hash", 16, 32)));
}

//! Tenants, who belongs to them, and that none finds what is another's.

use crate::support::{
    GALLERY, KEY, block_id, change, committed, digest, dump, gallery_of_two_blocks, id, manifest, mutation,
    new_gallery, noise, provision, reopen,
};
use bytes::Bytes;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tyto_access::{
    ApiKeyId, Grant, GrantId, PrincipalId, PrincipalRecord, Records, Role, StoredKey, SubjectKind,
    SubjectRecord, TenantId, TenantRecord, Verifier,
};
use tyto_scheme::query::Kind;
use tyto_scheme::{TicketId, UploadId};
use tyto_store::{Created, Error, NewTicket, Store, UseOutcome};

const OTHER: TenantId = TenantId([9; 16]);

fn ticket() -> NewTicket {
    let ticket = TicketId(id(0x71c0));
    NewTicket { ticket, gallery: GALLERY, key: KEY, kind: Kind::Verify, expires_ms: 9_000_000_000_000 }
}

#[tokio::test]
async fn two_tenants_use_the_same_ids_and_neither_finds_out() {
    let (dir, store) = gallery_of_two_blocks().await;
    let other = store.of(OTHER);
    let (bytes, upload) = (Bytes::from(noise(1, 100)), UploadId(id(1)));
    store.begin_upload(GALLERY, upload, 100, digest(&bytes)).await.unwrap();
    store.put_ticket(ticket(), bytes.clone()).await.unwrap();
    let before = dump(dir.path()).await;
    // Nothing of it is there for the other, by any call.
    let unknown =
        |error: Option<Error>| assert!(matches!(error, Some(Error::UnknownGallery(GALLERY))), "{error:?}");
    unknown(other.gallery(GALLERY).await.err());
    unknown(other.counts(GALLERY).await.err());
    unknown(other.load_blocks(GALLERY).await.err());
    unknown(other.load_deltas(GALLERY, block_id(0)).await.err());
    unknown(other.burnt_slots(GALLERY, block_id(0)).await.err());
    unknown(other.entries(GALLERY, block_id(0), 0, 1).await.err());
    unknown(other.deltas(GALLERY, block_id(0), &[0]).await.err());
    unknown(other.list_templates(GALLERY, None, 10).await.err());
    unknown(other.upload_status(GALLERY, upload).await.err());
    unknown(other.begin_upload(GALLERY, upload, 100, digest(&bytes)).await.err());
    unknown(other.read_upload(GALLERY, upload).await.err());
    unknown(other.apply(mutation(3, vec![change(block_id(0), 1, 0, &[0], &[])]), None).await.err());
    unknown(other.put_ticket(ticket(), bytes.clone()).await.err());
    unknown(other.delete_gallery(GALLERY, None).await.err());
    let ticket_id = ticket().ticket;
    let unknown =
        |error: Option<Error>| assert!(matches!(error, Some(Error::UnknownTicket(id)) if id == ticket_id));
    unknown(other.ticket(ticket_id).await.err());
    unknown(other.read_ticket(ticket_id).await.err());
    unknown(other.begin_use(ticket_id, [1; 32]).await.err());
    unknown(other.finish_use(ticket_id, bytes.clone()).await.err());
    let appended = other.append_upload(upload, 0, bytes.clone()).await;
    assert!(matches!(appended, Err(Error::UnknownUpload(id)) if id == upload));
    assert_eq!(dump(dir.path()).await, before, "and nothing was changed");

    // It makes its own under the same ids, from the first to the last step.
    assert_eq!(other.create_gallery(new_gallery(GALLERY), None).await.unwrap(), Created::New);
    assert_eq!(provision(&other, 0, &[block_id(0)], 2).await.unwrap(), committed(2));
    let written = mutation(3, vec![change(block_id(0), 1, 0, &[5], &[])]);
    assert_eq!(other.apply(written, None).await.unwrap(), committed(3));
    other.begin_upload(GALLERY, upload, 200, digest(b"other")).await.unwrap();
    assert_eq!(other.put_ticket(ticket(), noise(2, 50).into()).await.unwrap(), Created::New);
    assert_eq!(other.ticket(ticket_id).await.unwrap().facts, ticket());
    assert_eq!(other.begin_use(ticket_id, [1; 32]).await.unwrap(), UseOutcome::Fresh);
    assert_eq!(store.begin_use(ticket_id, [2; 32]).await.unwrap(), UseOutcome::Fresh);
    assert_eq!(store.read_ticket(ticket_id).await.unwrap(), bytes);

    // Both come back after a restart, each with its tenant, and a deletion takes one of them.
    let store = reopen(&dir, {
        drop(other);
        store
    })
    .await;
    let galleries = store.galleries().await.unwrap();
    let found: Vec<_> =
        galleries.iter().map(|g| (g.tenant, g.parameters.gallery, g.manifest.version)).collect();
    assert!(
        found.contains(&(TenantId::BUILT_IN, GALLERY, 2)) && found.contains(&(OTHER, GALLERY, 3)),
        "{found:?}"
    );
    let other = store.of(OTHER);
    let segment = other.load_blocks(GALLERY).await.unwrap()[0].segment;
    assert_eq!(other.read_segment(segment).await.unwrap(), noise(0x5e60_0000, 5000));
    other.delete_gallery(GALLERY, None).await.unwrap();
    let again = other.create_gallery(new_gallery(GALLERY), None).await;
    assert!(matches!(again, Err(Error::GalleryDeleted(GALLERY))), "{again:?}");
    assert_eq!(store.gallery(GALLERY).await.unwrap().manifest, manifest(2));
    assert_eq!(store.upload_status(GALLERY, upload).await.unwrap().total_bytes, 100);
}

#[tokio::test]
async fn what_was_stored_before_there_were_tenants_is_the_built_in_ones() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tyto.sqlite");
    let mut database =
        SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
    let mut old = sqlx::migrate!("./migrations");
    old.migrations = old.migrations.iter().filter(|step| step.version <= 5).cloned().collect();
    old.run_direct(None, &mut database, false).await.unwrap();
    let insert = "INSERT INTO galleries (gallery_id, parameter_set, dimension, stride, mask_epoch, key_id, slots, \
         delta_bytes, created_ms, first_manifest_digest, manifest_version, descriptor, manifest) \
         VALUES (?, 1, 128, 1, 0, ?, 2048, 256, 5, ?, 1, x'01', x'02')";
    let insert = sqlx::query(insert).bind(GALLERY.0.as_slice()).bind(KEY.0.as_slice());
    insert.bind([7; 32].as_slice()).execute(&mut database).await.unwrap();
    drop(database);
    let store = Store::open(dir.path()).await.unwrap();
    let gallery = store.gallery(GALLERY).await.unwrap();
    assert_eq!((gallery.tenant, gallery.created_ms), (TenantId::BUILT_IN, 5));
    let tenants = store.access_records().await.unwrap().tenants;
    assert_eq!((tenants.len(), tenants[0].id), (1, TenantId::BUILT_IN));
}

fn records() -> Records {
    let principal = PrincipalId([1; 16]);
    Records {
        tenants: vec![TenantRecord { id: OTHER, name: "acme".into(), disabled: false, created_ms: 5 }],
        principals: vec![PrincipalRecord {
            id: principal,
            tenant: OTHER,
            name: "alice".into(),
            operator: false,
            disabled: false,
            created_ms: 6,
        }],
        keys: vec![StoredKey {
            id: ApiKeyId([2; 8]),
            principal,
            verifier: Verifier([3; 32]),
            sealed_session: vec![4; 60],
            created_ms: 7,
            expires_ms: Some(8),
            last_used_ms: 0,
            revoked_ms: None,
        }],
        subjects: vec![SubjectRecord {
            kind: SubjectKind::Token,
            issuer: "https://issuer".into(),
            subject: "alice".into(),
            principal,
            created_ms: 9,
        }],
        grants: vec![Grant {
            id: GrantId([5; 16]),
            principal,
            role: Role::Auditor,
            gallery: Some(GALLERY),
            created_ms: 10,
            expires_ms: Some(11),
        }],
    }
}

#[tokio::test]
async fn what_is_known_of_access_survives_a_restart_and_changes_apply_to_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let built_in = store.access_records().await.unwrap().tenants;
    store.add_access(&records()).await.unwrap();
    let store = reopen(&dir, store).await;
    let mut expected = records();
    expected.tenants.splice(0..0, built_in);
    assert_eq!(store.access_records().await.unwrap(), expected);

    let (key, principal) = (ApiKeyId([2; 8]), PrincipalId([1; 16]));
    store.note_key_uses(&[(key, 50)]).await.unwrap();
    store.note_key_uses(&[(key, 40)]).await.unwrap();
    assert!(store.revoke_api_key(key, 60).await.unwrap());
    assert!(store.revoke_api_key(key, 70).await.unwrap());
    assert!(store.set_principal_disabled(principal, true).await.unwrap());
    assert!(store.set_tenant_disabled(OTHER, true).await.unwrap());
    assert!(store.remove_grant(GrantId([5; 16])).await.unwrap());
    assert!(!store.remove_grant(GrantId([5; 16])).await.unwrap());
    assert!(!store.revoke_api_key(ApiKeyId([0; 8]), 1).await.unwrap());
    expected.keys[0].last_used_ms = 50;
    expected.keys[0].revoked_ms = Some(60);
    expected.principals[0].disabled = true;
    expected.tenants[1].disabled = true;
    expected.grants.clear();
    assert_eq!(store.access_records().await.unwrap(), expected);
}

#[tokio::test]
async fn a_name_that_is_taken_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.add_access(&records()).await.unwrap();
    let before = dump(dir.path()).await;
    let (mut again, mut namesake) = (records(), records());
    again.tenants[0].id = TenantId([10; 16]);
    let taken = store.add_access(&again).await;
    assert!(matches!(&taken, Err(Error::NameTaken(name)) if name == "acme"), "{taken:?}");
    // The tenant is new, and its first principal has the id of another one.
    namesake.tenants[0] =
        TenantRecord { id: TenantId([11; 16]), name: "new".into(), ..namesake.tenants[0].clone() };
    assert!(store.add_access(&namesake).await.is_err());
    assert_eq!(dump(dir.path()).await, before);
}

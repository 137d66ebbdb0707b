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

    // The built-in tenant chooses an id that is the name of the other's row: it finds nothing, and burns nothing.
    let name = |id: [u8; 16]| -> [u8; 16] {
        let digest = digest(&[b"tyto/v1/stored-name".as_slice(), &OTHER.0, &id].concat());
        std::array::from_fn(|i| digest[i])
    };
    let alias = tyto_scheme::GalleryId(name(GALLERY.0));
    assert!(matches!(store.gallery(alias).await, Err(Error::UnknownGallery(_))));
    assert!(matches!(store.delete_gallery(alias, None).await, Err(Error::UnknownGallery(_))));
    let second = TicketId(id(0x71c1));
    other.put_ticket(NewTicket { ticket: second, ..ticket() }, noise(3, 50).into()).await.unwrap();
    let alias = TicketId(name(second.0));
    assert!(matches!(store.ticket(alias).await, Err(Error::UnknownTicket(_))));
    assert!(matches!(store.begin_use(alias, [3; 32]).await, Err(Error::UnknownTicket(_))));
    assert!(matches!(store.read_ticket(alias).await, Err(Error::UnknownTicket(_))));
    assert_eq!(other.begin_use(second, [4; 32]).await.unwrap(), UseOutcome::Fresh, "it was not burnt");
    let alias = UploadId(name(upload.0));
    let appended = store.append_upload(alias, 0, bytes.clone()).await;
    assert!(matches!(appended, Err(Error::UnknownUpload(_))));

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
            rotated_from: None,
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
    assert!(store.remove_subject(&expected.subjects[0]).await.unwrap());
    assert!(!store.remove_subject(&expected.subjects[0]).await.unwrap());
    assert!(!store.remove_grant(GrantId([5; 16])).await.unwrap());
    assert!(!store.revoke_api_key(ApiKeyId([0; 8]), 1).await.unwrap());
    expected.keys[0].last_used_ms = 50;
    expected.keys[0].revoked_ms = Some(60);
    expected.principals[0].disabled = true;
    expected.tenants[1].disabled = true;
    expected.grants.clear();
    expected.subjects.clear();
    assert_eq!(store.access_records().await.unwrap(), expected);
}

#[tokio::test]
async fn a_key_is_replaced_once_and_its_revocation_ends_what_followed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.add_access(&records()).await.unwrap();
    let key = |n: u8, from: u8| StoredKey {
        id: ApiKeyId([n; 8]),
        expires_ms: None,
        rotated_from: Some(ApiKeyId([from; 8])),
        ..records().keys.remove(0)
    };
    assert!(store.replace_api_key(ApiKeyId([2; 8]), &key(3, 2), 100).await.unwrap());
    assert!(!store.replace_api_key(ApiKeyId([2; 8]), &key(4, 2), 100).await.unwrap(), "a second time");
    assert!(store.replace_api_key(ApiKeyId([3; 8]), &key(5, 3), 100).await.unwrap());
    let keys = store.access_records().await.unwrap().keys;
    let ends: Vec<_> = keys.iter().map(|key| (key.id.0[0], key.expires_ms)).collect();
    assert_eq!(ends, [(2, Some(8)), (3, Some(100)), (5, None)], "no key got more time than it had");
    assert!(store.revoke_api_key(ApiKeyId([2; 8]), 60).await.unwrap());
    let keys = store.access_records().await.unwrap().keys;
    assert!(keys.iter().all(|key| key.revoked_ms == Some(60)), "{keys:?}");
    assert!(!store.replace_api_key(ApiKeyId([5; 8]), &key(6, 5), 100).await.unwrap(), "revoked before");
    assert_eq!(store.access_records().await.unwrap().keys.len(), 3);
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

//! Galleries, and the directory as a whole.

use crate::support::{
    GALLERY, block_id, change, committed, dump, files, gallery_of_two_blocks, manifest, mutation,
    new_gallery, parameters, reopen,
};
use std::os::unix::fs::PermissionsExt as _;
use tyto_scheme::GalleryId;
use tyto_store::{Counts, Created, Error, Fault, Store};

#[tokio::test]
async fn a_gallery_is_there_after_a_restart() {
    let (dir, store) = gallery_of_two_blocks().await;
    let before = store.gallery(GALLERY).await.unwrap();
    assert_eq!(before.parameters, parameters(GALLERY));
    assert_eq!(before.manifest, manifest(2));
    let store = reopen(&dir, store).await;
    assert_eq!(store.gallery(GALLERY).await.unwrap(), before);
    assert_eq!(store.galleries().await.unwrap(), [before]);
    assert_eq!(store.counts(GALLERY).await.unwrap(), Counts { blocks: 2, templates: 0, slots_used: 0 });
}

#[tokio::test]
async fn creating_again_succeeds_only_with_the_same_content() {
    let (dir, store) = gallery_of_two_blocks().await;
    let before = dump(dir.path()).await;
    let mut same = new_gallery(GALLERY);
    same.created_ms += 5;
    // The manifest has moved on to version 2 meanwhile.
    assert_eq!(store.create_gallery(same, None).await.unwrap(), Created::AlreadyThere);
    let mut descriptor = new_gallery(GALLERY);
    descriptor.sealed_descriptor = vec![1, 2, 3].into();
    let mut first_manifest = new_gallery(GALLERY);
    first_manifest.sealed_manifest = manifest(2).sealed;
    let mut facts = new_gallery(GALLERY);
    facts.parameters.mask_epoch = 7;
    for other in [descriptor, first_manifest, facts] {
        assert!(matches!(store.create_gallery(other, None).await, Err(Error::GalleryExists(GALLERY))));
    }
    let mut large = new_gallery(GalleryId([9; 16]));
    large.sealed_descriptor = vec![0; 20_000].into();
    assert!(matches!(store.create_gallery(large, None).await, Err(Error::Limit { max: 16_384, .. })));
    assert_eq!(dump(dir.path()).await, before);
}

#[tokio::test]
async fn deleting_takes_everything_and_leaves_the_id_unusable() {
    let (dir, store) = gallery_of_two_blocks().await;
    let other = GalleryId([2; 16]);
    store.create_gallery(new_gallery(other), None).await.unwrap();
    let enrol = mutation(3, vec![change(block_id(0), 1, 0, &[5, 6], &[])]);
    assert_eq!(store.apply(enrol, None).await.unwrap(), committed(3));
    assert_eq!(files(dir.path()).len(), 1);
    store.delete_gallery(GALLERY, None).await.unwrap();
    assert!(files(dir.path()).is_empty());
    let mut left = dump(dir.path()).await;
    left.retain(|row| !row.starts_with("log_lock") && !row.starts_with("tenants:"));
    assert!(left.iter().all(|row| row.starts_with("galleries") || row.starts_with("deleted_galleries")));
    assert_eq!(left.len(), 2);
    let gone = store.delete_gallery(GALLERY, None).await.unwrap_err();
    assert!(matches!(gone, Error::UnknownGallery(GALLERY)));
    assert_eq!(gone.fault(), Fault::NotFound);
    let store = reopen(&dir, store).await;
    assert!(matches!(store.gallery(GALLERY).await, Err(Error::UnknownGallery(_))));
    let again = store.create_gallery(new_gallery(GALLERY), None).await;
    assert!(matches!(again, Err(Error::GalleryDeleted(GALLERY))));
    assert_eq!(store.galleries().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_directory_is_private_and_open_only_once() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("new/data");
    let store = Store::open(&dir).await.unwrap();
    for folder in ["", "uploads", "objects", "objects/segments"] {
        let mode = dir.join(folder).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
    let second = Store::open(&dir).await.unwrap_err();
    assert!(matches!(second, Error::Locked { .. }));
    assert!(second.to_string().contains("new/data"), "{second}");
    let clone = store.clone();
    drop(store);
    assert!(matches!(Store::open(&dir).await, Err(Error::Locked { .. })), "a clone keeps it open");
    clone.close().await;
    let freed = clone.freed();
    let letting_go = tokio::spawn(async move {
        tokio::task::yield_now().await;
        drop(clone);
    });
    freed.await;
    Store::open(&dir).await.unwrap();
    letting_go.await.unwrap();
}

#[tokio::test]
async fn orphans_are_swept_and_what_is_named_stays() {
    let (dir, store) = gallery_of_two_blocks().await;
    let kept = files(dir.path());
    for orphan in [
        "objects/segments/00",
        "objects/segments/00#1",
        "objects/tickets/aa",
        "objects/answers/bb",
        "uploads/cc",
    ] {
        std::fs::write(dir.path().join(orphan), b"left by a crash").unwrap();
    }
    assert_eq!(files(dir.path()).len(), kept.len() + 5);
    let _store = reopen(&dir, store).await;
    assert_eq!(files(dir.path()), kept);
}

#[tokio::test]
async fn a_directory_that_others_can_read_is_closed_to_them() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, store) = gallery_of_two_blocks().await;
    let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    let files = ["tyto.sqlite", "tyto.sqlite-wal", "tyto.sqlite-shm", "lock"];
    for file in files {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    for (name, open) in [("", 0o755), ("objects", 0o777), ("tyto.sqlite", 0o644), ("lock", 0o644)] {
        std::fs::set_permissions(dir.path().join(name), std::fs::Permissions::from_mode(open)).unwrap();
    }
    let _store = reopen(&dir, store).await;
    for folder in ["", "objects", "objects/segments", "uploads"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in files {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

//! Uploads and the segments that they become.

use crate::support::{
    GALLERY, block_id, change, committed, digest, dump, files, gallery_of_two_blocks, id, manifest, mutation,
    new_gallery, noise, provision, record, reopen,
};
use bytes::Bytes;
use std::fs::File;
use std::time::{Duration, SystemTime};
use tyto_scheme::{GalleryId, UploadId};
use tyto_store::{CommitSegment, Error, Fault, MAX_UPLOAD_BYTES, Object, Outcome, Store, UploadStatus};

const UPLOAD: UploadId = UploadId([7; 16]);

fn content() -> Bytes {
    noise(70, 3000).into()
}

async fn begin(store: &Store) -> Result<UploadStatus, Error> {
    store.begin_upload(GALLERY, UPLOAD, 3000, digest(&content())).await
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let (dir, store) = gallery_of_two_blocks().await;
    assert_eq!(begin(&store).await.unwrap().received_bytes, 0);
    assert_eq!(store.append_upload(UPLOAD, 0, content().slice(..1000)).await.unwrap(), 1000);
    let store = reopen(&dir, store).await;
    let status = UploadStatus { received_bytes: 1000, total_bytes: 3000, committed: false };
    assert_eq!(begin(&store).await.unwrap(), status);
    assert_eq!(store.upload_status(GALLERY, UPLOAD).await.unwrap(), status);
    let early = store.read_upload(GALLERY, UPLOAD).await;
    assert!(matches!(early, Err(Error::UploadIncomplete { received: 1000, total: 3000, .. })));
    assert_eq!(store.append_upload(UPLOAD, 1000, content().slice(1000..)).await.unwrap(), 3000);
    let upload = store.read_upload(GALLERY, UPLOAD).await.unwrap();
    assert_eq!(upload.bytes(), &content());
    let blocks = vec![(block_id(5), record(block_id(5), 1))];
    let commit = CommitSegment { upload, blocks, manifest: manifest(3) };
    assert_eq!(store.commit_segment(commit, None).await.unwrap(), committed(3));
    let store = reopen(&dir, store).await;
    assert!(store.upload_status(GALLERY, UPLOAD).await.unwrap().committed);
    assert_eq!(store.read_segment(UPLOAD).await.unwrap(), content());
    let blocks = store.load_blocks(GALLERY).await.unwrap();
    assert_eq!((blocks[2].block, blocks[2].ordinal, blocks[2].segment), (block_id(5), 2, UPLOAD));
    assert!(files(dir.path()).iter().all(|file| file.starts_with("objects/segments")));
}

#[tokio::test]
async fn bytes_out_of_order_are_refused_and_the_offset_is_named() {
    let (dir, store) = gallery_of_two_blocks().await;
    begin(&store).await.unwrap();
    store.append_upload(UPLOAD, 0, content().slice(..1000)).await.unwrap();
    let before = dump(dir.path()).await;
    for offset in [0, 999, 1001, u64::MAX] {
        let error = store.append_upload(UPLOAD, offset, content().slice(..10)).await.unwrap_err();
        assert!(
            matches!(error, Error::UploadOffset { expected: 1000, found, .. } if found == offset),
            "{error}"
        );
    }
    let over = store.append_upload(UPLOAD, 1000, vec![0; 2001].into()).await;
    assert!(matches!(over, Err(Error::Limit { found: 3001, max: 3000, .. })));
    let digest = digest(&content());
    let size = store.begin_upload(GALLERY, UPLOAD, 2999, digest).await;
    assert!(matches!(size, Err(Error::UploadMismatch { field: "size", .. })));
    let other = store.begin_upload(GALLERY, UPLOAD, 3000, [0; 32]).await;
    assert!(matches!(other, Err(Error::UploadMismatch { field: "digest", .. })));
    let large = store.begin_upload(GALLERY, UploadId([8; 16]), MAX_UPLOAD_BYTES + 1, digest).await;
    assert_eq!(large.unwrap_err().fault(), Fault::Caller);
    let unknown = store.append_upload(UploadId([8; 16]), 0, content()).await;
    assert!(matches!(unknown, Err(Error::UnknownUpload(_))));
    assert_eq!(dump(dir.path()).await, before);
    store.create_gallery(new_gallery(GalleryId([3; 16])), None).await.unwrap();
    let elsewhere = store.begin_upload(GalleryId([3; 16]), UPLOAD, 3000, digest).await;
    assert!(matches!(elsewhere, Err(Error::UploadMismatch { field: "gallery", .. })));
    let elsewhere = store.upload_status(GalleryId([3; 16]), UPLOAD).await;
    assert!(matches!(elsewhere, Err(Error::UnknownUpload(_))));
}

#[tokio::test]
async fn bytes_with_another_digest_are_deleted_and_the_upload_starts_over() {
    let (_dir, store) = gallery_of_two_blocks().await;
    begin(&store).await.unwrap();
    store.append_upload(UPLOAD, 0, vec![0; 3000].into()).await.unwrap();
    assert!(matches!(store.read_upload(GALLERY, UPLOAD).await, Err(Error::UploadDigest(UPLOAD))));
    assert_eq!(begin(&store).await.unwrap().received_bytes, 0);
    store.append_upload(UPLOAD, 0, content()).await.unwrap();
    assert_eq!(store.read_upload(GALLERY, UPLOAD).await.unwrap().bytes(), &content());
}

#[tokio::test]
async fn a_commit_may_be_repeated_even_after_later_changes() {
    let (dir, store) = gallery_of_two_blocks().await;
    let enrol = mutation(3, vec![change(block_id(0), 1, 0, &[1], &[])]);
    assert_eq!(store.apply(enrol, None).await.unwrap(), committed(3));
    let before = dump(dir.path()).await;
    let blocks = [block_id(0), block_id(1)];
    let again = provision(&store, 0, &blocks, 2).await.unwrap();
    assert_eq!(again, Outcome::Repeated { manifest_version: 2 });
    assert!(matches!(provision(&store, 0, &blocks, 4).await, Err(Error::UploadCommitted(_))));
    assert!(matches!(provision(&store, 0, &blocks[..1], 2).await, Err(Error::UploadCommitted(_))));
    assert_eq!(dump(dir.path()).await, before);
}

#[tokio::test]
async fn a_commit_that_loses_leaves_the_upload_for_another_try() {
    let (dir, store) = gallery_of_two_blocks().await;
    for version in [2, 4, 0, u64::MAX] {
        let late = provision(&store, 1, &[block_id(2)], version).await.unwrap();
        assert_eq!(late, Outcome::Conflict { current: 2 }, "{version}");
    }
    let before = dump(dir.path()).await;
    let taken = provision(&store, 1, &[block_id(2), block_id(1)], 3).await;
    assert!(matches!(taken, Err(Error::DuplicateBlock(block)) if block == block_id(1)));
    let twice = provision(&store, 1, &[block_id(2), block_id(2)], 3).await;
    assert!(matches!(twice, Err(Error::DuplicateBlock(block)) if block == block_id(2)));
    assert!(matches!(provision(&store, 1, &[], 3).await, Err(Error::Empty(_))));
    assert_eq!(dump(dir.path()).await, before);
    assert_eq!(provision(&store, 1, &[block_id(2)], 3).await.unwrap(), committed(3));
}

#[tokio::test]
async fn a_rotten_segment_is_named() {
    let (dir, store) = gallery_of_two_blocks().await;
    let segment = store.load_blocks(GALLERY).await.unwrap()[0].segment;
    assert_eq!(segment, UploadId(id(0x5e60_0000)));
    let path = dir.path().join(format!("objects/segments/{segment}"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4321] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = store.read_segment(segment).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt(Object::Segment(found)) if found == segment));
    assert!(error.to_string().contains(&segment.to_string()), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = store.read_segment(segment).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt(Object::Segment(found)) if found == segment));
}

#[tokio::test]
async fn uploads_without_progress_are_swept_and_their_number_is_limited() {
    let (dir, store) = gallery_of_two_blocks().await;
    for number in 0..64_u8 {
        let upload = UploadId([100 + number; 16]);
        store.begin_upload(GALLERY, upload, 10, [0; 32]).await.unwrap();
        store.append_upload(upload, 0, vec![1].into()).await.unwrap();
    }
    assert!(matches!(begin(&store).await, Err(Error::Limit { max: 64, found: 65, .. })));
    store.abandon_upload(UploadId([100; 16])).await.unwrap();
    let old = dir.path().join("uploads").join(UploadId([101; 16]).to_string());
    let day_before = SystemTime::now() - Duration::from_hours(25);
    File::options().append(true).open(&old).unwrap().set_modified(day_before).unwrap();
    let store = reopen(&dir, store).await;
    let gone = store.upload_status(GALLERY, UploadId([101; 16])).await;
    assert!(matches!(gone, Err(Error::UnknownUpload(_))));
    assert!(!old.exists());
    assert_eq!(store.upload_status(GALLERY, UploadId([102; 16])).await.unwrap().received_bytes, 1);
}

#[tokio::test]
async fn idle_uploads_make_room_while_the_store_is_open_and_live_ones_stay() {
    let (dir, store) = gallery_of_two_blocks().await;
    let age = |upload: UploadId| {
        let path = dir.path().join("uploads").join(upload.to_string());
        let past = SystemTime::now() - Duration::from_mins(61);
        File::options().append(true).open(path).unwrap().set_modified(past).unwrap();
    };
    for number in 0..64_u8 {
        // Every other one has no byte yet.
        let upload = UploadId([100 + number; 16]);
        store.begin_upload(GALLERY, upload, 10, [0; 32]).await.unwrap();
        if number % 2 == 0 {
            store.append_upload(upload, 0, vec![1].into()).await.unwrap();
        }
    }
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert_eq!(store.abandon_idle_uploads(now()).await.unwrap(), 0, "all were just begun");
    assert!(matches!(begin(&store).await, Err(Error::Limit { max: 64, .. })));
    for number in 0..4 {
        age(UploadId([100 + number; 16]));
    }
    // Continued, by another stream or by the same one.
    store.begin_upload(GALLERY, UploadId([100; 16]), 10, [0; 32]).await.unwrap();
    store.append_upload(UploadId([101; 16]), 0, vec![1].into()).await.unwrap();
    assert_eq!(store.abandon_idle_uploads(now()).await.unwrap(), 2);
    begin(&store).await.unwrap();
    assert_eq!(files(dir.path()).iter().filter(|file| file.starts_with("uploads")).count(), 63);
    let gone = store.append_upload(UploadId([102; 16]), 1, vec![1].into()).await;
    assert!(matches!(gone, Err(Error::UnknownUpload(_))));
}

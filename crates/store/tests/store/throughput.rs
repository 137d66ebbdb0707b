//! How fast bulk enrolment is: `cargo test -p tyto-store throughput -- --nocapture`.

use crate::support::{
    GALLERY, block_id, change, committed, manifest, mutation, new_gallery, noise, provision,
};
use std::time::Instant;
use tyto_store::Store;

#[tokio::test]
async fn bulk_enrolment_and_loading() {
    const BLOCKS: u64 = 24;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.create_gallery(new_gallery(GALLERY), None).await.unwrap();
    let blocks: Vec<_> = (0..BLOCKS).map(block_id).collect();
    assert_eq!(provision(&store, 0, &blocks, 2).await.unwrap(), committed(2));
    let slots: Vec<u16> = (0..2048).collect();
    let mutations: Vec<_> = (3..)
        .zip(&blocks)
        .map(|(version, &block)| {
            let mut change = change(block, 1, 0, &slots, &[]);
            change.sealed_record = noise(version, 12 << 10).into();
            let mut mutation = mutation(version, vec![change]);
            mutation.manifest.sealed = noise(version + 7, 20 << 10).into();
            mutation
        })
        .collect();
    let start = Instant::now();
    for mutation in mutations {
        let version = mutation.manifest.version;
        assert_eq!(store.apply(mutation, None).await.unwrap(), committed(version));
    }
    let templates = BLOCKS as f64 * 2048.0;
    println!("bulk enrolment: {:.0} templates/s", templates / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut loaded = 0;
    for &block in &blocks {
        loaded += store.load_deltas(GALLERY, block).await.unwrap().len();
    }
    assert_eq!(loaded as u64, BLOCKS * 2048);
    println!("loading: {:.0} templates/s", templates / start.elapsed().as_secs_f64());
    let start = Instant::now();
    for n in 0..200 {
        let (block, version) = (block_id(BLOCKS + n), 2 + BLOCKS + 2 * n);
        assert_eq!(provision(&store, 1 + n, &[block], version + 1).await.unwrap(), committed(version + 1));
        let one = mutation(version + 2, vec![change(block, 1, 0, &[5], &[])]);
        assert_eq!(one.manifest, manifest(version + 2));
        assert_eq!(store.apply(one, None).await.unwrap(), committed(version + 2));
    }
    println!("one block and one template: {:.2} ms", start.elapsed().as_secs_f64() * 1000.0 / 200.0);
}

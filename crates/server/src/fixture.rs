//! A server's state without its transport, for unit tests.

use crate::app::{App, Keys};
use crate::config::Config;
use crate::service::galleries;
use crate::service::provision::Upload;
use crate::site::Site;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::watch;
use tyto_access::Caller;
use tyto_api::gallery::{
    Chunk, CreateGallery, ManifestUpdate, ProvisionCommit, ProvisionHeader, SealedRecord,
};
use tyto_engine::{Block, BlockState, Gallery};
use tyto_kernels::Poly;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::segment::{write_block, write_header};
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, UploadId};
use tyto_store::Store;

pub(crate) async fn app(adjust: impl FnOnce(&mut Config)) -> (TempDir, Arc<Site>) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::local(dir.path());
    adjust(&mut config);
    let store = Store::open(dir.path()).await.unwrap();
    let keys = Keys::load_or_create(&config).unwrap();
    let app = Arc::new(App::start(config, store, keys, watch::channel(false).1).await.unwrap());
    (dir, Site::of(&app, &Caller::local()))
}

/// A gallery in memory alone.
pub(crate) fn gallery_of(blocks: u16) -> Arc<Gallery> {
    let parameters = GalleryParameters::new(GalleryId([1; 16]), 1, 8, 8, 0, KeyId([2; 16])).unwrap();
    let block = |number: u16| {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_le_bytes());
        let state = BlockState {
            id: BlockId(id),
            version: 1,
            changed_at: 1,
            record: Arc::from(*b"record"),
            record_digest: [0; 32],
            entries: 0,
        };
        let mut poly = Poly::zero();
        poly.as_mut_slice()[usize::from(number) % 2048] = 1 + u64::from(number);
        Block::from_polynomials(&parameters.layout, state, vec![poly], &[], &[])
    };
    let blocks = (0..blocks).map(block).collect();
    Arc::new(Gallery::new(parameters, 1, Arc::from(*b"manifest"), blocks).unwrap())
}

/// A gallery at manifest version 2 with a block of zero polynomials.
pub(crate) async fn gallery_of_one_block(app: &Arc<Site>) -> (GalleryParameters, BlockId) {
    let gallery = GalleryId([1; 16]);
    let parameters = GalleryParameters::new(gallery, 1, 8, 8, 0, KeyId([2; 16])).unwrap();
    let sealed = |fill: u8| vec![fill; 50].into();
    let creation = CreateGallery { parameters, sealed_descriptor: sealed(0), sealed_manifest: sealed(1) };
    galleries::create(app.clone(), creation).await.unwrap();
    let (block, upload) = (BlockId([3; 16]), UploadId([4; 16]));
    let polynomials: Vec<_> = (0..parameters.layout.chunks()).map(|_| Poly::zero()).collect();
    let mut bytes = Vec::new();
    write_header(&parameters, 1, &mut bytes);
    write_block(block, &polynomials, &mut bytes);
    let (total_bytes, digest) = (bytes.len() as u64, sha3_256(&[&bytes]));
    let header = ProvisionHeader { gallery, upload, total_bytes, digest };
    let upload = Upload::begin(app.clone(), header).await.unwrap();
    upload.append(Chunk { offset: 0, data: bytes.into() }).await.unwrap();
    let records = vec![SealedRecord { block, version: 1, sealed: sealed(5) }];
    let manifest = ManifestUpdate { version: 2, sealed: sealed(2) };
    upload.commit(ProvisionCommit { records, manifest }).await.unwrap();
    (parameters, block)
}

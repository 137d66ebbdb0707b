//! What clients fetch: records with their slot maps, and deltas.

use crate::Error;
use crate::site::Site;
use crate::work::Patience;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tyto_api::gallery::{FetchDeltas, FetchRecords, RecordPart, SealedRecord, StoredDelta};
use tyto_engine::{Block, Snapshot};
use tyto_scheme::{BlockId, GalleryId};
use tyto_store::Store;

/// Messages that wait for a slow client.
const QUEUE: usize = 4;
/// How long a client may take for a message, on average. Many records take long on a slow line.
const SLOWEST_AVERAGE: Duration = Duration::from_secs(2);

/// Streams the manifest and the changed records of one snapshot.
pub(crate) fn fetch(
    app: &Arc<Site>,
    request: FetchRecords,
) -> Result<mpsc::Receiver<Result<RecordPart, Error>>, Error> {
    let snapshot = app.galleries.get(request.gallery)?.resident().snapshot();
    let (sender, parts) = mpsc::channel(QUEUE);
    let work = app.work.clone();
    let app = app.clone();
    work.spawn(async move {
        let mut patience = Patience::with_progress(SLOWEST_AVERAGE);
        let result = send(&app.store, &snapshot, request, &sender, &mut patience).await;
        if let Err(error) = result {
            // The client may be gone, which is no fault.
            let _ = patience.send(&sender, Err(error)).await;
        }
    });
    Ok(parts)
}

async fn send(
    store: &Store,
    snapshot: &Snapshot,
    request: FetchRecords,
    sender: &mpsc::Sender<Result<RecordPart, Error>>,
    patience: &mut Patience,
) -> Result<(), Error> {
    let known: HashMap<BlockId, u32> = request.known_entries.into_iter().collect();
    let changed: Vec<&Arc<Block>> = snapshot
        .blocks()
        .iter()
        .filter(|block| block.state().changed_at > request.known_manifest_version)
        .collect();
    let manifest = RecordPart::Manifest {
        version: snapshot.manifest_version(),
        sealed: Bytes::from_owner(snapshot.sealed_manifest().clone()),
        changed_blocks: changed.len() as u64,
    };
    if !patience.send(sender, Ok(manifest)).await {
        return Ok(());
    }
    for block in changed {
        let first_entry = known.get(&block.id()).copied().unwrap_or(0);
        let part = record(store, request.gallery, block, first_entry).await?;
        if !patience.send(sender, Ok(part)).await {
            return Ok(());
        }
    }
    Ok(())
}

/// The record of a block and the entries of exactly its version. Entries are only ever appended, so that those of
/// an older version are still there.
async fn record(store: &Store, gallery: GalleryId, block: &Block, known: u32) -> Result<RecordPart, Error> {
    let state = block.state();
    let first_entry = known.min(state.entries);
    let entries = if first_entry < state.entries {
        store.entries(gallery, state.id, first_entry, state.entries).await?
    } else {
        Vec::new()
    };
    if entries.len() as u32 != state.entries - first_entry {
        return Err(tyto_store::Error::Corrupt(tyto_store::Object::Row("entries")).into());
    }
    Ok(RecordPart::Block { record: sealed_record(block), first_entry, entries })
}

/// A block's record as it is sent.
pub(crate) fn sealed_record(block: &Block) -> SealedRecord {
    let state = block.state();
    SealedRecord { block: state.id, version: state.version, sealed: Bytes::from_owner(state.record.clone()) }
}

/// The deltas of some slots of a block; slots that hold no template are left out.
pub(crate) async fn deltas(app: &Site, request: FetchDeltas) -> Result<Vec<StoredDelta>, Error> {
    let parameters = *app.galleries.get(request.gallery)?.resident().parameters();
    for &slot in &request.slots {
        parameters
            .layout
            .check_slot(slot.into())
            .map_err(|source| Error::Field { field: "slots", source })?;
    }
    let deltas = app.store.deltas(request.gallery, request.block, &request.slots).await?;
    let delta =
        |delta: tyto_store::StoredDelta| StoredDelta { slot: delta.slot, delta: delta.delta, tag: delta.tag };
    Ok(deltas.into_iter().map(delta).collect())
}

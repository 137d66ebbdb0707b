//! From the store into memory: at start, and when memory and store are found to differ.

use crate::Error;
use crate::config::cores;
use crate::galleries::{Entry, Galleries};
use crate::work::compute;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use std::time::Instant;
use tyto_engine::{Block, BlockState, Filled, Gallery};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::segment::Segment;
use tyto_scheme::{Delta, GalleryParameters};
use tyto_store::{BlockRow, Store};

/// Brings every gallery into memory, one after the other, each on all cores.
pub(crate) async fn load_all(store: &Store, galleries: &Galleries) -> Result<(), Error> {
    for row in store.galleries().await? {
        let (tenant, id) = (row.tenant, row.parameters.gallery);
        let failed = |source| Error::Load { gallery: id, source: Box::new(source) };
        let (descriptor, created_ms) = (row.sealed_descriptor.clone(), row.created_ms);
        let gallery = load(&store.of(tenant), row).await.map_err(failed)?;
        galleries.insert((tenant, id), Entry::new(gallery, descriptor, created_ms));
    }
    Ok(())
}

/// Brings one gallery into memory.
pub(crate) async fn load(store: &Store, row: tyto_store::Gallery) -> Result<Gallery, Error> {
    let (started, parameters) = (Instant::now(), row.parameters);
    let rows = store.load_blocks(parameters.gallery).await?;
    let total = rows.len();
    // Blocks of one segment are consecutive: a segment is read once and dropped after its last block.
    let segments: Vec<Vec<BlockRow>> =
        rows.chunk_by(|a, b| a.segment == b.segment).map(<[BlockRow]>::to_vec).collect();
    let mut loads = stream::iter(segments)
        .map(|rows| load_segment(store.clone(), parameters, rows))
        .buffered(cores().get());
    let mut blocks = Vec::with_capacity(total);
    while let Some(loaded) = loads.try_next().await? {
        blocks.extend(loaded);
        tracing::info!(gallery = %parameters.gallery, blocks = blocks.len(), total, "loading");
    }
    let sealed_manifest = Arc::from(&row.manifest.sealed[..]);
    let gallery =
        compute(move || Ok(Gallery::new(parameters, row.manifest.version, sealed_manifest, blocks)?)).await?;
    tracing::info!(
        gallery = %parameters.gallery,
        templates = gallery.snapshot().templates(),
        resident_bytes = gallery.resident_bytes(),
        elapsed_ms = started.elapsed().as_millis() as u64,
        "loaded"
    );
    Ok(gallery)
}

async fn load_segment(
    store: Store,
    parameters: GalleryParameters,
    rows: Vec<BlockRow>,
) -> Result<Vec<Block>, Error> {
    let Some(segment) = rows.first().map(|row| row.segment) else { return Ok(Vec::new()) };
    let bytes = store.read_segment(segment).await?;
    let mut blocks = Vec::with_capacity(rows.len());
    for row in rows {
        let filled = store.load_deltas(parameters.gallery, row.block).await?;
        let burnt = store.burnt_slots(parameters.gallery, row.block).await?;
        let bytes = bytes.clone();
        blocks.push(compute(move || load_block(&parameters, &bytes, &row, filled, &burnt)).await?);
    }
    Ok(blocks)
}

fn load_block(
    parameters: &GalleryParameters,
    segment: &Bytes,
    row: &BlockRow,
    filled: Vec<tyto_store::FilledSlot>,
    burnt: &[u16],
) -> Result<Block, Error> {
    let stored = |source| Error::Field { field: "stored block", source };
    let segment = Segment::parse(parameters, segment).map_err(stored)?;
    let index = row.index_in_segment as usize;
    if segment.block_ids().get(index) != Some(&row.block) {
        return Err(Error::BlockPlace(row.block));
    }
    let template = |slot: tyto_store::FilledSlot| {
        let number = parameters.layout.check_slot(slot.slot.into())?;
        let delta = Delta::from_bytes(&parameters.layout, &slot.delta)?;
        Ok(Filled { slot: number, subject: slot.subject, delta })
    };
    let filled: Vec<Filled> = filled.into_iter().map(template).collect::<Result<_, _>>().map_err(stored)?;
    for &slot in burnt {
        parameters.layout.check_slot(slot.into()).map_err(stored)?;
    }
    let polynomials = segment.polynomials(index).map_err(stored)?;
    let state = BlockState {
        id: row.block,
        version: row.version,
        changed_at: row.changed_at,
        record_digest: sha3_256(&[&row.sealed_record]),
        record: Arc::from(&row.sealed_record[..]),
        entries: row.entries,
    };
    Ok(Block::from_polynomials(&parameters.layout, state, polynomials, &filled, burnt))
}

//! Enrolment and removal: check, store, install, and only then acknowledge.

use crate::Error;
use crate::galleries::Entry;
use crate::load;
use crate::service::change::{Change, State};
use crate::site::Site;
use crate::work::compute;
use std::sync::Arc;
use tyto_api::content;
use tyto_api::gallery::{BlockChange, LoggedChange, Mutation, Outcome};
use tyto_api::limits::MAX_ENTRIES_PER_BLOCK;
use tyto_attest::GalleryOperation;
use tyto_engine::{BlockUpdate, Gallery, Removal, Write};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::{Delta, GalleryId};
use tyto_store::{BlockMutation, LogEntry, MAX_DELTAS_PER_CALL, SealedManifest, Store};

/// How a change ended, and what the log says of it if this very call made it.
pub(crate) type Applied = (Outcome, Option<LoggedChange>);

/// Applies an enrolment or a removal. Must run to its end once begun: [`crate::work::Work::detached`].
pub(crate) async fn apply(
    app: Arc<Site>,
    operation: GalleryOperation,
    mutation: Mutation,
) -> Result<Applied, Error> {
    let id = mutation.gallery;
    let entry = app.galleries.get(id)?;
    let _writer = entry.writer.lock().await;
    let Some(gallery) = follows(&app, id, &entry, mutation.manifest.version).await? else {
        // Either a repetition of the latest mutation, which the store recognises, or a conflict.
        let outcome = store(&app, mutation, None).await??;
        return Ok((settle(&app, id, &entry, outcome).await?, None));
    };
    let current = gallery.snapshot().manifest_version();
    if is_stale(&gallery, &mutation.changes) {
        return Ok((Outcome::Conflict { manifest_version: current }, None));
    }
    check_entries(&gallery, &mutation.changes)?;
    let change = match change(&app.store, &gallery, &mutation).await {
        Ok(change) => change,
        Err(error) => {
            if app.store.gallery(id).await?.manifest.version == current {
                return Err(error);
            }
            // The store is ahead of memory: it says whether this is a repetition.
            let outcome = store(&app, mutation, None).await??;
            return Ok((settle(&app, id, &entry, outcome).await?, None));
        }
    };
    let counts =
        (count(&mutation, |change| change.writes.len()), count(&mutation, |change| change.removals.len()));
    let (preparing, logging) = (gallery.clone(), app.clone());
    let (prepared, logged, mutation) = compute(move || {
        let prepared = preparing.prepare(change)?;
        let (items, state) = ((counts.0 + counts.1) as u64, State::of(prepared.next()));
        let request = |out: &mut _| content::change::mutation(&mutation, out);
        let logged = Change::new(&logging, id, operation, items, state, request)?;
        Ok((prepared, logged, mutation))
    })
    .await?;
    let outcome = match store(&app, mutation, Some(logged.entry.clone())).await? {
        Ok(outcome) => outcome,
        Err(error) => return Err(unclear(&app, id, &entry, error).await),
    };
    if !matches!(outcome, tyto_store::Outcome::Committed { .. }) {
        return Ok((settle(&app, id, &entry, outcome).await?, None));
    }
    app.work.free(gallery.install(prepared)?);
    app.metrics.templates_enrolled.add(counts.0);
    app.metrics.templates_removed.add(counts.1);
    tracing::info!(
        gallery = %id,
        manifest_version = current + 1,
        written = counts.0,
        removed = counts.1,
        "mutation committed"
    );
    Ok((Outcome::Committed { manifest_version: current + 1 }, Some(logged.committed(&app))))
}

/// The gallery, if a change that makes this manifest version follows on it. If it seems not to, memory may be behind the
/// store, which would then take the change: it is brought up to date first, so that whatever is committed is logged.
pub(crate) async fn follows(
    app: &Site,
    id: GalleryId,
    entry: &Entry,
    version: u64,
) -> Result<Option<Arc<Gallery>>, Error> {
    let follows = |gallery: &Arc<Gallery>| version == gallery.snapshot().manifest_version() + 1;
    let gallery = entry.resident();
    if follows(&gallery) {
        return Ok(Some(gallery));
    }
    refresh(app, id, entry).await?;
    Ok(Some(entry.resident()).filter(follows))
}

/// Stores a mutation, on threads that do not give way: it holds the only writer, which every use of a ticket waits for.
async fn store(
    app: &Site,
    mutation: Mutation,
    logged: Option<LogEntry>,
) -> Result<Result<tyto_store::Outcome, tyto_store::Error>, Error> {
    let (store, mutation) = (app.store.clone(), stored(mutation));
    app.work.in_foreground(async move { store.apply(mutation, logged.as_ref()).await }).await
}

/// After a change that the store refused or failed at: a failure of the database leaves unknown whether it took effect,
/// so memory is brought to what is stored. If that fails as well, the next change finds the difference.
pub(crate) async fn unclear(app: &Site, id: GalleryId, entry: &Entry, error: tyto_store::Error) -> Error {
    if matches!(error, tyto_store::Error::Sql(_))
        && let Err(failed) = refresh(app, id, entry).await
    {
        tracing::error!(gallery = %id, error = %crate::status::chain(&failed), "memory may be behind the store");
    }
    error.into()
}

/// Reads the gallery again if the store has another version of it.
pub(crate) async fn refresh(app: &Site, id: GalleryId, entry: &Entry) -> Result<(), Error> {
    let row = app.store.gallery(id).await?;
    let (resident, stored) = (entry.resident().snapshot().manifest_version(), row.manifest.version);
    if stored != resident {
        tracing::error!(gallery = %id, error = %Error::Diverged { resident, stored }, "reading the gallery again");
        entry.replace(load::load(&app.store, row).await?);
    }
    Ok(())
}

/// Gives the store's verdict on what memory did not expect, after making sure that memory has the same state: a
/// commit that reported a failure may have happened.
pub(crate) async fn settle(
    app: &Site,
    id: GalleryId,
    entry: &Entry,
    outcome: tyto_store::Outcome,
) -> Result<Outcome, Error> {
    use tyto_store::Outcome as O;
    refresh(app, id, entry).await?;
    Ok(match outcome {
        O::Committed { manifest_version } | O::Repeated { manifest_version } => {
            Outcome::Committed { manifest_version }
        }
        O::Conflict { current } => Outcome::Conflict { manifest_version: current },
    })
}

fn count(mutation: &Mutation, of: impl Fn(&BlockChange) -> usize) -> usize {
    mutation.changes.iter().map(of).sum()
}

/// Whether a block is at another version than a change was made on.
fn is_stale(gallery: &Gallery, changes: &[BlockChange]) -> bool {
    let stale = |change: &BlockChange| {
        gallery.block(change.block).is_some_and(|block| block.version() != change.base_version)
    };
    changes.iter().any(stale)
}

fn check_entries(gallery: &Gallery, changes: &[BlockChange]) -> Result<(), Error> {
    for change in changes {
        let held = gallery.block(change.block).map_or(0, |block| block.state().entries);
        let found = u64::from(held) + change.entries.len() as u64;
        if found > MAX_ENTRIES_PER_BLOCK.into() {
            return Err(Error::Entries { block: change.block, found, max: MAX_ENTRIES_PER_BLOCK });
        }
    }
    Ok(())
}

/// What the engine computes of a mutation; reads the deltas of the templates that are removed.
async fn change(store: &Store, gallery: &Gallery, mutation: &Mutation) -> Result<tyto_engine::Change, Error> {
    let layout = &gallery.parameters().layout;
    let mut updates = Vec::with_capacity(mutation.changes.len());
    for change in &mutation.changes {
        let write = |write: &tyto_api::gallery::SlotWrite| {
            let delta = Delta::from_bytes(layout, &write.delta)
                .map_err(|source| Error::Field { field: "changes.writes.delta", source })?;
            Ok(Write { slot: write.slot.into(), subject: write.subject, delta })
        };
        updates.push(BlockUpdate {
            block: change.block,
            base_version: change.base_version,
            writes: change.writes.iter().map(write).collect::<Result<_, Error>>()?,
            removals: removals(store, gallery, change).await?,
            first_entry: change.first_entry,
            added_entries: change.entries.len() as u32,
            record: Arc::from(&change.sealed_record[..]),
            record_digest: sha3_256(&[&change.sealed_record]),
        });
    }
    Ok(tyto_engine::Change {
        manifest_version: mutation.manifest.version,
        sealed_manifest: Arc::from(&mutation.manifest.sealed[..]),
        provisioned: Vec::new(),
        updates,
    })
}

async fn removals(store: &Store, gallery: &Gallery, change: &BlockChange) -> Result<Vec<Removal>, Error> {
    let parameters = gallery.parameters();
    let mut removals = Vec::with_capacity(change.removals.len());
    for slots in change.removals.chunks(MAX_DELTAS_PER_CALL) {
        let deltas = store.deltas(parameters.gallery, change.block, slots).await?;
        for &slot in slots {
            parameters
                .layout
                .check_slot(slot.into())
                .map_err(|source| Error::Field { field: "changes.removals", source })?;
            let stored = deltas.iter().find(|delta| delta.slot == slot);
            let stored = stored.ok_or(tyto_engine::Error::SlotEmpty { block: change.block, slot })?;
            let delta = Delta::from_bytes(&parameters.layout, &stored.delta)
                .map_err(|source| Error::Field { field: "stored delta", source })?;
            removals.push(Removal { slot: slot.into(), delta });
        }
    }
    Ok(removals)
}

/// What the store keeps of a mutation.
fn stored(mutation: Mutation) -> tyto_store::Mutation {
    let write = |write: tyto_api::gallery::SlotWrite| tyto_store::Write {
        slot: write.slot,
        subject: write.subject,
        delta: write.delta,
        tag: write.tag,
    };
    let block = |change: BlockChange| BlockMutation {
        block: change.block,
        base_version: change.base_version,
        writes: change.writes.into_iter().map(write).collect(),
        removals: change.removals,
        first_entry: change.first_entry,
        entries: change.entries,
        sealed_record: change.sealed_record,
    };
    tyto_store::Mutation {
        gallery: mutation.gallery,
        changes: mutation.changes.into_iter().map(block).collect(),
        manifest: SealedManifest { version: mutation.manifest.version, sealed: mutation.manifest.sealed },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[tokio::test]
    async fn a_removal_that_memory_missed_is_recognised_when_it_is_repeated() {
        let (_dir, app) = fixture::app(|_| {}).await;
        let (parameters, block) = fixture::gallery_of_one_block(&app).await;
        let delta = Delta::new(&parameters.layout, vec![1; parameters.layout.padded_dimension()]).unwrap();
        let write = tyto_api::gallery::SlotWrite {
            slot: 3,
            subject: tyto_scheme::Pseudonym([5; 16]),
            delta: delta.to_bytes().into(),
            tag: [0; 16],
        };
        let change = |version: u8, writes: Vec<_>, removals: Vec<u16>| Mutation {
            gallery: parameters.gallery,
            changes: vec![BlockChange {
                block,
                base_version: u64::from(version) - 2,
                writes,
                removals,
                first_entry: u32::from(version) - 3,
                entries: vec![vec![version; 20].into()],
                sealed_record: vec![version; 30].into(),
            }],
            manifest: tyto_api::gallery::ManifestUpdate {
                version: version.into(),
                sealed: vec![version; 40].into(),
            },
        };
        let enrolment = change(3, vec![write], Vec::new());
        let (enrolled, logged) = apply(app.clone(), GalleryOperation::Enrol, enrolment).await.unwrap();
        assert!(logged.is_some());
        assert_eq!(enrolled, Outcome::Committed { manifest_version: 3 });
        let removal = change(4, Vec::new(), vec![3]);
        // As if the commit had reported a failure after it took effect, and the gallery could not be read again.
        let behind = app.store.apply(stored(removal.clone()), None).await.unwrap();
        assert_eq!(behind, tyto_store::Outcome::Committed { manifest_version: 4 });
        let repeated = apply(app.clone(), GalleryOperation::Remove, removal).await.unwrap();
        assert_eq!(repeated, (Outcome::Committed { manifest_version: 4 }, None));
        let snapshot = app.galleries.get(parameters.gallery).unwrap().resident().snapshot();
        assert_eq!((snapshot.manifest_version(), snapshot.templates()), (4, 0));
        let late =
            apply(app.clone(), GalleryOperation::Enrol, change(9, Vec::new(), Vec::new())).await.unwrap();
        assert_eq!(late, (Outcome::Conflict { manifest_version: 4 }, None));
        app.log.stop(std::time::Duration::from_mins(1)).await;
        let logged = app.store.log_tree().await.unwrap().size;
        assert_eq!(logged, 3, "the creation, the provisioning and the one enrolment");
    }
}

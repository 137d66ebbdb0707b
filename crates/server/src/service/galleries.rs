//! The life of galleries.

use crate::Error;
use crate::app::unix_ms;
use crate::galleries::Entry;
use crate::service::change::{Change, State};
use crate::service::mutation::refresh;
use crate::site::Site;
use crate::work::compute;
use std::sync::Arc;
use tyto_api::content;
use tyto_api::gallery::{
    CreateGallery, GalleryInfo, ListGalleries, ListTemplates, LoggedChange, TemplateLocation,
};
use tyto_attest::GalleryOperation;
use tyto_engine::Gallery;
use tyto_scheme::GalleryId;
use tyto_store::{Created, NewGallery, TemplateCursor};

pub(crate) async fn create(app: Arc<Site>, request: CreateGallery) -> Result<Option<LoggedChange>, Error> {
    let _lifecycle = app.galleries.all.lifecycle.lock().await;
    let (id, state) = (request.parameters.gallery, State::of_new(&request.sealed_manifest));
    let write = |out: &mut _| content::change::create(&request, out);
    let change = Change::new(&app, id, GalleryOperation::Create, 0, state, write)?;
    let CreateGallery { parameters, sealed_descriptor, sealed_manifest } = request;
    let max = app.config.limits.galleries;
    if app.galleries.all.len() >= max && app.galleries.get(id).is_err() {
        return Err(Error::TooManyGalleries { max });
    }
    let created_ms = unix_ms();
    let new = NewGallery {
        parameters,
        sealed_descriptor: sealed_descriptor.clone(),
        sealed_manifest: sealed_manifest.clone(),
        created_ms,
    };
    let (store, logged) = (app.store.clone(), change.entry.clone());
    let create = async move { store.create_gallery(new, Some(&logged)).await };
    let created = app.work.in_foreground(create).await??;
    if created == Created::New {
        let gallery = Gallery::new(parameters, 1, Arc::from(&sealed_manifest[..]), Vec::new())?;
        app.galleries.insert(id, Entry::new(gallery, sealed_descriptor, created_ms));
        tracing::info!(gallery = %id, "gallery created");
    } else if app.galleries.get(id).is_err() {
        // The store has it, memory does not: an earlier creation reported a failure after its commit.
        let row = app.store.gallery(id).await?;
        let (descriptor, created_ms) = (row.sealed_descriptor.clone(), row.created_ms);
        let gallery = crate::load::load(&app.store, row).await?;
        app.galleries.insert(id, Entry::new(gallery, descriptor, created_ms));
    }
    Ok((created == Created::New).then(|| change.committed(&app)))
}

/// Deletes a gallery. The log names the state that it was in.
pub(crate) async fn delete(app: Arc<Site>, id: GalleryId) -> Result<LoggedChange, Error> {
    let _lifecycle = app.galleries.all.lifecycle.lock().await;
    let entry = app.galleries.get(id)?;
    let _writer = entry.writer.lock().await;
    // Memory may be behind the store: a change, or an earlier deletion, reported a failure after its commit.
    if let Err(error) = refresh(&app, id, &entry).await {
        forget_if_gone(&app, id).await;
        return Err(error);
    }
    let (snapshot, logging) = (entry.resident().snapshot(), app.clone());
    let change = compute(move || {
        let (state, write) = (State::of(&snapshot), |out: &mut _| content::change::delete(id, out));
        Change::new(&logging, id, GalleryOperation::Delete, 0, state, write)
    })
    .await?;
    let (store, logged) = (app.store.clone(), change.entry.clone());
    let deleted =
        app.work.in_foreground(async move { store.delete_gallery(id, Some(&logged)).await }).await?;
    match deleted {
        Ok(()) => app.galleries.remove(id),
        // The gallery was there, and nobody else deletes it: if it is gone, the commit took effect.
        Err(error) => {
            if !forget_if_gone(&app, id).await {
                return Err(error.into());
            }
        }
    }
    tracing::info!(gallery = %id, "gallery deleted");
    Ok(change.committed(&app))
}

/// Removes a gallery from memory that the store says it does not have: true if so.
async fn forget_if_gone(app: &Site, id: GalleryId) -> bool {
    let gone = matches!(app.store.gallery(id).await, Err(tyto_store::Error::UnknownGallery(_)));
    if gone {
        app.galleries.remove(id);
    }
    gone
}

/// A page of the galleries that may be shown, and the id after which the next page begins.
pub(crate) fn list(
    app: &Site,
    request: ListGalleries,
    shown: impl Fn(GalleryId) -> bool,
) -> (Vec<GalleryInfo>, Option<GalleryId>) {
    let entries = app.galleries.page(request.after, request.page_size + 1, shown);
    let infos: Vec<_> = entries.iter().take(request.page_size).map(|entry| entry.info()).collect();
    let more = entries.len() > request.page_size;
    let next = infos.last().filter(|_| more).map(|info| info.parameters.gallery);
    (infos, next)
}

/// A page of templates, and the token of the next page.
pub(crate) async fn list_templates(
    app: &Site,
    request: ListTemplates,
) -> Result<(Vec<TemplateLocation>, Vec<u8>), Error> {
    let after = match &request.page_token[..] {
        [] => None,
        token => Some(
            TemplateCursor::from_bytes(token).ok_or(tyto_api::Error::PageToken { field: "page_token" })?,
        ),
    };
    let page = app.store.list_templates(request.gallery, after, request.page_size as u32).await?;
    let (templates, next) = page;
    let location = |at: tyto_store::TemplateLocation| TemplateLocation {
        subject: at.subject,
        block: at.block,
        slot: at.slot,
    };
    let token = next.map(|cursor| cursor.to_bytes().to_vec()).unwrap_or_default();
    Ok((templates.into_iter().map(location).collect(), token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use tyto_attest::{Claim, Statement};
    use tyto_store::{BlockMutation, Mutation, Outcome, SealedManifest};

    #[tokio::test]
    async fn the_log_names_the_state_that_was_deleted_even_if_memory_missed_it() {
        let (_dir, app) = fixture::app(|_| {}).await;
        let (parameters, block) = fixture::gallery_of_one_block(&app).await;
        let missed = Mutation {
            gallery: parameters.gallery,
            changes: vec![BlockMutation {
                block,
                base_version: 1,
                writes: Vec::new(),
                removals: Vec::new(),
                first_entry: 0,
                entries: vec![vec![3; 20].into()],
                sealed_record: vec![3; 30].into(),
            }],
            manifest: SealedManifest { version: 3, sealed: vec![3; 40].into() },
        };
        let behind = app.store.apply(missed, None).await.unwrap();
        assert_eq!(behind, Outcome::Committed { manifest_version: 3 });
        let logged = delete(app.clone(), parameters.gallery).await.unwrap();
        let Claim::Gallery(change) = Statement::decode(&logged.statement).unwrap().claim else { panic!() };
        assert_eq!((change.operation, change.manifest_version), (GalleryOperation::Delete, 3));
    }

    #[tokio::test]
    async fn a_deletion_that_memory_missed_is_noticed_when_it_is_repeated() {
        let (_dir, app) = fixture::app(|_| {}).await;
        let (parameters, _) = fixture::gallery_of_one_block(&app).await;
        app.store.delete_gallery(parameters.gallery, None).await.unwrap();
        let repeated = delete(app.clone(), parameters.gallery).await;
        let unknown = tyto_store::Error::UnknownGallery(parameters.gallery);
        assert!(matches!(&repeated, Err(Error::Store(error)) if error.to_string() == unknown.to_string()));
        assert!(app.galleries.get(parameters.gallery).is_err(), "nothing is matched against it any more");
    }
}

//! `tyto.gallery.v1.GalleryService`.

use super::{Answers, call, finish, next, next_until_drained};
use crate::Error;
use crate::app::App;
use crate::audit::{self, Notes, Open};
use crate::service::mutation::Applied;
use crate::service::provision::Upload;
use crate::service::{galleries, mutation, provision, records};
use crate::status::status;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Extensions, Request, Response, Status, Streaming};
use tyto_api::gallery::{Mutation, ProvisionPart, gallery_id, upload_of};
use tyto_api::proto::gallery::v1 as proto;
use tyto_api::proto::gallery::v1::gallery_service_server::GalleryService;
use tyto_attest::GalleryOperation;

/// The name of a method in the table of rights.
macro_rules! method {
    ($name:literal) => {
        concat!("tyto.gallery.v1.GalleryService/", $name)
    };
}

const PROVISION: &str = method!("Provision");
const ENROL: &str = method!("Enrol");

/// The handler.
pub(crate) struct GalleryHandler(pub(crate) Arc<App>);

#[tonic::async_trait]
impl GalleryService for GalleryHandler {
    async fn create_gallery(
        &self,
        request: Request<proto::CreateGalleryRequest>,
    ) -> Result<Response<proto::CreateGalleryResponse>, Status> {
        let app = &self.0;
        call(app, "CreateGallery", async {
            let site = app.authorise(request.extensions(), method!("CreateGallery"), None)?.site;
            let notes = Notes::of(request.extensions());
            let request = request.into_inner().try_into()?;
            let logged = app.work.in_background(galleries::create(site, request)).await?;
            notes.logged(logged.as_ref());
            Ok(proto::CreateGalleryResponse { logged: logged.map(Into::into) })
        })
        .await
    }

    async fn describe_gallery(
        &self,
        request: Request<proto::DescribeGalleryRequest>,
    ) -> Result<Response<proto::DescribeGalleryResponse>, Status> {
        call(&self.0, "DescribeGallery", async {
            let (extensions, id) = (request.extensions(), &request.get_ref().gallery_id);
            let site = self.0.authorise(extensions, method!("DescribeGallery"), Some(id))?.site;
            let entry = site.galleries.get(gallery_id(id)?)?;
            Ok(proto::DescribeGalleryResponse { gallery: Some(entry.info().into()) })
        })
        .await
    }

    async fn list_galleries(
        &self,
        request: Request<proto::ListGalleriesRequest>,
    ) -> Result<Response<proto::ListGalleriesResponse>, Status> {
        call(&self.0, "ListGalleries", async {
            let allowed = self.0.authorise(request.extensions(), method!("ListGalleries"), None)?;
            let request = request.into_inner().try_into()?;
            let (infos, next) = galleries::list(&allowed.site, request, allowed.may_see());
            Ok(proto::ListGalleriesResponse {
                galleries: infos.into_iter().map(Into::into).collect(),
                next_page_token: next.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(&id.0)),
            })
        })
        .await
    }

    async fn delete_gallery(
        &self,
        request: Request<proto::DeleteGalleryRequest>,
    ) -> Result<Response<proto::DeleteGalleryResponse>, Status> {
        let app = &self.0;
        call(app, "DeleteGallery", async {
            let (extensions, id) = (request.extensions(), &request.get_ref().gallery_id);
            let site = app.authorise(extensions, method!("DeleteGallery"), Some(id))?.site;
            let id = gallery_id(id)?;
            let logged = app.work.in_background(galleries::delete(site, id)).await?;
            Notes::of(extensions).logged(Some(&logged));
            Ok(proto::DeleteGalleryResponse { logged: Some(logged.into()) })
        })
        .await
    }

    async fn provision(
        &self,
        request: Request<Streaming<proto::ProvisionRequest>>,
    ) -> Result<Response<proto::ProvisionResponse>, Status> {
        call(&self.0, "Provision", async { Ok(receive_segment(&self.0, request).await?.into()) }).await
    }

    async fn get_upload(
        &self,
        request: Request<proto::GetUploadRequest>,
    ) -> Result<Response<proto::GetUploadResponse>, Status> {
        call(&self.0, "GetUpload", async {
            let (extensions, message) = (request.extensions(), request.get_ref());
            let site = self.0.authorise(extensions, method!("GetUpload"), Some(&message.gallery_id))?.site;
            let (gallery, upload) = upload_of(message)?;
            Ok(provision::status(&site, gallery, upload).await?.into())
        })
        .await
    }

    type EnrolStream = Answers<proto::EnrolResponse>;

    async fn enrol(
        &self,
        request: Request<Streaming<proto::EnrolRequest>>,
    ) -> Result<Response<Self::EnrolStream>, Status> {
        let denied = |error: Error| status("Enrol", &error);
        self.0.authorise(request.extensions(), ENROL, None).map_err(denied)?;
        audit::begin(request.extensions()).await.map_err(denied)?;
        // One request at a time: each is answered before the next is read. An error ends the stream.
        let (_, extensions, requests) = request.into_parts();
        let state = Some((self.0.clone(), extensions, requests));
        let answers = stream::unfold(state, async |state| {
            let (app, extensions, mut requests) = state?;
            let message = next_until_drained(&app, &mut requests).await.transpose()?;
            let started = Instant::now();
            let result = match message {
                Ok(message) => enrol_one(&app, &extensions, message).await,
                Err(error) => Err(error),
            };
            finish(&app, "Enrol", started, result.as_ref().err());
            match result {
                Ok(applied) => Some((Ok(applied.into()), Some((app, extensions, requests)))),
                Err(error) => Some((Err(status("Enrol", &error)), None)),
            }
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn remove(
        &self,
        request: Request<proto::RemoveRequest>,
    ) -> Result<Response<proto::RemoveResponse>, Status> {
        let app = &self.0;
        call(app, "Remove", async {
            let (extensions, id) = (request.extensions(), &request.get_ref().gallery_id);
            let site = app.authorise(extensions, method!("Remove"), Some(id))?.site;
            let (notes, message) = (Notes::of(extensions), request.into_inner());
            let apply = async move {
                mutation::apply(site, GalleryOperation::Remove, Mutation::from_remove(message)?).await
            };
            let applied = app.work.in_background(apply).await?;
            notes.logged(applied.1.as_ref());
            Ok(applied.into())
        })
        .await
    }

    async fn list_templates(
        &self,
        request: Request<proto::ListTemplatesRequest>,
    ) -> Result<Response<proto::ListTemplatesResponse>, Status> {
        call(&self.0, "ListTemplates", async {
            let (extensions, id) = (request.extensions(), &request.get_ref().gallery_id);
            let site = self.0.authorise(extensions, method!("ListTemplates"), Some(id))?.site;
            let (templates, token) =
                galleries::list_templates(&site, request.into_inner().try_into()?).await?;
            Ok(proto::ListTemplatesResponse {
                templates: templates.into_iter().map(Into::into).collect(),
                next_page_token: token.into(),
            })
        })
        .await
    }

    type FetchRecordsStream = Answers<proto::FetchRecordsResponse>;

    async fn fetch_records(
        &self,
        request: Request<proto::FetchRecordsRequest>,
    ) -> Result<Response<Self::FetchRecordsStream>, Status> {
        call(&self.0, "FetchRecords", async {
            let (extensions, id) = (request.extensions(), &request.get_ref().gallery_id);
            let site = self.0.authorise(extensions, method!("FetchRecords"), Some(id))?.site;
            audit::begin(extensions).await?;
            let parts = records::fetch(&site, request.into_inner().try_into()?)?;
            let answer = |part: Result<_, Error>| match part {
                Ok(part) => Ok(proto::FetchRecordsResponse::from(part)),
                Err(error) => Err(status("FetchRecords", &error)),
            };
            Ok(ReceiverStream::new(parts).map(answer).boxed() as Self::FetchRecordsStream)
        })
        .await
    }

    async fn fetch_deltas(
        &self,
        request: Request<proto::FetchDeltasRequest>,
    ) -> Result<Response<proto::FetchDeltasResponse>, Status> {
        call(&self.0, "FetchDeltas", async {
            let (extensions, id) = (request.extensions(), &request.get_ref().gallery_id);
            let site = self.0.authorise(extensions, method!("FetchDeltas"), Some(id))?.site;
            let deltas = records::deltas(&site, request.into_inner().try_into()?).await?;
            Ok(proto::FetchDeltasResponse { deltas: deltas.into_iter().map(Into::into).collect() })
        })
        .await
    }
}

/// Each change has a record of its own, and is acknowledged after that is written.
async fn enrol_one(
    app: &Arc<App>,
    extensions: &Extensions,
    message: proto::EnrolRequest,
) -> Result<Applied, Error> {
    let record = Open::message(extensions).await?;
    let applied = apply_one(app, extensions, message).await;
    if let Some(record) = record {
        record.finish(applied.as_ref().err()).await?;
    }
    applied
}

/// What was revoked while the stream was open is denied here.
async fn apply_one(
    app: &Arc<App>,
    extensions: &Extensions,
    message: proto::EnrolRequest,
) -> Result<Applied, Error> {
    let site = app.authorise(extensions, ENROL, Some(&message.gallery_id))?.site;
    let apply =
        async move { mutation::apply(site, GalleryOperation::Enrol, Mutation::from_enrol(message)?).await };
    let applied = app.work.in_background(apply).await?;
    Notes::of(extensions).logged(applied.1.as_ref());
    Ok(applied)
}

/// Header, chunks, commit.
async fn receive_segment(
    app: &Arc<App>,
    request: Request<Streaming<proto::ProvisionRequest>>,
) -> Result<Applied, Error> {
    app.authorise(request.extensions(), PROVISION, None)?;
    let (_, extensions, mut stream) = request.into_parts();
    let first = next(app, &mut stream).await?.ok_or(Error::StreamOrder("the header is missing"))?;
    let ProvisionPart::Header(header) = first.try_into()? else {
        return Err(Error::StreamOrder("the header is not first"));
    };
    let gallery = header.gallery;
    let site = app.authorise(&extensions, PROVISION, Some(&gallery.0))?.site;
    audit::begin(&extensions).await?;
    let upload = Upload::begin(site, header).await?;
    while let Some(message) = next(app, &mut stream).await? {
        app.authorise(&extensions, PROVISION, Some(&gallery.0))?;
        match message.try_into()? {
            ProvisionPart::Header(_) => return Err(Error::StreamOrder("there is a second header")),
            ProvisionPart::Chunk(chunk) => upload.append(chunk).await?,
            ProvisionPart::Commit(commit) => {
                let applied = upload.commit(commit).await?;
                Notes::of(&extensions).logged(applied.1.as_ref());
                return Ok(applied);
            }
        }
    }
    Err(Error::StreamOrder("it ended without a commit"))
}

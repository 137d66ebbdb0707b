//! `tyto.gallery.v1.GalleryService`.

use super::{Answers, call, finish, next, next_until_drained};
use crate::Error;
use crate::app::App;
use crate::service::mutation::Applied;
use crate::service::provision::Upload;
use crate::service::{galleries, mutation, provision, records};
use crate::status::status;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tyto_api::gallery::{Mutation, ProvisionPart, gallery_id, upload_of};
use tyto_api::proto::gallery::v1 as proto;
use tyto_api::proto::gallery::v1::gallery_service_server::GalleryService;
use tyto_attest::GalleryOperation;

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
            let request = request.into_inner().try_into()?;
            let logged = app.work.in_background(galleries::create(app.clone(), request)).await?;
            Ok(proto::CreateGalleryResponse { logged: logged.map(Into::into) })
        })
        .await
    }

    async fn describe_gallery(
        &self,
        request: Request<proto::DescribeGalleryRequest>,
    ) -> Result<Response<proto::DescribeGalleryResponse>, Status> {
        call(&self.0, "DescribeGallery", async {
            let entry = self.0.galleries.get(gallery_id(&request.into_inner().gallery_id)?)?;
            Ok(proto::DescribeGalleryResponse { gallery: Some(entry.info().into()) })
        })
        .await
    }

    async fn list_galleries(
        &self,
        request: Request<proto::ListGalleriesRequest>,
    ) -> Result<Response<proto::ListGalleriesResponse>, Status> {
        call(&self.0, "ListGalleries", async {
            let (infos, next) = galleries::list(&self.0, request.into_inner().try_into()?);
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
            let id = gallery_id(&request.into_inner().gallery_id)?;
            let logged = app.work.in_background(galleries::delete(app.clone(), id)).await?;
            Ok(proto::DeleteGalleryResponse { logged: Some(logged.into()) })
        })
        .await
    }

    async fn provision(
        &self,
        request: Request<Streaming<proto::ProvisionRequest>>,
    ) -> Result<Response<proto::ProvisionResponse>, Status> {
        call(&self.0, "Provision", async { Ok(receive_segment(&self.0, request.into_inner()).await?.into()) })
            .await
    }

    async fn get_upload(
        &self,
        request: Request<proto::GetUploadRequest>,
    ) -> Result<Response<proto::GetUploadResponse>, Status> {
        call(&self.0, "GetUpload", async {
            let (gallery, upload) = upload_of(&request.into_inner())?;
            Ok(provision::status(&self.0, gallery, upload).await?.into())
        })
        .await
    }

    type EnrolStream = Answers<proto::EnrolResponse>;

    async fn enrol(
        &self,
        request: Request<Streaming<proto::EnrolRequest>>,
    ) -> Result<Response<Self::EnrolStream>, Status> {
        // One request at a time: each is answered before the next is read. An error ends the stream.
        let state = Some((self.0.clone(), request.into_inner()));
        let answers = stream::unfold(state, async |state| {
            let (app, mut requests) = state?;
            let message = next_until_drained(&app, &mut requests).await.transpose()?;
            let started = Instant::now();
            let result = match message {
                Ok(message) => enrol_one(&app, message).await,
                Err(error) => Err(error),
            };
            finish(&app, "Enrol", started, result.as_ref().err());
            match result {
                Ok(applied) => Some((Ok(applied.into()), Some((app, requests)))),
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
            let (message, applying) = (request.into_inner(), app.clone());
            let apply = async move {
                mutation::apply(applying, GalleryOperation::Remove, Mutation::from_remove(message)?).await
            };
            Ok(app.work.in_background(apply).await?.into())
        })
        .await
    }

    async fn list_templates(
        &self,
        request: Request<proto::ListTemplatesRequest>,
    ) -> Result<Response<proto::ListTemplatesResponse>, Status> {
        call(&self.0, "ListTemplates", async {
            let (templates, token) =
                galleries::list_templates(&self.0, request.into_inner().try_into()?).await?;
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
            let parts = records::fetch(&self.0, request.into_inner().try_into()?)?;
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
            let deltas = records::deltas(&self.0, request.into_inner().try_into()?).await?;
            Ok(proto::FetchDeltasResponse { deltas: deltas.into_iter().map(Into::into).collect() })
        })
        .await
    }
}

async fn enrol_one(app: &Arc<App>, message: proto::EnrolRequest) -> Result<Applied, Error> {
    let applying = app.clone();
    app.work
        .in_background(async move {
            mutation::apply(applying, GalleryOperation::Enrol, Mutation::from_enrol(message)?).await
        })
        .await
}

/// Header, chunks, commit.
async fn receive_segment(
    app: &Arc<App>,
    mut stream: Streaming<proto::ProvisionRequest>,
) -> Result<Applied, Error> {
    let first = next(app, &mut stream).await?.ok_or(Error::StreamOrder("the header is missing"))?;
    let ProvisionPart::Header(header) = first.try_into()? else {
        return Err(Error::StreamOrder("the header is not first"));
    };
    let upload = Upload::begin(app.clone(), header).await?;
    while let Some(message) = next(app, &mut stream).await? {
        match message.try_into()? {
            ProvisionPart::Header(_) => return Err(Error::StreamOrder("there is a second header")),
            ProvisionPart::Chunk(chunk) => upload.append(chunk).await?,
            ProvisionPart::Commit(commit) => return upload.commit(commit).await,
        }
    }
    Err(Error::StreamOrder("it ended without a commit"))
}

//! `tyto.matching.v1.MatchingService`.

use super::{Answers, call, next};
use crate::Error;
use crate::app::App;
use crate::arrival::Arrival;
use crate::audit::{self, Notes};
use crate::service::parts::Parts;
use crate::service::tickets::TicketUpload;
use crate::service::{identify, verify};
use crate::status::status;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status, Streaming};
use tyto_api::matching::{IdentifyPart, TicketPart, Verify};
use tyto_api::proto::matching::v1 as proto;
use tyto_api::proto::matching::v1::matching_service_server::MatchingService;

/// Load balancers cut streams that are silent for 30 s or more; the interface promises 15 s.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The name of a method in the table of rights.
macro_rules! method {
    ($name:literal) => {
        concat!("tyto.matching.v1.MatchingService/", $name)
    };
}

const UPLOAD_TICKET: &str = method!("UploadTicket");

/// The handler.
pub(crate) struct MatchingHandler(pub(crate) Arc<App>);

#[tonic::async_trait]
impl MatchingService for MatchingHandler {
    async fn upload_ticket(
        &self,
        request: Request<Streaming<proto::UploadTicketRequest>>,
    ) -> Result<Response<proto::UploadTicketResponse>, Status> {
        call(&self.0, "UploadTicket", async {
            let expires_unix_ms = receive_ticket(&self.0, request).await?;
            Ok(proto::UploadTicketResponse { expires_unix_ms })
        })
        .await
    }

    async fn verify(
        &self,
        request: Request<proto::VerifyRequest>,
    ) -> Result<Response<proto::VerifyResponse>, Status> {
        let app = &self.0;
        call(app, "Verify", async {
            let (extensions, id) = (request.extensions(), &request.get_ref().gallery_id);
            let site = app.authorise(extensions, method!("Verify"), Some(id))?.site;
            let (arrived, notes) = (Arrival::of(extensions), Notes::of(extensions));
            let request: Verify = request.into_inner().try_into()?;
            notes.subject(request.subject);
            let answer = verify::verify(&site, request, arrived).await?;
            notes.attested(answer.attestation.as_ref());
            Ok(answer.into())
        })
        .await
    }

    type IdentifyStream = Answers<proto::IdentifyResponse>;

    async fn identify(
        &self,
        request: Request<proto::IdentifyRequest>,
    ) -> Result<Response<Self::IdentifyStream>, Status> {
        let app = &self.0;
        call(app, "Identify", async {
            let (extensions, id) = (request.extensions(), &request.get_ref().gallery_id);
            let site = app.authorise(extensions, method!("Identify"), Some(id))?.site;
            audit::begin(extensions).await?;
            let (arrived, notes) = (Arrival::of(extensions), Notes::of(extensions));
            let request = request.into_inner().try_into()?;
            Ok(with_progress(identify::identify(&site, request, arrived).await?, HEARTBEAT, notes))
        })
        .await
    }
}

/// The parts as messages, with a sign of life whenever none comes for a while.
fn with_progress(parts: Parts, heartbeat: Duration, notes: Notes) -> Answers<proto::IdentifyResponse> {
    stream::unfold((parts, 0, notes), move |(mut parts, mut blocks_matched, notes)| async move {
        let part = match tokio::time::timeout(heartbeat, parts.next()).await {
            Ok(part) => part?,
            Err(_) => Ok(IdentifyPart::Progress { blocks_matched }),
        };
        if let Ok(IdentifyPart::Blocks(replies)) = &part {
            blocks_matched += replies.len() as u64;
        }
        if let Ok(IdentifyPart::Trailer { attestation, .. }) = &part {
            notes.attested(attestation.as_ref());
        }
        let message = part.map(Into::into).map_err(|error| status("Identify", &error));
        Some((message, (parts, blocks_matched, notes)))
    })
    .boxed()
}

/// Header, then chunks to the end.
async fn receive_ticket(
    app: &Arc<App>,
    request: Request<Streaming<proto::UploadTicketRequest>>,
) -> Result<u64, Error> {
    app.authorise(request.extensions(), UPLOAD_TICKET, None)?;
    let (_, extensions, mut stream) = request.into_parts();
    let first = next(app, &mut stream).await?.ok_or(Error::StreamOrder("the header is missing"))?;
    let TicketPart::Header(header) = first.try_into()? else {
        return Err(Error::StreamOrder("the header is not first"));
    };
    let gallery = header.gallery;
    let site = app.authorise(&extensions, UPLOAD_TICKET, Some(&gallery.0))?.site;
    audit::begin(&extensions).await?;
    let mut upload = TicketUpload::begin(site, header).await?;
    let receive = async {
        while let Some(message) = next(app, &mut stream).await? {
            match message.try_into()? {
                TicketPart::Header(_) => return Err(Error::StreamOrder("there is a second header")),
                TicketPart::Chunk(chunk) => {
                    app.authorise(&extensions, UPLOAD_TICKET, Some(&gallery.0))?;
                    upload.append(&chunk)?;
                }
            }
        }
        app.authorise(&extensions, UPLOAD_TICKET, Some(&gallery.0))?;
        Ok(())
    };
    // The upload holds one of few permits: it has as long in all as a stream may be silent.
    let max_s = app.config.limits.idle_stream_s;
    let received = tokio::time::timeout(Duration::from_secs(max_s), receive).await;
    received.map_err(|_| Error::StreamSlow { max_s })??;
    app.work.in_background(upload.finish()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::Places;
    use crate::service::parts::{Held, channel};
    use crate::work::Patience;
    use tyto_api::proto::matching::v1::identify_response::Part;

    #[tokio::test]
    async fn a_silent_pass_gives_signs_of_life_that_count_what_was_sent() {
        let place = Arc::new(Places::new(1))
            .take((tyto_access::TenantId::BUILT_IN, tyto_scheme::GalleryId([1; 16])))
            .unwrap();
        let (mut sender, parts) = channel(Held::new(place), Patience::new());
        let mut answers = with_progress(parts, Duration::from_millis(20), Notes::default());
        let reply = tyto_api::matching::BlockReply {
            block: tyto_scheme::BlockId([1; 16]),
            version: 1,
            coefficients: bytes::Bytes::new(),
            sealed_record: None,
        };
        assert!(sender.send(Ok(IdentifyPart::Blocks(vec![reply.clone(), reply]))).await);
        assert!(matches!(answers.next().await.unwrap().unwrap().part, Some(Part::Blocks(_))));
        for _ in 0..2 {
            let part = answers.next().await.unwrap().unwrap().part;
            assert_eq!(part, Some(Part::Progress(proto::IdentifyProgress { blocks_matched: 2 })));
        }
        drop(sender);
        assert!(answers.next().await.is_none());
    }
}

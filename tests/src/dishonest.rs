//! A dishonest server: a proxy in front of an honest one that commits the fault it is told, and nothing else.

use bytes::Bytes;
use futures_util::StreamExt;
use gallery::gallery_service_client::GalleryServiceClient;
use gallery::gallery_service_server::{GalleryService, GalleryServiceServer};
use matching::matching_service_client::MatchingServiceClient;
use matching::matching_service_server::{MatchingService, MatchingServiceServer};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};
use tyto_api::content;
use tyto_api::gallery::{Mutation, ProvisionCommit, ProvisionHeader, ProvisionPart};
use tyto_api::limits::MAX_MESSAGE_BYTES;
use tyto_api::proto::gallery::v1 as gallery;
use tyto_api::proto::matching::v1 as matching;
use tyto_client::attest::digest::{DigestKind, salted};
use tyto_client::attest::{Claim, Statement};

type Tamper<T> = Box<dyn Fn(&mut T) + Send + Sync>;

/// Makes a stream of an answer's messages.
type Pace<T> = Box<dyn Fn(Vec<T>) -> Answers<T> + Send + Sync>;

/// What the proxy alters, as plain functions on the messages that pass.
#[derive(Default)]
pub struct Fault {
    /// The answer to a verification.
    pub verify_response: Option<Tamper<matching::VerifyResponse>>,
    /// A verification on its way in.
    pub verify_request: Option<Tamper<matching::VerifyRequest>>,
    /// All messages of the answer to an identification.
    pub identify_response: Option<Tamper<Vec<matching::IdentifyResponse>>>,
    /// How the answer to an identification is sent; all at once without.
    pub identify_pace: Option<Pace<matching::IdentifyResponse>>,
    /// An identification on its way in.
    pub identify_request: Option<Tamper<matching::IdentifyRequest>>,
    /// All messages of the answer to a synchronisation.
    pub records: Option<Tamper<Vec<gallery::FetchRecordsResponse>>>,
    /// An enrolment on its way in.
    pub enrol_request: Option<Tamper<gallery::EnrolRequest>>,
    /// The acknowledgement of an enrolment.
    pub enrol_response: Option<Tamper<gallery::EnrolResponse>>,
    /// A segment on its way in: the proxy makes its digest fit again.
    pub segment: Option<Tamper<Vec<u8>>>,
    /// A list of galleries on its way out.
    pub galleries: Option<Tamper<gallery::ListGalleriesResponse>>,
    /// Deltas on their way out.
    pub deltas: Option<Tamper<gallery::FetchDeltasResponse>>,
}

/// The proxy.
#[derive(Clone)]
pub struct Proxy {
    fault: Arc<Mutex<Fault>>,
    gallery: GalleryServiceClient<Channel>,
    matching: MatchingServiceClient<Channel>,
    endpoint: String,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({})", self.endpoint)
    }
}

impl Proxy {
    /// Starts a proxy in front of an honest server. It ends with the runtime.
    pub async fn start(upstream: &str) -> Self {
        let channel =
            Channel::from_shared(upstream.to_owned()).expect("a URL").connect().await.expect("it connects");
        let gallery = GalleryServiceClient::new(channel.clone())
            .max_decoding_message_size(2 * MAX_MESSAGE_BYTES)
            .max_encoding_message_size(2 * MAX_MESSAGE_BYTES);
        let matching = MatchingServiceClient::new(channel)
            .max_decoding_message_size(2 * MAX_MESSAGE_BYTES)
            .max_encoding_message_size(2 * MAX_MESSAGE_BYTES);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let proxy = Self { fault: Arc::default(), gallery, matching, endpoint };
        let server = Server::builder()
            .add_service(
                GalleryServiceServer::new(proxy.clone()).max_decoding_message_size(2 * MAX_MESSAGE_BYTES),
            )
            .add_service(
                MatchingServiceServer::new(proxy.clone()).max_decoding_message_size(2 * MAX_MESSAGE_BYTES),
            );
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        proxy
    }

    /// Where the proxy listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Commits this fault from now on.
    pub fn commit(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Is honest from now on.
    pub fn repent(&self) {
        self.commit(Fault::default());
    }

    fn tamper<T>(&self, select: impl Fn(&Fault) -> Option<&Tamper<T>>, message: &mut T) {
        if let Some(tamper) = select(&self.fault.lock().unwrap_or_else(PoisonError::into_inner)) {
            tamper(message);
        }
    }
}

/// A streamed answer.
pub type Answers<T> = futures_util::stream::BoxStream<'static, Result<T, Status>>;

/// Reads a stream to its end.
async fn collect<T>(mut stream: Streaming<T>) -> Result<Vec<T>, Status> {
    let mut all = Vec::new();
    while let Some(message) = stream.message().await? {
        all.push(message);
    }
    Ok(all)
}

fn replay<T: Send + 'static>(messages: Vec<T>) -> Response<Answers<T>> {
    Response::new(futures_util::stream::iter(messages.into_iter().map(Ok)).boxed())
}

/// Alters the bytes of an upload and makes header and chunks fit again.
fn alter_segment(messages: &mut Vec<gallery::ProvisionRequest>, alter: &Tamper<Vec<u8>>) {
    use gallery::provision_request::Part;
    let mut bytes = Vec::new();
    for message in messages.iter() {
        if let Some(Part::Chunk(chunk)) = &message.part {
            bytes.extend_from_slice(&chunk.data);
        }
    }
    alter(&mut bytes);
    let digest = tyto_pqc::digest::sha3_256(&[&bytes]);
    for message in messages {
        match &mut message.part {
            Some(Part::Header(header)) => header.digest = Bytes::copy_from_slice(&digest),
            Some(Part::Chunk(chunk)) => {
                let start = chunk.offset as usize;
                chunk.data = Bytes::copy_from_slice(&bytes[start..start + chunk.data.len()]);
            }
            _ => {}
        }
    }
}

/// Lets the log's entry of a change say what the client sent, as a server would that stored something else.
fn forge(logged: &mut Option<gallery::LoggedChange>, content: impl FnOnce(&mut Vec<u8>)) {
    let Some(logged) = logged else { return };
    let mut statement = Statement::decode(&logged.statement).expect("an honest entry");
    let Claim::Gallery(change) = &mut statement.claim else { panic!("an entry of a change") };
    let mut request = Vec::new();
    content(&mut request);
    let salt = logged.salt[..].try_into().expect("a salt");
    change.request_digest = salted(DigestKind::Request, &salt, &request);
    logged.statement = statement.encode().expect("as short as before").into();
}

/// The header and the commit of an upload.
fn ends(messages: &[gallery::ProvisionRequest]) -> Option<(ProvisionHeader, ProvisionCommit)> {
    let mut parts = messages.iter().filter_map(|message| ProvisionPart::try_from(message.clone()).ok());
    let Some(ProvisionPart::Header(header)) = parts.next() else { return None };
    let Some(ProvisionPart::Commit(commit)) = parts.last() else { return None };
    Some((header, commit))
}

#[tonic::async_trait]
impl GalleryService for Proxy {
    type EnrolStream = Answers<gallery::EnrolResponse>;
    type FetchRecordsStream = Answers<gallery::FetchRecordsResponse>;

    async fn create_gallery(
        &self,
        request: Request<gallery::CreateGalleryRequest>,
    ) -> Result<Response<gallery::CreateGalleryResponse>, Status> {
        self.gallery.clone().create_gallery(request.into_inner()).await
    }

    async fn describe_gallery(
        &self,
        request: Request<gallery::DescribeGalleryRequest>,
    ) -> Result<Response<gallery::DescribeGalleryResponse>, Status> {
        self.gallery.clone().describe_gallery(request.into_inner()).await
    }

    async fn list_galleries(
        &self,
        request: Request<gallery::ListGalleriesRequest>,
    ) -> Result<Response<gallery::ListGalleriesResponse>, Status> {
        let mut answer = self.gallery.clone().list_galleries(request.into_inner()).await?.into_inner();
        self.tamper(|fault| fault.galleries.as_ref(), &mut answer);
        Ok(Response::new(answer))
    }

    async fn delete_gallery(
        &self,
        request: Request<gallery::DeleteGalleryRequest>,
    ) -> Result<Response<gallery::DeleteGalleryResponse>, Status> {
        self.gallery.clone().delete_gallery(request.into_inner()).await
    }

    async fn provision(
        &self,
        request: Request<Streaming<gallery::ProvisionRequest>>,
    ) -> Result<Response<gallery::ProvisionResponse>, Status> {
        let mut messages = collect(request.into_inner()).await?;
        let sent = ends(&messages);
        if let Some(alter) = &self.fault.lock().unwrap_or_else(PoisonError::into_inner).segment {
            alter_segment(&mut messages, alter);
        }
        let mut answer = self.gallery.clone().provision(futures_util::stream::iter(messages)).await?;
        if let Some((header, commit)) = sent {
            forge(&mut answer.get_mut().logged, |out| content::change::provision(&header, &commit, out));
        }
        Ok(answer)
    }

    async fn get_upload(
        &self,
        request: Request<gallery::GetUploadRequest>,
    ) -> Result<Response<gallery::GetUploadResponse>, Status> {
        self.gallery.clone().get_upload(request.into_inner()).await
    }

    async fn enrol(
        &self,
        request: Request<Streaming<gallery::EnrolRequest>>,
    ) -> Result<Response<Self::EnrolStream>, Status> {
        let proxy = self.clone();
        let sent = Arc::new(Mutex::new(VecDeque::new()));
        let originals = Arc::clone(&sent);
        let requests = request.into_inner().filter_map(move |message| {
            let altered = message.ok().map(|mut message| {
                originals.lock().unwrap_or_else(PoisonError::into_inner).push_back(message.clone());
                proxy.tamper(|fault| fault.enrol_request.as_ref(), &mut message);
                message
            });
            futures_util::future::ready(altered)
        });
        let proxy = self.clone();
        let answers = self.gallery.clone().enrol(requests).await?.into_inner().map(move |answer| {
            let mut answer = answer?;
            let original = sent.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(Ok(mutation)) = original.map(Mutation::from_enrol) {
                forge(&mut answer.logged, |out| content::change::mutation(&mutation, out));
            }
            proxy.tamper(|fault| fault.enrol_response.as_ref(), &mut answer);
            Ok(answer)
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn remove(
        &self,
        request: Request<gallery::RemoveRequest>,
    ) -> Result<Response<gallery::RemoveResponse>, Status> {
        self.gallery.clone().remove(request.into_inner()).await
    }

    async fn list_templates(
        &self,
        request: Request<gallery::ListTemplatesRequest>,
    ) -> Result<Response<gallery::ListTemplatesResponse>, Status> {
        self.gallery.clone().list_templates(request.into_inner()).await
    }

    async fn fetch_records(
        &self,
        request: Request<gallery::FetchRecordsRequest>,
    ) -> Result<Response<Self::FetchRecordsStream>, Status> {
        let answers = self.gallery.clone().fetch_records(request.into_inner()).await?.into_inner();
        let mut answers = collect(answers).await?;
        self.tamper(|fault| fault.records.as_ref(), &mut answers);
        Ok(replay(answers))
    }

    async fn fetch_deltas(
        &self,
        request: Request<gallery::FetchDeltasRequest>,
    ) -> Result<Response<gallery::FetchDeltasResponse>, Status> {
        let mut answer = self.gallery.clone().fetch_deltas(request.into_inner()).await?.into_inner();
        self.tamper(|fault| fault.deltas.as_ref(), &mut answer);
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl MatchingService for Proxy {
    type IdentifyStream = Answers<matching::IdentifyResponse>;

    async fn upload_ticket(
        &self,
        request: Request<Streaming<matching::UploadTicketRequest>>,
    ) -> Result<Response<matching::UploadTicketResponse>, Status> {
        let messages = collect(request.into_inner()).await?;
        self.matching.clone().upload_ticket(futures_util::stream::iter(messages)).await
    }

    async fn verify(
        &self,
        request: Request<matching::VerifyRequest>,
    ) -> Result<Response<matching::VerifyResponse>, Status> {
        let mut request = request.into_inner();
        self.tamper(|fault| fault.verify_request.as_ref(), &mut request);
        let mut answer = self.matching.clone().verify(request).await?.into_inner();
        self.tamper(|fault| fault.verify_response.as_ref(), &mut answer);
        Ok(Response::new(answer))
    }

    async fn identify(
        &self,
        request: Request<matching::IdentifyRequest>,
    ) -> Result<Response<Self::IdentifyStream>, Status> {
        let mut request = request.into_inner();
        self.tamper(|fault| fault.identify_request.as_ref(), &mut request);
        let answers = self.matching.clone().identify(request).await?.into_inner();
        let mut answers = collect(answers).await?;
        self.tamper(|fault| fault.identify_response.as_ref(), &mut answers);
        Ok(match &self.fault.lock().unwrap_or_else(PoisonError::into_inner).identify_pace {
            Some(pace) => Response::new(pace(answers)),
            None => replay(answers),
        })
    }
}

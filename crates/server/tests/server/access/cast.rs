//! A server with two tenants, a principal of each role in both, and an operator; and calls of any method by name.

use bytes::{Buf, BufMut, Bytes};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;
use tokio_stream::Stream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tyto_access::{
    ApiKey, Grant, GrantId, KeyCheck, PrincipalId, PrincipalRecord, Records, Role, StoredKey, TenantId,
    TenantRecord,
};
use tyto_api::proto::admin::v1::admin_service_client::AdminServiceClient;
use tyto_api::proto::gallery::v1::gallery_service_client::GalleryServiceClient;
use tyto_pqc::Secret32;
use tyto_scheme::GalleryId;
use tyto_server::{Config, RunningServer, Server};
use tyto_store::Store;

pub(crate) const OWN: TenantId = TenantId([0xaa; 16]);
pub(crate) const OTHER: TenantId = TenantId([0xbb; 16]);

/// What a principal of the cast is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Part {
    /// It has no grant.
    Nothing,
    Holder(Role),
    Operator,
}

impl Part {
    pub(crate) const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Holder(Role::Admin),
        Self::Holder(Role::Enroller),
        Self::Holder(Role::Matcher),
        Self::Holder(Role::Auditor),
        Self::Operator,
    ];
}

/// The server's key for credentials.
const SERVER_KEY: [u8; 32] = [0x5e; 32];

pub(crate) struct Member {
    pub(crate) principal: PrincipalId,
    pub(crate) key: ApiKey,
}

pub(crate) struct Cast {
    pub(crate) config: Config,
    pub(crate) server: RunningServer,
    pub(crate) channel: Channel,
    pub(crate) members: BTreeMap<(TenantId, Part), Member>,
    pub(crate) dir: TempDir,
}

/// What is stored of a new key.
pub(crate) fn stored_key(key: &ApiKey, principal: PrincipalId, created_ms: u64) -> StoredKey {
    StoredKey {
        id: key.id(),
        principal,
        verifier: KeyCheck::new(Secret32::from_bytes(SERVER_KEY)).verifier(key),
        sealed_session: Vec::new(),
        created_ms,
        expires_ms: None,
        last_used_ms: 0,
        revoked_ms: None,
        rotated_from: None,
    }
}

pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as u64
}

fn random() -> [u8; 16] {
    tyto_pqc::random::bytes().unwrap()
}

pub(crate) fn grant(principal: PrincipalId, role: Role, gallery: Option<GalleryId>) -> Grant {
    Grant { id: GrantId(random()), principal, role, gallery, created_ms: now_ms(), expires_ms: None }
}

fn records(members: &mut BTreeMap<(TenantId, Part), Member>) -> Records {
    let mut records = Records::default();
    for (tenant, name) in [(OWN, "own"), (OTHER, "other")] {
        let name = name.into();
        records.tenants.push(TenantRecord { id: tenant, name, disabled: false, created_ms: now_ms() });
        for part in Part::ALL {
            let operator = part == Part::Operator;
            let (id, key) = (PrincipalId(random()), ApiKey::generate().unwrap());
            records.principals.push(PrincipalRecord {
                id,
                tenant: if operator { TenantId::BUILT_IN } else { tenant },
                name: format!("{tenant} {part:?}"),
                operator,
                disabled: false,
                created_ms: now_ms(),
            });
            records.keys.push(stored_key(&key, id, now_ms()));
            if let Part::Holder(role) = part {
                records.grants.push(grant(id, role, None));
            }
            members.insert((tenant, part), Member { principal: id, key });
        }
    }
    records
}

impl Cast {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::local(dir.path().join("data"));
        config.access.required = true;
        let mut members = BTreeMap::new();
        Store::open(&config.data_dir).await.unwrap();
        std::fs::write(config.data_dir.join("access-key"), SERVER_KEY).unwrap();
        change(&config.data_dir, async |store| store.add_access(&records(&mut members)).await.unwrap()).await;
        let server = Server::start(config.clone()).await.unwrap();
        let channel = crate::support::channel(&server).await;
        Self { config, server, channel, members, dir }
    }

    /// The same server after something was changed in its store while it did not run.
    pub(crate) async fn restart_after(self, change_store: impl AsyncFnOnce(&Store)) -> Self {
        let Self { config, server, channel, members, dir } = self;
        drop(channel);
        server.shutdown().await.unwrap();
        change(&config.data_dir, change_store).await;
        let server = Server::start(config.clone()).await.unwrap();
        let channel = crate::support::channel(&server).await;
        Self { config, server, channel, members, dir }
    }

    pub(crate) fn member(&self, tenant: TenantId, part: Part) -> &Member {
        &self.members[&(tenant, part)]
    }

    pub(crate) fn bearer(&self, tenant: TenantId, part: Part) -> String {
        format!("Bearer {}", *self.member(tenant, part).key.to_text())
    }

    /// Calls a method of any kind with one message, and gives how it ended: after its first answer, if it has one.
    pub(crate) async fn call(&self, method: &str, message: Bytes, bearer: Option<&str>) -> Status {
        let messages = tokio_stream::once(message);
        self.call_streaming(method, messages, bearer).await
    }

    pub(crate) async fn call_streaming(
        &self,
        method: &str,
        messages: impl Stream<Item = Bytes> + Send + 'static,
        bearer: Option<&str>,
    ) -> Status {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let mut request = Request::new(messages);
        if let Some(bearer) = bearer {
            request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        }
        let path = format!("/{method}").parse().unwrap();
        match grpc.streaming(request, path, Raw).await {
            Err(status) => status,
            Ok(answers) => match answers.into_inner().message().await {
                Err(status) => status,
                Ok(_) => Status::new(Code::Ok, ""),
            },
        }
    }

    /// A client for who may do what, with any bearer.
    pub(crate) fn admins(&self, bearer: &str) -> Admins {
        AdminServiceClient::with_interceptor(self.channel.clone(), Bearer(bearer.parse().unwrap()))
    }

    pub(crate) fn galleries(&self, tenant: TenantId, part: Part) -> Authorised {
        self.galleries_as(&self.bearer(tenant, part))
    }

    pub(crate) fn galleries_as(&self, bearer: &str) -> Authorised {
        GalleryServiceClient::with_interceptor(self.channel.clone(), Bearer(bearer.parse().unwrap()))
    }
}

/// A client that brings a credential.
pub(crate) type Admins = AdminServiceClient<InterceptedService<Channel, Bearer>>;

/// A client that brings a credential.
pub(crate) type Authorised = tyto_api::proto::gallery::v1::gallery_service_client::GalleryServiceClient<
    InterceptedService<Channel, Bearer>,
>;

#[derive(Clone)]
pub(crate) struct Bearer(tonic::metadata::AsciiMetadataValue);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Opens the store of a server that does not run.
async fn change(dir: &Path, work: impl AsyncFnOnce(&Store)) {
    let store = Store::open(dir).await.unwrap();
    work(&store).await;
    store.close().await;
    let freed = store.freed();
    drop(store);
    freed.await;
}

/// Messages as their bytes.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

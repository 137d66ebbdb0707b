//! A server, its clients, and a model of one gallery that knows what the server should answer.

use bytes::Bytes;
use std::collections::BTreeMap;
use tempfile::TempDir;
use tokio_stream::StreamExt;
use tonic::Status;
use tonic::transport::Channel;
use tyto_api::gallery::{
    BlockChange, Chunk, CreateGallery, ManifestUpdate, Mutation, Outcome, ProvisionCommit, ProvisionHeader,
    SealedRecord, SlotWrite,
};
use tyto_api::matching::{
    AttestationRequest, Identify, IdentifyPart, Probe, TicketHeader, TicketPart, TicketUse, Verify,
    VerifyAnswer, WholeQuery,
};
use tyto_api::proto::gallery::v1::gallery_service_client::GalleryServiceClient;
use tyto_api::proto::gallery::v1::{self as gallery, ProvisionRequest};
use tyto_api::proto::matching::v1::matching_service_client::MatchingServiceClient;
use tyto_kernels::{NttPoly, Poly, Q, forward, inverse};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::query::{Kind, QueryPolynomials, write_ticket};
use tyto_scheme::segment::{write_block, write_header};
use tyto_scheme::{
    BlockId, Delta, GalleryId, GalleryParameters, KeyId, Pseudonym, TicketId, UploadId, reply,
};
use tyto_server::{Config, RunningServer, Server};

pub(crate) type Galleries = GalleryServiceClient<Channel>;
pub(crate) type Matching = MatchingServiceClient<Channel>;

pub(crate) const KEY: KeyId = KeyId([7; 16]);

/// A small generator: the tests need many values, not good ones.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 3
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Bytes {
        (0..count).map(|_| self.next() as u8).collect()
    }

    pub(crate) fn array<const L: usize>(&mut self) -> [u8; L] {
        std::array::from_fn(|_| self.next() as u8)
    }

    pub(crate) fn polys(&mut self, count: usize) -> Vec<Poly> {
        let poly = |_| {
            let mut poly = Poly::zero();
            poly.as_mut_slice().fill_with(|| self.next() % Q);
            poly
        };
        (0..count).map(poly).collect()
    }

    pub(crate) fn delta(&mut self, parameters: &GalleryParameters) -> Delta {
        let count = parameters.layout.padded_dimension();
        Delta::new(&parameters.layout, (0..count).map(|_| (self.next() % 2039) as u16).collect()).unwrap()
    }
}

/// A server with a data directory of its own.
pub(crate) struct Fixture {
    pub(crate) config: Config,
    pub(crate) server: RunningServer,
    pub(crate) galleries: Galleries,
    pub(crate) matching: Matching,
    pub(crate) dir: TempDir,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::local(dir.path().join("data"));
        adjust(&mut config);
        Self::open(dir, config).await
    }

    async fn open(dir: TempDir, config: Config) -> Self {
        let server = Server::start(config.clone()).await.unwrap();
        let channel = channel(&server).await;
        let galleries = Galleries::new(channel.clone()).max_encoding_message_size(usize::MAX);
        let matching = Matching::new(channel).max_decoding_message_size(4 << 20);
        Self { config, server, galleries, matching, dir }
    }

    /// Stops the server and starts another on the same data.
    pub(crate) async fn restart(self) -> Self {
        let Self { config, server, galleries, matching, dir } = self;
        drop((galleries, matching));
        server.shutdown().await.unwrap();
        Self::open(dir, config).await
    }
}

pub(crate) async fn channel(server: &RunningServer) -> Channel {
    let address = format!("http://{}", server.local_addr());
    Channel::from_shared(address).unwrap().connect().await.unwrap()
}

/// What a tenant would know about one gallery.
pub(crate) struct Model {
    pub(crate) parameters: GalleryParameters,
    pub(crate) numbers: Numbers,
    pub(crate) manifest: ManifestUpdate,
    pub(crate) descriptor: Bytes,
    pub(crate) blocks: Vec<ModelBlock>,
}

pub(crate) struct ModelBlock {
    pub(crate) id: BlockId,
    pub(crate) version: u64,
    pub(crate) polynomials: Vec<Poly>,
    pub(crate) record: Bytes,
    pub(crate) entries: Vec<Bytes>,
    pub(crate) filled: BTreeMap<u16, (Pseudonym, Delta, [u8; 16])>,
}

/// A segment that was not uploaded yet.
pub(crate) struct NewSegment {
    pub(crate) header: ProvisionHeader,
    pub(crate) bytes: Bytes,
    pub(crate) commit: ProvisionCommit,
    blocks: Vec<ModelBlock>,
}

impl NewSegment {
    /// The messages of its upload from byte `from`, in chunks of at most `chunk` bytes, with the commit.
    pub(crate) fn messages(&self, from: usize, chunk: usize) -> Vec<ProvisionRequest> {
        let mut messages = vec![self.header.into()];
        for at in (from..self.bytes.len()).step_by(chunk) {
            let data = self.bytes.slice(at..self.bytes.len().min(at + chunk));
            messages.push(Chunk { offset: at as u64, data }.into());
        }
        messages.push(self.commit.clone().into());
        messages
    }
}

impl Model {
    /// Creates a gallery at the server.
    pub(crate) async fn create(client: &mut Galleries, seed: u64, dimension: u32, stride: u32) -> Self {
        let model = Self::create_only(seed, dimension, stride);
        client.create_gallery(gallery::CreateGalleryRequest::from(model.creation())).await.unwrap();
        model
    }

    /// A gallery that the server does not know yet.
    pub(crate) fn create_only(seed: u64, dimension: u32, stride: u32) -> Self {
        let mut numbers = Numbers(seed);
        let id = GalleryId(numbers.array());
        let parameters = GalleryParameters::new(id, 1, dimension, stride, 0, KEY).unwrap();
        let manifest = ManifestUpdate { version: 1, sealed: numbers.bytes(80) };
        let descriptor = numbers.bytes(50);
        Self { parameters, numbers, manifest, descriptor, blocks: Vec::new() }
    }

    pub(crate) fn creation(&self) -> CreateGallery {
        CreateGallery {
            parameters: self.parameters,
            sealed_descriptor: self.descriptor.clone(),
            sealed_manifest: self.manifest.sealed.clone(),
        }
    }

    pub(crate) fn id(&self) -> Bytes {
        Bytes::copy_from_slice(&self.parameters.gallery.0)
    }

    fn next_manifest(&mut self) -> ManifestUpdate {
        ManifestUpdate { version: self.manifest.version + 1, sealed: self.numbers.bytes(90) }
    }

    pub(crate) fn new_segment(&mut self, blocks: usize) -> NewSegment {
        let mut bytes = Vec::new();
        write_header(&self.parameters, blocks as u16, &mut bytes);
        let block = |_| {
            let polynomials = self.numbers.polys(self.parameters.layout.chunks());
            let (id, record) = (BlockId(self.numbers.array()), self.numbers.bytes(300));
            write_block(id, &polynomials, &mut bytes);
            ModelBlock { id, version: 1, polynomials, record, entries: Vec::new(), filled: BTreeMap::new() }
        };
        let blocks: Vec<_> = (0..blocks).map(block).collect();
        let record =
            |block: &ModelBlock| SealedRecord { block: block.id, version: 1, sealed: block.record.clone() };
        let header = ProvisionHeader {
            gallery: self.parameters.gallery,
            upload: UploadId(self.numbers.array()),
            total_bytes: bytes.len() as u64,
            digest: sha3_256(&[&bytes]),
        };
        let commit =
            ProvisionCommit { records: blocks.iter().map(record).collect(), manifest: self.next_manifest() };
        NewSegment { header, bytes: bytes.into(), commit, blocks }
    }

    /// Notes that a segment is committed.
    pub(crate) fn committed(&mut self, segment: NewSegment) {
        self.manifest = segment.commit.manifest;
        self.blocks.extend(segment.blocks);
    }

    pub(crate) async fn provision(&mut self, client: &mut Galleries, blocks: usize) {
        let segment = self.new_segment(blocks);
        let outcome = upload(client, segment.messages(0, 1 << 20)).await.unwrap();
        assert_eq!(outcome, Outcome::Committed { manifest_version: segment.commit.manifest.version });
        self.committed(segment);
    }

    fn change(&mut self, block: usize, writes: Vec<SlotWrite>, removals: Vec<u16>) -> Mutation {
        let entries = (0..writes.len() + removals.len()).map(|_| self.numbers.bytes(100)).collect();
        let sealed_record = self.numbers.bytes(300);
        let manifest = self.next_manifest();
        let block = &self.blocks[block];
        let change = BlockChange {
            block: block.id,
            base_version: block.version,
            writes,
            removals,
            first_entry: block.entries.len() as u32,
            entries,
            sealed_record,
        };
        Mutation { gallery: self.parameters.gallery, changes: vec![change], manifest }
    }

    /// An enrolment of random templates into one block.
    pub(crate) fn enrolment(&mut self, block: usize, templates: &[(u16, Pseudonym)]) -> Mutation {
        let write = |&(slot, subject): &(u16, Pseudonym)| {
            let delta = self.numbers.delta(&self.parameters).to_bytes().into();
            SlotWrite { slot, subject, delta, tag: self.numbers.array() }
        };
        let writes = templates.iter().map(write).collect();
        self.change(block, writes, Vec::new())
    }

    pub(crate) fn removal(&mut self, block: usize, slots: &[u16]) -> Mutation {
        self.change(block, Vec::new(), slots.to_vec())
    }

    /// Notes that a mutation is committed.
    pub(crate) fn applied(&mut self, mutation: Mutation) {
        let layout = self.parameters.layout;
        for change in mutation.changes {
            let block = self.blocks.iter_mut().find(|block| block.id == change.block).unwrap();
            for write in change.writes {
                let delta = Delta::from_bytes(&layout, &write.delta).unwrap();
                delta.add_to_block(&layout, write.slot, &mut block.polynomials);
                block.filled.insert(write.slot, (write.subject, delta, write.tag));
            }
            for slot in change.removals {
                let (_, delta, _) = block.filled.remove(&slot).unwrap();
                delta.subtract_from_block(&layout, slot, &mut block.polynomials);
            }
            block.version += 1;
            block.entries.extend(change.entries);
            block.record = change.sealed_record;
        }
        self.manifest = mutation.manifest;
    }

    pub(crate) async fn enrol(
        &mut self,
        client: &mut Galleries,
        block: usize,
        templates: &[(u16, Pseudonym)],
    ) {
        let mutation = self.enrolment(block, templates);
        let outcome = enrol(client, mutation.clone()).await.unwrap();
        assert_eq!(outcome, Outcome::Committed { manifest_version: mutation.manifest.version });
        self.applied(mutation);
    }

    /// The coefficients that the server should answer for a block.
    pub(crate) fn coefficients(&self, block: usize, query: &[Poly]) -> Vec<u16> {
        let mut sum = NttPoly::zero();
        for (b, q) in self.blocks[block].polynomials.iter().zip(query) {
            sum.mul_add_assign(&forward(b), &forward(q));
        }
        reply::compress(&self.parameters.layout, &inverse(&sum))
    }

    pub(crate) fn queries(&mut self, kind: Kind) -> Vec<Vec<Poly>> {
        (0..kind.queries()).map(|_| self.numbers.polys(self.parameters.layout.chunks())).collect()
    }

    pub(crate) fn whole(&self, queries: &[Vec<Poly>]) -> Probe {
        let polynomials = QueryPolynomials::new(queries.to_vec()).to_bytes().into();
        let mask_epoch = self.parameters.mask_epoch;
        Probe::Query(WholeQuery { key: KEY, mask_epoch, polynomials })
    }

    /// Uploads a ticket of these pads; gives its id.
    pub(crate) async fn ticket(&mut self, client: &mut Matching, kind: Kind, pads: &[Vec<Poly>]) -> TicketId {
        let (ticket, messages) = self.ticket_messages(kind, pads);
        let expires = client.upload_ticket(tokio_stream::iter(messages)).await.unwrap().into_inner();
        assert!(expires.expires_unix_ms > 0);
        ticket
    }

    pub(crate) fn ticket_messages(
        &mut self,
        kind: Kind,
        pads: &[Vec<Poly>],
    ) -> (TicketId, Vec<tyto_api::proto::matching::v1::UploadTicketRequest>) {
        let ticket = TicketId(self.numbers.array());
        let pads = QueryPolynomials::new(pads.to_vec());
        let bytes = Bytes::from(write_ticket(&self.parameters, ticket, kind, &pads));
        let header = TicketHeader {
            gallery: self.parameters.gallery,
            ticket,
            key: KEY,
            total_bytes: bytes.len() as u64,
            digest: sha3_256(&[&bytes]),
        };
        let mut messages = vec![TicketPart::Header(header).into()];
        for at in (0..bytes.len()).step_by(50_000) {
            let data = bytes.slice(at..bytes.len().min(at + 50_000));
            messages.push(TicketPart::Chunk(Chunk { offset: at as u64, data }).into());
        }
        (ticket, messages)
    }

    /// A use of a ticket, and the queries that it makes of the pads.
    pub(crate) fn ticket_use(&mut self, ticket: TicketId, pads: &[Vec<Poly>]) -> (TicketUse, Vec<Vec<Poly>>) {
        let deltas: Vec<Delta> = pads.iter().map(|_| self.numbers.delta(&self.parameters)).collect();
        let mut queries = QueryPolynomials::new(pads.to_vec());
        queries.apply(&self.parameters.layout, &deltas);
        let deltas = deltas.iter().flat_map(Delta::to_bytes).collect();
        (TicketUse { ticket, deltas, tag: self.numbers.array() }, queries.queries().to_vec())
    }

    pub(crate) fn verification(&self, subject: Pseudonym, probe: Probe) -> Verify {
        let (gallery, attestation) = (self.parameters.gallery, None);
        Verify { gallery, subject, probe, known_manifest_version: 0, attestation }
    }

    pub(crate) fn identification(&self, probe: Probe) -> Identify {
        let (gallery, attestation) = (self.parameters.gallery, None);
        Identify { gallery, probe, known_manifest_version: 0, attestation }
    }

    /// Asserts that an identification's answer is that of the model.
    pub(crate) fn assert_identified(&self, parts: &[IdentifyPart], query: &[Poly]) {
        let packed: Vec<Bytes> = replies(parts).into_iter().map(|reply| reply.coefficients).collect();
        let layout = &self.parameters.layout;
        let expected = |block| Bytes::from(reply::pack(layout, &self.coefficients(block, query)));
        assert_eq!(packed, (0..self.blocks.len()).map(expected).collect::<Vec<_>>());
        let Some(IdentifyPart::Trailer { blocks_matched, .. }) = parts.last() else { panic!("no trailer") };
        assert_eq!(*blocks_matched, self.blocks.len() as u64);
    }

    pub(crate) fn attestation(&mut self) -> AttestationRequest {
        AttestationRequest { nonce: self.numbers.array(), audience: "door 4".into() }
    }
}

pub(crate) fn replies(parts: &[IdentifyPart]) -> Vec<tyto_api::matching::BlockReply> {
    let replies = |part: &IdentifyPart| match part {
        IdentifyPart::Blocks(replies) => replies.clone(),
        _ => Vec::new(),
    };
    parts.iter().flat_map(replies).collect()
}

pub(crate) fn subject(n: u8) -> Pseudonym {
    Pseudonym([n; 16])
}

pub(crate) async fn upload(
    client: &mut Galleries,
    messages: Vec<ProvisionRequest>,
) -> Result<Outcome, Status> {
    let response = client.provision(tokio_stream::iter(messages)).await?.into_inner();
    Ok(response.try_into().unwrap())
}

pub(crate) async fn enrol(client: &mut Galleries, mutation: Mutation) -> Result<Outcome, Status> {
    let requests = tokio_stream::once(gallery::EnrolRequest::from(mutation));
    let mut answers = client.enrol(requests).await?.into_inner();
    Ok(answers.message().await?.expect("one answer per request").try_into().unwrap())
}

pub(crate) async fn remove(client: &mut Galleries, mutation: Mutation) -> Result<Outcome, Status> {
    let response = client.remove(gallery::RemoveRequest::from(mutation)).await?.into_inner();
    Ok(response.try_into().unwrap())
}

pub(crate) async fn describe(client: &mut Galleries, model: &Model) -> gallery::GalleryInfo {
    let request = gallery::DescribeGalleryRequest { gallery_id: model.id() };
    client.describe_gallery(request).await.unwrap().into_inner().gallery.unwrap()
}

pub(crate) async fn verify(client: &mut Matching, request: Verify) -> Result<VerifyAnswer, Status> {
    let request = tyto_api::proto::matching::v1::VerifyRequest::from(request);
    Ok(client.verify(request).await?.into_inner().try_into().unwrap())
}

pub(crate) async fn identify(client: &mut Matching, request: Identify) -> Result<Vec<IdentifyPart>, Status> {
    let request = tyto_api::proto::matching::v1::IdentifyRequest::from(request);
    let answers = client.identify(request).await?.into_inner();
    let answers: Vec<_> = answers.collect::<Result<_, _>>().await?;
    Ok(answers.into_iter().map(|part| part.try_into().unwrap()).collect())
}

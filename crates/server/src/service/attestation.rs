//! What an attestation says about an answer: digests while the answer is made, the signature at its end.

use crate::Error;
use crate::app::App;
use crate::log::Place;
use crate::service::change::State;
use crate::site::Site;
use bytes::Bytes;
use tyto_api::content;
use tyto_api::matching::{Attestation, AttestationRequest, BlockReply, Probe, SlotResult};
use tyto_attest::digest::{DigestKind, SaltedDigest, blocks_root};
use tyto_attest::{Claim, MatchResult, Operation};
use tyto_engine::{Block, Snapshot, StateDigests};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::GalleryParameters;
use tyto_scheme::query::{Kind, Target};

/// What a caller wants attested, with the place of its entry in the queue of the log. Taken before a ticket is used: an
/// attestation that could not be logged is none.
pub(crate) struct Wish {
    wanted: AttestationRequest,
    place: Place,
}

impl Wish {
    /// That of a request, if it has one.
    pub(crate) fn of(app: &App, wanted: Option<&AttestationRequest>) -> Result<Option<Self>, Error> {
        wanted.map(|wanted| Ok(Self { wanted: wanted.clone(), place: app.log.place()? })).transpose()
    }

    /// Uses the place for an attestation that was made before: its entry may have been lost. One that is in the log stays
    /// there once.
    pub(crate) fn log_again(self, attestation: &Attestation) {
        self.place.submit(attestation.cose_sign1.clone());
    }
}

/// The digests of an answer so far.
pub(crate) struct Evidence {
    wish: Wish,
    salt: [u8; 32],
    operation: Operation,
    ticket: Option<[u8; 16]>,
    request: [u8; 32],
    result: SaltedDigest,
    records: SaltedDigest,
    /// Blocks of a verification; an identification covers all.
    covered: Option<Vec<([u8; 16], u64)>>,
}

impl Evidence {
    /// Begins an attestation, if one is wanted.
    pub(crate) fn begin(wish: Option<Wish>, target: Target, probe: &Probe) -> Result<Option<Self>, Error> {
        let Some(wish) = wish else { return Ok(None) };
        let salt = tyto_pqc::random::bytes()?;
        let mut request = SaltedDigest::new(DigestKind::Request, &salt);
        content::request(target, probe, &mut request);
        let (operation, covered) = match target.kind() {
            Kind::Verify => (Operation::Verify, Some(Vec::new())),
            Kind::Identify => (Operation::Identify, None),
        };
        Ok(Some(Self {
            wish,
            operation,
            covered,
            ticket: match probe {
                Probe::Ticket(ticket) => Some(ticket.ticket.0),
                Probe::Query(_) => None,
            },
            request: request.finalize(),
            result: SaltedDigest::new(DigestKind::Result, &salt),
            records: SaltedDigest::new(DigestKind::Records, &salt),
            salt,
        }))
    }

    /// A block whose record the answer rests on.
    pub(crate) fn block(&mut self, block: &Block) {
        let state = block.state();
        content::record(state.id, state.version, &state.record_digest, &mut self.records);
        if let Some(covered) = &mut self.covered {
            covered.push((state.id.0, state.version));
        }
    }

    /// A template's result.
    pub(crate) fn slot(&mut self, result: &SlotResult) {
        content::slot_result(result, &mut self.result);
    }

    /// A block's reply.
    pub(crate) fn reply(&mut self, reply: &BlockReply) {
        content::block_reply(reply, &mut self.result);
    }

    /// Signs the statement and queues the attestation for the log.
    pub(crate) fn sign(
        self,
        app: &Site,
        parameters: &GalleryParameters,
        snapshot: &Snapshot,
    ) -> Result<Attestation, Error> {
        let state = State::of(snapshot);
        let mut state_digest = SaltedDigest::new(DigestKind::GalleryState, &self.salt);
        state.write(&mut state_digest);
        let blocks_total = snapshot.blocks().len() as u64;
        let (root, blocks_matched) = match &self.covered {
            None => (state.blocks_root(), blocks_total),
            Some(covered) => (blocks_root(covered), covered.len() as u64),
        };
        let claim = Claim::Match(MatchResult {
            operation: self.operation,
            parameter_set: parameters.layout.parameter_set().id(),
            gallery_id: parameters.gallery.0,
            mask_epoch: parameters.mask_epoch,
            manifest_version: snapshot.manifest_version(),
            blocks_root: root,
            blocks_matched,
            blocks_total,
            ticket_id: self.ticket,
            request_digest: self.request,
            gallery_state_digest: state_digest.finalize(),
            records_digest: self.records.finalize(),
            result_digest: self.result.finalize(),
            reply_bits: parameters.layout.reply_bits(),
        });
        let Wish { wanted, place } = self.wish;
        let nonce = Some(wanted.nonce);
        let statement = app.issuer.statement(app.principal(), wanted.audience, nonce, app.log.state(), claim);
        let cose_sign1 = Bytes::from(tyto_attest::sign(&statement, &app.key)?);
        place.submit(cose_sign1.clone());
        app.metrics.attestations.add(1);
        Ok(Attestation { cose_sign1, salt: self.salt })
    }
}

/// The digests of a state that are the same whatever salt comes on top.
pub(crate) fn state_digests(snapshot: &Snapshot) -> StateDigests {
    let blocks: Vec<_> = snapshot.blocks().iter().map(|block| (block.id().0, block.version())).collect();
    StateDigests { manifest: sha3_256(&[snapshot.sealed_manifest()]), blocks_root: blocks_root(&blocks) }
}

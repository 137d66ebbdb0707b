//! What an attestation must say to be the one of this request and this answer.

use super::basis::Basis;
use crate::{Config, Error, KeptAttestation};
use tyto_api::content;
use tyto_api::matching::{Attestation, AttestationRequest, Probe};
use tyto_attest::digest::{DigestKind, SALT_BYTES, SaltedDigest, blocks_root};
use tyto_attest::{AttestationFile, Operation, Statement};
use tyto_pqc::random;
use tyto_scheme::GalleryParameters;
use tyto_scheme::query::{Kind, Target};

/// Asks for an attestation, if the client is set up so.
pub(crate) fn request(config: &Config) -> Result<Option<AttestationRequest>, Error> {
    if !config.attestations {
        return Ok(None);
    }
    let nonce = random::bytes().map_err(tyto_tenant::Error::from)?;
    Ok(Some(AttestationRequest { nonce, audience: config.audience.clone() }))
}

/// Everything that was sent and received, and was accepted.
pub(crate) struct Exchange<'a> {
    pub(crate) asked: AttestationRequest,
    pub(crate) parameters: &'a GalleryParameters,
    pub(crate) target: Target,
    pub(crate) probe: &'a Probe,
    pub(crate) basis: &'a Basis,
    /// Places in the manifest of the blocks that were answered.
    pub(crate) covered: Vec<usize>,
    /// Content of the result, in the order of the answer.
    pub(crate) result: Vec<u8>,
    /// Content of the records, in the same order.
    pub(crate) records: Vec<u8>,
}

impl Exchange<'_> {
    /// Takes the attestation of an answer, or refuses the answer.
    ///
    /// # Errors
    /// [`Error::AttestationMissing`], [`Error::Attestation`], [`Error::AttestationMismatch`]. Without trusted keys
    /// nothing is checked and nothing is missed.
    pub(crate) fn settle(
        mut self,
        config: &Config,
        came: Option<Attestation>,
    ) -> Result<Option<KeptAttestation>, Error> {
        let Some(came) = came else {
            return if config.trusted_keys.is_some() { Err(Error::AttestationMissing) } else { Ok(None) };
        };
        let mut request = Vec::new();
        content::request(self.target, self.probe, &mut request);
        let file = AttestationFile {
            attestation: came.cose_sign1.to_vec(),
            salt: came.salt,
            request: Some(request),
            result: Some(std::mem::take(&mut self.result)),
        };
        let Some(keys) = &config.trusted_keys else {
            return Ok(Some(KeptAttestation { file, statement: None }));
        };
        // Signature, request digest and result digest.
        let statement = tyto_attest::verify_file(&file, keys)?.statement;
        self.compare(&statement, &file.salt)?;
        Ok(Some(KeptAttestation { file, statement: Some(statement) }))
    }

    fn compare(&mut self, statement: &Statement, salt: &[u8; SALT_BYTES]) -> Result<(), Error> {
        let (parameters, basis) = (self.parameters, self.basis);
        let operation = match self.target.kind() {
            Kind::Verify => Operation::Verify,
            Kind::Identify => Operation::Identify,
        };
        let ticket = match self.probe {
            Probe::Ticket(used) => Some(used.ticket.0),
            Probe::Query(_) => None,
        };
        self.covered.sort_unstable();
        let root = if self.covered.len() == basis.entries().len() {
            basis.known().blocks_root()
        } else {
            let entries = self.covered.iter().map(|&position| &basis.entries()[position]);
            blocks_root(&entries.map(|entry| (entry.block.0, entry.version)).collect::<Vec<_>>())
        };
        let checks = [
            ("nonce", statement.nonce == self.asked.nonce),
            ("audience", statement.audience == self.asked.audience),
            ("operation", statement.operation == operation),
            ("parameter set", statement.parameter_set == parameters.layout.parameter_set().id()),
            ("gallery id", statement.gallery_id == parameters.gallery.0),
            ("mask epoch", statement.mask_epoch == parameters.mask_epoch),
            ("manifest version", statement.manifest_version == basis.version()),
            ("blocks matched", statement.blocks_matched == self.covered.len() as u64),
            ("blocks total", statement.blocks_total == basis.entries().len() as u64),
            ("blocks root", statement.blocks_root == root),
            ("ticket id", statement.ticket_id == ticket),
            ("reply bits", statement.reply_bits == parameters.layout.reply_bits()),
            ("records digest", statement.records_digest == self.records_digest(salt)),
            ("gallery state digest", statement.gallery_state_digest == self.state_digest(salt)),
        ];
        match checks.into_iter().find(|(_, holds)| !holds) {
            Some((field, _)) => Err(Error::AttestationMismatch { operation, field }),
            None => Ok(()),
        }
    }

    fn records_digest(&self, salt: &[u8; SALT_BYTES]) -> [u8; 32] {
        let mut digest = SaltedDigest::new(DigestKind::Records, salt);
        digest.update(&self.records);
        digest.finalize()
    }

    fn state_digest(&self, salt: &[u8; SALT_BYTES]) -> [u8; 32] {
        let known = self.basis.known();
        let mut digest = SaltedDigest::new(DigestKind::GalleryState, salt);
        content::gallery_state(known.mark.version, &known.sealed_digest, &known.blocks_root(), &mut digest);
        digest.finalize()
    }
}

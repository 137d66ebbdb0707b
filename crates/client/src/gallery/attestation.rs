//! What an attestation must say to be the one of this request and this answer.

use super::basis::Basis;
use crate::{Config, CoveredBlock, Error, KeptAttestation, ReplayBasis};
use bytes::Bytes;
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
    /// What is kept for a replay, if the client is set up so.
    pub(crate) kept: Option<Kept>,
}

/// What is kept of an answer for a replay.
pub(crate) struct Kept {
    pub(crate) covered: Vec<CoveredBlock>,
    pub(crate) ticket: Option<Bytes>,
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
        let basis = self.kept.take().map(|kept| self.replay_basis(kept));
        let Some(keys) = &config.trusted_keys else {
            return Ok(Some(KeptAttestation { file, statement: None, basis }));
        };
        // Signature, request digest and result digest.
        let statement = tyto_attest::verify_file(&file, keys)?.statement;
        self.compare(&statement, &file.salt)?;
        Ok(Some(KeptAttestation { file, statement: Some(statement), basis }))
    }

    fn replay_basis(&self, kept: Kept) -> ReplayBasis {
        let known = self.basis.known();
        ReplayBasis {
            parameters: *self.parameters,
            manifest_version: known.mark.version,
            manifest_digest: known.sealed_digest,
            blocks: self.basis.entries().iter().map(|entry| (entry.block, entry.version)).collect(),
            covered: kept.covered,
            ticket: kept.ticket,
        }
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
        let Some(result) = statement.match_result() else {
            return Err(Error::AttestationMismatch { operation, field: "kind" });
        };
        let checks = [
            ("nonce", statement.nonce == Some(self.asked.nonce)),
            ("audience", statement.audience == self.asked.audience),
            ("operation", result.operation == operation),
            ("parameter set", result.parameter_set == parameters.layout.parameter_set().id()),
            ("gallery id", result.gallery_id == parameters.gallery.0),
            ("mask epoch", result.mask_epoch == parameters.mask_epoch),
            ("manifest version", result.manifest_version == basis.version()),
            ("blocks matched", result.blocks_matched == self.covered.len() as u64),
            ("blocks total", result.blocks_total == basis.entries().len() as u64),
            ("blocks root", result.blocks_root == root),
            ("ticket id", result.ticket_id == ticket),
            ("reply bits", result.reply_bits == parameters.layout.reply_bits()),
            ("records digest", result.records_digest == self.records_digest(salt)),
            ("gallery state digest", result.gallery_state_digest == self.state_digest(salt)),
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

#[cfg(test)]
mod tests {
    use super::super::view::tests::made;
    use super::*;
    use std::sync::Arc;
    use tyto_api::matching::TicketUse;
    use tyto_attest::digest::salted;
    use tyto_attest::{Claim, MatchResult, TrustedKeys};
    use tyto_pqc::mldsa::SigningKey;
    use tyto_scheme::{Pseudonym, TicketId};

    const SALT: [u8; SALT_BYTES] = [5; SALT_BYTES];
    const TARGET: Target = Target::Subject(Pseudonym([3; 16]));

    type Alter = fn(&mut Statement);

    fn result(statement: &mut Statement) -> &mut MatchResult {
        let Claim::Match(result) = &mut statement.claim else { panic!("the sample is about a match") };
        result
    }

    struct World {
        config: Config,
        key: SigningKey,
        parameters: GalleryParameters,
        basis: Basis,
        probe: Probe,
    }

    impl World {
        fn new() -> Self {
            let made = made();
            let key = SigningKey::generate().unwrap();
            let mut config = Config::new("http://localhost:1");
            let mut keys = TrustedKeys::new();
            keys.insert(key.verifying_key().clone());
            config.trusted_keys = Some(keys);
            let used = TicketUse { ticket: TicketId([4; 16]), deltas: vec![1, 0].into(), tag: [6; 16] };
            Self {
                config,
                key,
                parameters: *made.gallery.parameters(),
                basis: Basis::of_view(Arc::new(made.view)),
                probe: Probe::Ticket(used),
            }
        }

        fn exchange(&self) -> Exchange<'_> {
            Exchange {
                asked: AttestationRequest { nonce: [8; 32], audience: "me".to_owned() },
                parameters: &self.parameters,
                target: TARGET,
                probe: &self.probe,
                basis: &self.basis,
                covered: vec![0],
                result: b"result".to_vec(),
                records: b"records".to_vec(),
                kept: None,
            }
        }

        /// What an honest server signs.
        fn statement(&self) -> Statement {
            let known = self.basis.known();
            let entry = known.manifest.entries()[0];
            let root = blocks_root(&[(entry.block.0, entry.version)]);
            let (mut request, mut state) = (Vec::new(), Vec::new());
            content::request(TARGET, &self.probe, &mut request);
            content::gallery_state(known.mark.version, &known.sealed_digest, &root, &mut state);
            Statement {
                issuer: "server".to_owned(),
                issued_at_unix_ms: 1,
                audience: "me".to_owned(),
                nonce: Some([8; 32]),
                principal: None,
                software_version: "1".to_owned(),
                build_digest: None,
                log: None,
                claim: Claim::Match(MatchResult {
                    operation: Operation::Verify,
                    parameter_set: 1,
                    gallery_id: self.parameters.gallery.0,
                    mask_epoch: 0,
                    manifest_version: 2,
                    blocks_root: root,
                    blocks_matched: 1,
                    blocks_total: 1,
                    ticket_id: Some([4; 16]),
                    request_digest: salted(DigestKind::Request, &SALT, &request),
                    gallery_state_digest: salted(DigestKind::GalleryState, &SALT, &state),
                    records_digest: salted(DigestKind::Records, &SALT, b"records"),
                    result_digest: salted(DigestKind::Result, &SALT, b"result"),
                    reply_bits: self.parameters.layout.reply_bits(),
                }),
            }
        }

        fn settle(&self, statement: &Statement) -> Result<Option<KeptAttestation>, Error> {
            let cose_sign1 = tyto_attest::sign(statement, &self.key).unwrap().into();
            self.exchange().settle(&self.config, Some(Attestation { cose_sign1, salt: SALT }))
        }
    }

    #[test]
    fn the_attestation_of_this_exchange_is_kept() {
        let world = World::new();
        let kept = world.settle(&world.statement()).unwrap().unwrap();
        assert_eq!(kept.statement.unwrap(), world.statement());
        assert_eq!(kept.file.result.as_deref(), Some(&b"result"[..]));
        let keys = world.config.trusted_keys.as_ref().unwrap();
        let saved = AttestationFile::parse(&kept.file.encode().unwrap()).unwrap();
        assert!(tyto_attest::verify_file(&saved, keys).is_ok());
    }

    #[test]
    fn every_field_that_differs_is_refused_by_name() {
        let world = World::new();
        let alterations: [(&str, Alter); 14] = [
            ("nonce", |s| s.nonce = None),
            ("audience", |s| s.audience.push('x')),
            ("operation", |s| result(s).operation = Operation::Identify),
            ("parameter set", |s| result(s).parameter_set += 1),
            ("gallery id", |s| result(s).gallery_id[0] ^= 1),
            ("mask epoch", |s| result(s).mask_epoch += 1),
            ("manifest version", |s| result(s).manifest_version -= 1),
            ("blocks matched", |s| result(s).blocks_matched = 0),
            ("blocks total", |s| result(s).blocks_total += 1),
            ("blocks root", |s| result(s).blocks_root[0] ^= 1),
            ("ticket id", |s| result(s).ticket_id = None),
            ("reply bits", |s| result(s).reply_bits += 1),
            ("records digest", |s| result(s).records_digest[0] ^= 1),
            ("gallery state digest", |s| result(s).gallery_state_digest[0] ^= 1),
        ];
        for (name, alter) in alterations {
            let mut statement = world.statement();
            alter(&mut statement);
            let refused = world.settle(&statement).unwrap_err();
            assert!(refused.is_refusal());
            assert!(
                matches!(refused, Error::AttestationMismatch { field, .. } if field == name),
                "{name}: {refused}"
            );
        }
        for alter in [
            |s: &mut Statement| result(s).request_digest[0] ^= 1,
            |s: &mut Statement| result(s).result_digest[0] ^= 1,
        ] {
            let mut statement = world.statement();
            alter(&mut statement);
            assert!(matches!(
                world.settle(&statement),
                Err(Error::Attestation(tyto_attest::Error::DigestMismatch { .. }))
            ));
        }
    }

    #[test]
    fn a_missing_attestation_or_an_unknown_signer_is_refused_and_without_keys_nothing_is_claimed() {
        let mut world = World::new();
        assert!(matches!(world.exchange().settle(&world.config, None), Err(Error::AttestationMissing)));
        let statement = world.statement();
        let trusted = world.config.trusted_keys.replace(TrustedKeys::new());
        assert!(matches!(world.settle(&statement), Err(Error::Attestation(_))));
        world.config.trusted_keys = None;
        assert!(world.settle(&statement).unwrap().unwrap().statement.is_none());
        assert!(world.exchange().settle(&world.config, None).unwrap().is_none());
        assert!(trusted.is_some());
    }
}

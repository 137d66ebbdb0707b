//! Verification of evidence that was kept: one entry point for everything that is signed.

use crate::algorithm::Purpose;
use crate::attestation::Envelope;
use crate::bundle::{Bundle, Content, KeyEntry};
use crate::checkpoint::{CHECKPOINT_CONTENT_TYPE, Checkpoint, Cosignature, TreeHead};
use crate::cose::{self, Signature};
use crate::decision::{DECISION_CONTENT_TYPE, Decision};
use crate::error::{Error, Part};
use crate::log::Hash;
use crate::receipt::{ConsistencyReceipt, Receipt};
use crate::roots::{KeyRecord, TrustRoot};
use crate::statement::Statement;
use crate::validity::{check_order, check_signer, check_timestamp};
use crate::verdict::{
    Check, CosignatureFact, CosignatureStatus, DecisionFact, Existence, LogFact, Verdict, Verified,
};

/// Verifies a bundle, or a bare attestation, decision or checkpoint: their first bytes tell them apart.
///
/// `at_unix_ms` is a time at which the evidence is known to have existed: now, or earlier if the verifier can vouch
/// for it. Without it, validity is judged by what the evidence itself proves. The checks, their order, and what a
/// revocation means are in `docs/formats/attestation.md`.
pub fn verify(evidence: &[u8], roots: &TrustRoot, at_unix_ms: Option<u64>) -> Verdict {
    Verifier::run(roots, at_unix_ms, |verifier| match cose::content_type(evidence) {
        Some(CHECKPOINT_CONTENT_TYPE) => verifier.bare_checkpoint(evidence),
        Some(DECISION_CONTENT_TYPE) => verifier.bare_decision(evidence),
        Some(_) => verifier.bare_attestation(evidence),
        None if evidence.first() == Some(&cose::FIRST_BYTE) => verifier.bare_attestation(evidence),
        None => verifier.bundle(evidence),
    })
}

/// Verifies that a log was only appended to since `old`, which is the head of a checkpoint verified before.
pub fn verify_consistency(
    receipt: &[u8],
    old: &TreeHead,
    roots: &TrustRoot,
    at_unix_ms: Option<u64>,
) -> Verdict {
    Verifier::run(roots, at_unix_ms, |verifier| {
        let receipt = ConsistencyReceipt::parse(receipt)?;
        verifier.passed(Part::Receipt, "format");
        receipt.verify_proof(old)?;
        verifier.passed(Part::Receipt, "root");
        let log = verifier.checkpoint(receipt.checkpoint(), None)?;
        let existence = verifier.existence(Some(&log));
        Ok(Verified { statement: None, signer: None, log: Some(log), existence, decision: None })
    })
}

struct Verifier<'a> {
    roots: &'a TrustRoot,
    at_unix_ms: Option<u64>,
    checks: Vec<Check>,
    /// What a bundle proves before its decision is looked at.
    without_decision: Option<Verified>,
}

impl<'a> Verifier<'a> {
    fn run(
        roots: &'a TrustRoot,
        at_unix_ms: Option<u64>,
        verify: impl FnOnce(&mut Self) -> Result<Verified, Error>,
    ) -> Verdict {
        let mut verifier = Self { roots, at_unix_ms, checks: Vec::new(), without_decision: None };
        let outcome = verify(&mut verifier);
        let without_decision = verifier.without_decision.filter(|_| outcome.is_err());
        Verdict { checks: verifier.checks, outcome, without_decision }
    }

    fn passed(&mut self, part: Part, name: &'static str) {
        self.checks.push(Check { part, name });
    }

    fn bundle(&mut self, bytes: &[u8]) -> Result<Verified, Error> {
        let bundle = Bundle::parse(bytes)?;
        self.passed(Part::Bundle, "format");
        let mut entries = bundle.keys.iter();
        let (statement, signer) = match &bundle.content {
            Content::Attestation(attestation) => {
                let (statement, record) = self.attestation(attestation, entries.next())?;
                (statement, Some(record))
            }
            Content::Statement(statement) => (self.statement(statement)?, None),
        };
        let leaf = bundle.content.leaf_hash();
        let log = match &bundle.receipt {
            Some(receipt) => Some(self.receipt(receipt, &leaf, entries.next())?),
            None => None,
        };
        self.statement_fits(&statement, log.as_ref())?;
        if let Some(record) = signer {
            self.signer(Part::Statement, record, statement.issued_at_unix_ms, log.as_ref())?;
        }
        let existence = self.existence(log.as_ref());
        let signer = signer.map(KeyRecord::key_id);
        let verified =
            Verified { statement: Some(statement.clone()), signer, log, existence, decision: None };
        let Some(decision) = &bundle.decision else { return Ok(verified) };
        self.without_decision = Some(verified.clone());
        let decision = self.decision_about(decision, entries.next(), &statement, &leaf)?;
        Ok(Verified { decision: Some(decision), ..verified })
    }

    fn bare_attestation(&mut self, bytes: &[u8]) -> Result<Verified, Error> {
        let (statement, record) = self.attestation(bytes, None)?;
        self.statement_fits(&statement, None)?;
        self.signer(Part::Statement, record, statement.issued_at_unix_ms, None)?;
        let (signer, existence) = (Some(record.key_id()), self.existence(None));
        Ok(Verified { statement: Some(statement), signer, log: None, existence, decision: None })
    }

    fn bare_decision(&mut self, bytes: &[u8]) -> Result<Verified, Error> {
        let decision = self.decision(bytes, None)?;
        let existence = self.existence(None);
        Ok(Verified { statement: None, signer: None, log: None, existence, decision: Some(decision) })
    }

    fn bare_checkpoint(&mut self, bytes: &[u8]) -> Result<Verified, Error> {
        let checkpoint = Checkpoint::parse(bytes)?;
        self.passed(Part::Checkpoint, "format");
        let log = self.checkpoint(&checkpoint, None)?;
        let existence = self.existence(Some(&log));
        Ok(Verified { statement: None, signer: None, log: Some(log), existence, decision: None })
    }

    /// Everything about an attestation but times.
    fn attestation(
        &mut self,
        bytes: &[u8],
        entry: Option<&KeyEntry>,
    ) -> Result<(Statement, &'a KeyRecord), Error> {
        let envelope = Envelope::parse(bytes)?;
        self.passed(Part::Envelope, "format");
        let record = self.key(Part::Envelope, envelope.signed(), Purpose::Attestation, entry)?;
        envelope.verify(&record.key)?;
        self.passed(Part::Envelope, "signature");
        Ok((self.statement(envelope.payload())?, record))
    }

    fn statement(&mut self, bytes: &[u8]) -> Result<Statement, Error> {
        let statement = Statement::decode(bytes)?;
        self.passed(Part::Statement, "format");
        Ok(statement)
    }

    /// The key that a header names, if the trust root has it for this purpose and the bundle has it too.
    fn key(
        &mut self,
        part: Part,
        signed: &Signature,
        purpose: Purpose,
        entry: Option<&KeyEntry>,
    ) -> Result<&'a KeyRecord, Error> {
        let key_id = signed.key_id;
        if let Some(entry) = entry {
            if entry.key.key_id() != key_id || entry.purpose != purpose {
                return Err(Error::KeyEntryMismatch { part, key_id });
            }
            self.passed(part, "key-entry");
        }
        let record = self.roots.get(&key_id).ok_or(Error::UnknownKey { part, key_id })?;
        self.passed(part, "key-id");
        signed.check_algorithm(part, &record.key)?;
        self.passed(part, "algorithm-of-key");
        if record.purpose != purpose {
            return Err(Error::WrongPurpose { part, key_id, purpose: record.purpose });
        }
        self.passed(part, "purpose");
        Ok(record)
    }

    fn receipt(&mut self, bytes: &[u8], leaf: &Hash, entry: Option<&KeyEntry>) -> Result<LogFact, Error> {
        let receipt = Receipt::parse(bytes)?;
        self.passed(Part::Receipt, "format");
        receipt.verify_proof(leaf)?;
        self.passed(Part::Receipt, "root");
        let log = self.checkpoint(receipt.checkpoint(), entry)?;
        Ok(LogFact { index: Some(receipt.index()), ..log })
    }

    /// Everything about a checkpoint.
    fn checkpoint(&mut self, checkpoint: &Checkpoint, entry: Option<&KeyEntry>) -> Result<LogFact, Error> {
        let part = Part::Checkpoint;
        let record = self.key(part, checkpoint.signed(), Purpose::Log, entry)?;
        checkpoint.verify_signature(&record.key)?;
        self.passed(part, "signature");
        let head = *checkpoint.head();
        if record.log_id != Some(head.log_id) {
            let expected = record.log_id.unwrap_or_default();
            return Err(Error::OtherLog { part: Part::TrustRoot, expected, actual: head.log_id });
        }
        self.passed(part, "log-id");
        let facts = checkpoint.cosignatures().iter().map(|c| self.cosignature(checkpoint, c));
        let cosignatures = facts.collect::<Result<Vec<_>, _>>()?;
        if cosignatures.iter().any(|fact| fact.status != CosignatureStatus::UnknownKey) {
            for name in ["purpose", "algorithm-of-key", "signature"] {
                self.passed(Part::Cosignature, name);
            }
        }
        let counting = cosignatures.iter().filter(|fact| fact.status == CosignatureStatus::Counts);
        let existed_by = counting.map(|fact| fact.time_unix_ms).chain(self.at_unix_ms).min();
        check_timestamp(part, record, head.time_unix_ms, existed_by)?;
        for name in ["not-yet-valid", "expired", "revoked"] {
            self.passed(part, name);
        }
        if let Some(at) = self.at_unix_ms {
            check_order(part, head.time_unix_ms, at)?;
            self.passed(part, "time-order");
        }
        Ok(LogFact { head, key_id: record.key_id(), index: None, cosignatures })
    }

    /// A witness that is not known, or not believed, does not count; one that is known and did not sign this is a
    /// reason to reject.
    fn cosignature(
        &self,
        checkpoint: &Checkpoint,
        cosignature: &Cosignature,
    ) -> Result<CosignatureFact, Error> {
        let (part, key_id) = (Part::Cosignature, cosignature.key_id());
        let time_unix_ms = cosignature.time_unix_ms();
        let status = match self.roots.get(&key_id) {
            None => CosignatureStatus::UnknownKey,
            Some(record) if record.purpose != Purpose::Witness => {
                return Err(Error::WrongPurpose { part, key_id, purpose: record.purpose });
            }
            Some(record) => {
                checkpoint.verify_cosignature(cosignature, &record.key)?;
                let believed = check_timestamp(part, record, time_unix_ms, self.at_unix_ms)
                    .and_then(|()| {
                        check_order(Part::Checkpoint, checkpoint.head().time_unix_ms, time_unix_ms)
                    })
                    .and_then(|()| self.at_unix_ms.map_or(Ok(()), |at| check_order(part, time_unix_ms, at)));
                if believed.is_ok() { CosignatureStatus::Counts } else { CosignatureStatus::NotBelieved }
            }
        };
        Ok(CosignatureFact { key_id, time_unix_ms, status })
    }

    /// What the statement says about log and time against what is known of them.
    fn statement_fits(&mut self, statement: &Statement, log: Option<&LogFact>) -> Result<(), Error> {
        let part = Part::Statement;
        if let (Some(state), Some(log)) = (&statement.log, log) {
            if state.log_id != log.head.log_id {
                return Err(Error::OtherLog { part, expected: state.log_id, actual: log.head.log_id });
            }
            self.passed(part, "log-id");
            let previous_size = state.previous_checkpoint.map_or(0, |previous| previous.size);
            match log.index {
                Some(index) if previous_size > index => {
                    return Err(Error::PreviousCheckpoint { previous_size, index });
                }
                _ => self.passed(part, "previous-checkpoint"),
            }
        }
        let seen = [log.map(|log| log.head.time_unix_ms), self.at_unix_ms].into_iter().flatten().min();
        if let Some(seen) = seen {
            check_order(part, statement.issued_at_unix_ms, seen)?;
            self.passed(part, "time-order");
        }
        Ok(())
    }

    /// Validity and revocation of the key of an attestation or a decision.
    fn signer(
        &mut self,
        part: Part,
        record: &KeyRecord,
        made_unix_ms: u64,
        log: Option<&LogFact>,
    ) -> Result<(), Error> {
        let existed_by = log.map(|log| log.head.time_unix_ms).into_iter().chain(self.at_unix_ms).min();
        check_signer(part, record, made_unix_ms, existed_by)?;
        for name in ["not-yet-valid", "expired", "revoked"] {
            self.passed(part, name);
        }
        Ok(())
    }

    fn decision(&mut self, bytes: &[u8], entry: Option<&KeyEntry>) -> Result<DecisionFact, Error> {
        let part = Part::Decision;
        let envelope = Decision::open(bytes)?;
        self.passed(part, "format");
        let record = self.key(part, envelope.signed(), Purpose::Decision, entry)?;
        envelope.verify(&record.key)?;
        self.passed(part, "signature");
        let decision = Decision::decode(envelope.payload())?;
        let key_id = record.key_id();
        if decision.tenant != record.name {
            return Err(Error::OtherTenant { key_id });
        }
        self.passed(part, "tenant");
        if let Some(at) = self.at_unix_ms {
            check_order(part, decision.decided_at_unix_ms, at)?;
            self.passed(part, "time-order");
        }
        self.signer(part, record, decision.decided_at_unix_ms, None)?;
        Ok(DecisionFact { decision, key_id })
    }

    fn decision_about(
        &mut self,
        bytes: &[u8],
        entry: Option<&KeyEntry>,
        statement: &Statement,
        leaf: &Hash,
    ) -> Result<DecisionFact, Error> {
        let part = Part::Decision;
        let fact = self.decision(bytes, entry)?;
        if fact.decision.attestation_digest != *leaf {
            return Err(Error::OtherAttestation);
        }
        self.passed(part, "decision-digest");
        if statement.match_result().is_none() {
            return Err(Error::DecisionOnNoMatch);
        }
        self.passed(part, "decision-kind");
        check_order(part, statement.issued_at_unix_ms, fact.decision.decided_at_unix_ms)?;
        self.passed(part, "time-order");
        Ok(fact)
    }

    fn existence(&self, log: Option<&LogFact>) -> Existence {
        match (log, self.at_unix_ms) {
            (Some(log), at) if at.is_none_or(|at| log.head.time_unix_ms <= at) => {
                Existence::Log { by_unix_ms: log.head.time_unix_ms }
            }
            (_, Some(by_unix_ms)) => Existence::Verifier { by_unix_ms },
            (_, None) => Existence::Unknown,
        }
    }
}

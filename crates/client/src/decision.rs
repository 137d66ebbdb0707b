//! Decisions that a tenant signs: what it made of scores that only it could read.

use crate::{Candidate, Error, GalleryHandle, Identification, KeptAttestation, Verification};
use tyto_attest::log::leaf_hash;
use tyto_attest::{Decision, Outcome};
use tyto_pqc::mldsa::SigningKey;
use tyto_tenant::SubjectId;

/// What a signed decision says beside what follows from the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionTerms {
    /// Who decides: the name that the trust root has for the key.
    pub tenant: String,
    /// For whom.
    pub audience: String,
    /// When, in milliseconds since 1970.
    pub decided_at_unix_ms: u64,
    /// The score from which on it is a match, in score steps.
    pub threshold_score: i32,
}

impl Verification {
    /// Signs what this verification means at a threshold: a small statement that names the attestation it rests on. It
    /// has the subject's pseudonym in this gallery, not the subject id, and no score.
    ///
    /// # Errors
    /// [`Error::NoAttestation`] if the answer came without one; [`Error::Attestation`] for a text that is too long.
    ///
    /// # Security
    /// Whoever sees the decision learns the outcome: do not send it to the server that computed the answer.
    pub fn sign_decision(
        &self,
        gallery: &GalleryHandle,
        terms: DecisionTerms,
        key: &SigningKey,
    ) -> Result<Vec<u8>, Error> {
        let is_match = self.best.score >= terms.threshold_score;
        sign(gallery, Some(&self.subject), is_match, self.attestation.as_ref(), terms, key)
    }
}

impl Identification {
    /// Signs what this identification means at a threshold: a match of the best candidate, or a non-match that names
    /// nobody. As [`Verification::sign_decision`].
    ///
    /// # Errors
    /// As [`Verification::sign_decision`].
    pub fn sign_decision(
        &self,
        gallery: &GalleryHandle,
        terms: DecisionTerms,
        key: &SigningKey,
    ) -> Result<Vec<u8>, Error> {
        let found = self.candidates.first().filter(|best| best.score >= terms.threshold_score);
        let subject = found.map(|Candidate { subject, .. }| &**subject);
        sign(gallery, subject, subject.is_some(), self.attestation.as_ref(), terms, key)
    }
}

fn sign(
    gallery: &GalleryHandle,
    subject: Option<&SubjectId>,
    is_match: bool,
    attestation: Option<&KeptAttestation>,
    terms: DecisionTerms,
    key: &SigningKey,
) -> Result<Vec<u8>, Error> {
    let attestation = &attestation.ok_or(Error::NoAttestation)?.file.attestation;
    let decision = Decision {
        tenant: terms.tenant,
        audience: terms.audience,
        decided_at_unix_ms: terms.decided_at_unix_ms,
        subject: subject.map(|subject| gallery.gallery().pseudonym(subject).0),
        outcome: if is_match { Outcome::Match } else { Outcome::NonMatch },
        threshold: terms.threshold_score.into(),
        attestation_digest: leaf_hash(attestation),
    };
    Ok(decision.sign(key)?)
}

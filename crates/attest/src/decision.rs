//! The decision: what a tenant made of a score that only it could read, signed by the tenant.

use tyto_pqc::mldsa::SigningKey;

use crate::attestation::Envelope;
use crate::cbor::{Reader, Writer};
use crate::cose::{HeaderForm, sign1};
use crate::error::{Error, FieldProblem, Part};
use crate::fields::{self, FieldWriter, Fields, check_texts, or_null, text};
use crate::log::Hash;

/// Version of the decision, its first entry.
pub const DECISION_VERSION: u64 = 1;

/// The `typ` of the protected header of a decision.
pub const DECISION_CONTENT_TYPE: &str = "application/vnd.tyto.decision+cbor";

const ENTRIES: usize = 8;
const HEADER: HeaderForm = HeaderForm::plain(Part::Decision, DECISION_CONTENT_TYPE);

/// How it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The score reached the threshold.
    Match,
    /// It did not.
    NonMatch,
}

impl Outcome {
    /// The outcome's name in a decision.
    pub fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::NonMatch => "non-match",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Match, Self::NonMatch].into_iter().find(|outcome| outcome.name() == name)
    }
}

/// A decision. The score itself is not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Who decided: the name of the signing key in the trust root.
    pub tenant: String,
    /// For whom.
    pub audience: String,
    /// When, by the tenant's clock.
    pub decided_at_unix_ms: u64,
    /// About whom: the subject's pseudonym. `None` if an identification found nobody, and never of a match.
    pub subject: Option<[u8; 16]>,
    /// How.
    pub outcome: Outcome,
    /// The comparison score from which on it is a match.
    pub threshold: i64,
    /// [`crate::log::leaf_hash`] of the attestation, or of the statement in receipt-only mode, that the decision
    /// rests on.
    pub attestation_digest: Hash,
}

impl Decision {
    /// Signs the decision. Returns the tagged `COSE_Sign1` structure.
    ///
    /// # Errors
    /// [`Error::Field`] if a text is too long or has control characters, or a match has no subject;
    /// [`Error::Signing`].
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, Error> {
        sign1(&HEADER, &self.encode()?, key)
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        let texts = [("tenant", Some(self.tenant.as_str())), ("audience", Some(&self.audience))];
        check_texts(Part::Decision, &texts)?;
        self.check()?;
        let mut w = Writer::default();
        let mut fields = FieldWriter::open(&mut w, ENTRIES);
        fields.next().uint(DECISION_VERSION);
        fields.next().text(&self.tenant);
        fields.next().text(&self.audience);
        fields.next().uint(self.decided_at_unix_ms);
        fields.bytes_or_null(self.subject.as_ref().map(<[u8; 16]>::as_slice));
        fields.next().text(self.outcome.name());
        fields.next().int(self.threshold);
        fields.next().bytes(&self.attestation_digest);
        Ok(w.finish())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let part = Part::Decision;
        let mut reader = fields::payload(part, bytes)?;
        let mut r = Fields::open(part, "decision", &mut reader)?;
        let version = r.next("version", Reader::uint)?;
        if version != DECISION_VERSION {
            return Err(Error::UnknownVersion { part, version });
        }
        r.expect("decision", ENTRIES)?;
        let decision = Self {
            tenant: r.next("tenant", text)?,
            audience: r.next("audience", text)?,
            decided_at_unix_ms: r.next("decided_at_unix_ms", Reader::uint)?,
            subject: r.next("subject", |r| or_null(r, Reader::bytes_exact))?,
            outcome: r
                .next("outcome", |r| Outcome::from_name(r.text()?).ok_or(FieldProblem::UnknownValue))?,
            threshold: r.next("threshold", Reader::int)?,
            attestation_digest: r.next("attestation_digest", Reader::bytes_exact)?,
        };
        decision.check()?;
        Ok(decision)
    }

    /// The rule that the types do not hold.
    fn check(&self) -> Result<(), Error> {
        if self.outcome == Outcome::Match && self.subject.is_none() {
            let problem = FieldProblem::Missing;
            return Err(Error::Field { part: Part::Decision, field: "subject", problem });
        }
        Ok(())
    }

    /// Takes a signed decision apart; nothing is verified.
    pub(crate) fn open(bytes: &[u8]) -> Result<Envelope<'_>, Error> {
        Envelope::parse_form(bytes, Part::Decision, &HEADER)
    }
}

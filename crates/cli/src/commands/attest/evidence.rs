//! Evidence judged by a trust root.

use tyto_client::attest::{
    self, AttestationFile, Check, DecisionFact, Error as AttestError, Object, Part, TrustRoot, TrustedKeys,
    Verdict, Verified,
};

use super::{file, shape};
use crate::Error;
use crate::shown::{Fields, Value};
use crate::trust::trust_root;

/// What was found, and the error if the evidence is rejected.
pub(super) struct Judged {
    pub(super) fields: Fields,
    pub(super) rejection: Option<Error>,
}

/// Judges evidence; `audience` is whom it must be for, if that matters.
pub(super) fn judge(
    bytes: &[u8],
    roots: &TrustRoot,
    at_unix_ms: Option<u64>,
    audience: Option<&str>,
) -> Judged {
    let (evidence, verdict) = if file::is_file(bytes) {
        (Some("attestation-file"), verify_file(bytes, roots, at_unix_ms))
    } else {
        let kind = attest::inspect(bytes).ok().as_ref().map(shape::kind);
        (kind, attest::verify(bytes, roots, at_unix_ms))
    };
    let rejection = match &verdict.outcome {
        Err(error) => Some(error.clone().into()),
        Ok(verified) => audience.and_then(|audience| other_audience(verified, audience)),
    };
    let fields = Fields::new()
        .with("verified", rejection.is_none())
        .with("evidence", evidence)
        .with("at_unix_ms", at_unix_ms)
        .with("trust_root", trust_root(roots))
        .with("checks", verdict.checks.iter().map(check).collect::<Value>())
        .with("rejection", rejection.as_ref().map(rejected))
        .with("without_decision", verdict.without_decision.as_ref().map(proved))
        .and(verdict.outcome.as_ref().map_or_else(
            |_| Fields::new(),
            |verified| proved(verified).with("decision", verified.decision.as_ref().map(decision)),
        ));
    Judged { fields, rejection }
}

/// The attestation in a file by the trust root, then the contents beside it.
fn verify_file(bytes: &[u8], roots: &TrustRoot, at_unix_ms: Option<u64>) -> Verdict {
    let file = match AttestationFile::parse(bytes) {
        Ok(file) => file,
        Err(error) => return Verdict::rejected(error),
    };
    let mut verdict = attest::verify(&file.attestation, roots, at_unix_ms);
    let signer = verdict.outcome.as_ref().ok().and_then(|verified| verified.signer);
    let Some(attest::PublicKey::MlDsa65(key)) = signer.and_then(|id| roots.get(&id)).map(|r| r.key.clone())
    else {
        return verdict;
    };
    match attest::verify_file(&file, &TrustedKeys::from_iter([key])) {
        Ok(_) => verdict.checks.push(Check { part: Part::File, name: "digest" }),
        Err(error) => verdict.outcome = Err(error),
    }
    verdict
}

fn other_audience(verified: &Verified, audience: &str) -> Option<Error> {
    let statement = verified.statement.as_ref().map(|statement| &statement.audience);
    let decision = verified.decision.as_ref().map(|fact| &fact.decision.audience);
    let found = statement.into_iter().chain(decision).find(|found| *found != audience);
    found.map(|found| Error::OtherAudience { found: found.clone() })
}

fn check(check: &Check) -> Fields {
    Fields::new().with("part", check.part.to_string()).with("check", check.name)
}

fn rejected(error: &Error) -> Fields {
    let (part, check) = match error {
        Error::Attestation(error) => (error.part().map(|part| part.to_string()), error.check()),
        _ => (None, "audience"),
    };
    let message = match error {
        Error::Attestation(error) => error.to_string(),
        other => other.to_string(),
    };
    Fields::new().with("part", part).with("check", check).with("message", message)
}

fn proved(verified: &Verified) -> Fields {
    Fields::new()
        .with("existence", shape::existence(verified.existence))
        .bytes_or_none("signing_key", verified.signer.as_ref().map(<[u8; 32]>::as_slice))
        .with("statement", verified.statement.as_ref().map(shape::statement))
        .with("log", verified.log.as_ref().map(shape::log_fact))
}

fn decision(fact: &DecisionFact) -> Fields {
    shape::decision(&fact.decision).bytes("signing_key", &fact.key_id)
}

/// What evidence claims, without believing it.
pub(super) fn inspect(bytes: &[u8]) -> Result<Fields, AttestError> {
    let object: Object = attest::inspect(bytes)?;
    let fields = Fields::new()
        .with("verified", false)
        .with("evidence", shape::kind(&object))
        .with("bytes", bytes.len() as u64);
    Ok(fields.and(shape::object(&object)?))
}

//! What a verdict says of a decision, and of the rest when the decision fails.

use tyto_attest::{Error, FieldProblem, Outcome, Part, TrustRoot, verify};

use crate::evidence::{self, Form};
use crate::golden::read_bytes;
use crate::world::{self, NOW, TENANT, decision_key, roots};

#[test]
fn a_decision_comes_with_the_key_that_signed_it() {
    let verdict = verify(&read_bytes("evidence/with-decision.cbor"), &roots(), Some(NOW));
    assert_eq!(verdict.without_decision, None);
    let fact = verdict.outcome.unwrap().decision.unwrap();
    assert_eq!((fact.decision.tenant.as_str(), fact.decision.outcome), (TENANT, Outcome::Match));
    assert_eq!(fact.key_id, decision_key().verifying_key().key_id());
}

#[test]
fn a_bundle_whose_decision_fails_is_rejected_and_says_what_it_proves_without_it() {
    let mut failed = 0;
    for case in evidence::all().iter().filter(|case| case.form == Form::Evidence) {
        let bytes = read_bytes(&case.file());
        let roots = TrustRoot::open(&read_bytes(&format!("roots/{}.cbor", case.roots)), None).unwrap();
        let verdict = verify(&bytes, &roots, case.at);
        let of_decision = verdict.rejection().is_some_and(|error| error.part() == Some(Part::Decision));
        assert_eq!(verdict.without_decision.is_some(), of_decision, "{}", case.name);
        if let Some(rest) = verdict.without_decision {
            assert!(
                rest.statement.is_some() && rest.log.is_some() && rest.decision.is_none(),
                "{}",
                case.name
            );
            failed += 1;
        }
    }
    assert!(failed >= 9, "{failed} decisions failed");
}

#[test]
fn a_match_about_nobody_is_not_signed() {
    let mut decision = world::decision([1; 32]);
    decision.subject = None;
    let problem = FieldProblem::Missing;
    let refused = Error::Field { part: Part::Decision, field: "subject", problem };
    assert_eq!(decision.sign(&decision_key()), Err(refused));
    decision.outcome = Outcome::NonMatch;
    assert!(decision.sign(&decision_key()).is_ok());
}

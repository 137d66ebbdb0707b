//! What is signed verifies and says the same; what must not be signed is refused.

use tyto_attest::{
    AttestationFile, Claim, ContentCheck, Error, FieldProblem, MatchResult, Part, Statement, sign,
    verify_attestation, verify_file,
};

use crate::{raw, sample};

#[test]
fn a_signed_statement_verifies_and_reads_back() {
    let others = sample::other_statements().into_iter().map(|(_, statement)| statement);
    for statement in [sample::statement(), sample::sparse_statement()].into_iter().chain(others) {
        let attestation = sign(&statement, &sample::signing_key()).unwrap();
        assert_eq!(verify_attestation(&attestation, &sample::trusted_keys()), Ok(statement.clone()));
        assert_ne!(attestation, sign(&statement, &sample::signing_key()).unwrap(), "signing is not hedged");
    }
}

#[test]
fn the_encoding_is_the_one_written_by_hand() {
    let payload = raw::map(&sample::entries());
    assert_eq!(sample::statement().encode().unwrap(), payload);

    // Everything but the signature is determined.
    let attestation = sign(&sample::statement(), &sample::signing_key()).unwrap();
    let by_hand = sample::sign_raw(&raw::map(&sample::protected_entries()), &payload);
    assert_eq!(attestation.len(), by_hand.len());
    assert_eq!(attestation[..attestation.len() - 3309], by_hand[..by_hand.len() - 3309]);
    assert_eq!(verify_attestation(&by_hand, &sample::trusted_keys()), Ok(sample::statement()));
}

#[test]
fn the_largest_statement_fits() {
    let longest = "ö".repeat(128);
    let statement = Statement {
        issuer: longest.clone(),
        audience: longest.clone(),
        principal: Some(longest.clone()),
        software_version: longest.clone(),
        build_digest: Some(longest),
        claim: Claim::Match(MatchResult {
            ticket_id: Some([1; 16]),
            blocks_matched: u64::MAX,
            blocks_total: u64::MAX,
            manifest_version: u64::MAX,
            ..sample::match_result()
        }),
        ..sample::statement()
    };
    let attestation = sign(&statement, &sample::signing_key()).unwrap();
    assert_eq!(verify_attestation(&attestation, &sample::trusted_keys()), Ok(statement));
}

#[test]
fn a_statement_that_breaks_a_rule_is_not_signed() {
    let too_long = FieldProblem::TooLong { max_bytes: 256, actual_bytes: 258 };
    let cases: [(Statement, &str, FieldProblem); 5] = [
        (Statement { issuer: "ö".repeat(129), ..sample::statement() }, "issuer", too_long),
        (
            Statement { audience: "line\nbreak".into(), ..sample::statement() },
            "audience",
            FieldProblem::ControlCharacter,
        ),
        (Statement { principal: Some("ö".repeat(129)), ..sample::statement() }, "principal", too_long),
        (Statement { build_digest: Some("ö".repeat(129)), ..sample::statement() }, "build_digest", too_long),
        (
            Statement {
                claim: Claim::Match(MatchResult { blocks_matched: 6, ..sample::match_result() }),
                ..sample::statement()
            },
            "blocks_matched",
            FieldProblem::OutOfRange { max: 5, actual: 6 },
        ),
    ];
    for (statement, field, problem) in cases {
        let refused = sign(&statement, &sample::signing_key());
        assert_eq!(refused, Err(Error::Field { part: Part::Statement, field, problem }));
    }
}

#[test]
fn an_attestation_of_an_untrusted_key_is_refused() {
    let attestation = sign(&sample::statement(), &sample::untrusted_key()).unwrap();
    let key_id = sample::untrusted_key().verifying_key().key_id();
    let unknown = Error::UnknownKey { part: Part::Envelope, key_id };
    assert_eq!(verify_attestation(&attestation, &sample::trusted_keys()), Err(unknown.clone()));

    let shown = unknown.to_string();
    let digits: String = shown.chars().filter(char::is_ascii_hexdigit).collect();
    assert!(digits.contains(&format!("{:02x}{:02x}", key_id[0], key_id[1])), "{shown}");
}

#[test]
fn a_file_says_which_contents_were_checked() {
    let whole = sample::file();
    let (present, absent) = (ContentCheck::Matches, ContentCheck::Absent);
    for (request, result) in [(present, present), (present, absent), (absent, present), (absent, absent)] {
        let mut file = whole.clone();
        if request == absent {
            file.request = None;
        }
        if result == absent {
            file.result = None;
        }
        let restored = AttestationFile::parse(&file.encode().unwrap()).unwrap();
        assert_eq!(restored, file);
        let verified = verify_file(&restored, &sample::trusted_keys()).unwrap();
        assert_eq!((verified.request, verified.result), (request, result));
        assert_eq!(verified.statement, sample::statement());
    }
}

#[test]
fn an_empty_content_is_not_an_absent_one() {
    let file = AttestationFile { request: Some(Vec::new()), ..sample::file() };
    let restored = AttestationFile::parse(&file.encode().unwrap()).unwrap();
    assert_eq!(restored.request, Some(Vec::new()));
    assert!(verify_file(&restored, &sample::trusted_keys()).is_err());
}

#[test]
fn a_file_too_large_is_not_written() {
    let file = AttestationFile { attestation: vec![0; 6145], ..sample::file() };
    let problem = FieldProblem::TooLong { max_bytes: 6144, actual_bytes: 6145 };
    assert_eq!(file.encode(), Err(Error::Field { part: Part::File, field: "attestation", problem }));
}

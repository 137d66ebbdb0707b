//! The text form of a list of trusted keys.

use tyto_attest::{Error, KeyLineProblem, TrustedKeys};
use tyto_pqc::mldsa::VerifyingKey;

use crate::sample;

fn two_keys() -> TrustedKeys {
    [sample::signing_key(), sample::untrusted_key()].iter().map(|k| k.verifying_key().clone()).collect()
}

#[test]
fn a_list_survives_its_text_form() {
    for keys in [TrustedKeys::new(), sample::trusted_keys(), two_keys()] {
        let text = keys.to_text();
        assert_eq!(TrustedKeys::parse(&text), Ok(keys.clone()));
        assert_eq!(text.lines().count(), 1 + keys.len());
    }
}

#[test]
fn comments_and_windows_line_ends_are_permitted() {
    let text = two_keys().to_text().replace('\n', "\r\n") + "\r\n# a comment\r\n";
    assert_eq!(TrustedKeys::parse(&text), Ok(two_keys()));
}

#[test]
fn a_wrong_line_makes_the_list_wrong() {
    let text = two_keys().to_text();
    let [header, first, second] = text.lines().collect::<Vec<_>>()[..] else { panic!("three lines") };
    let (first_id, second_id) = (&first[10..74], &second[10..74]);
    let cases = [
        (String::new(), 1, KeyLineProblem::Header),
        ("tyto-trusted-keys v2\n".into(), 1, KeyLineProblem::Header),
        (first.into(), 1, KeyLineProblem::Header),
        (format!("{header}\n{first}\n{second} x"), 3, KeyLineProblem::Shape),
        (format!("{header}\n{first}\nml-dsa-65 {second_id}"), 3, KeyLineProblem::Shape),
        (format!("{header}\n {first}"), 2, KeyLineProblem::Shape),
        (format!("{header}\n{}", first.replace("ml-dsa-65", "ml-dsa-44")), 2, KeyLineProblem::Algorithm),
        (
            format!("{header}\n{}", first.to_uppercase().replace("ML-DSA-65", "ml-dsa-65")),
            2,
            KeyLineProblem::Hexadecimal,
        ),
        (format!("{header}\n{}", &first[..first.len() - 2]), 2, KeyLineProblem::Hexadecimal),
        (format!("{header}\n{first}00"), 2, KeyLineProblem::Hexadecimal),
        (format!("{header}\n{}", first.replace(first_id, second_id)), 2, KeyLineProblem::KeyId),
        (format!("{header}\n{first}\n\n{second}\n{first}"), 5, KeyLineProblem::Duplicate),
    ];
    for (text, line, problem) in cases {
        assert_eq!(TrustedKeys::parse(&text), Err(Error::TrustedKeys { line, problem }), "{problem}");
    }
}

#[test]
fn no_altered_key_is_accepted_under_its_id() {
    let text = sample::trusted_keys().to_text();
    let key_at = text.len() - 1 - 2 * 1952;
    for at in key_at..text.len() - 1 {
        let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
        let altered = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
        let wrong_id = Error::TrustedKeys { line: 2, problem: KeyLineProblem::KeyId };
        assert_eq!(TrustedKeys::parse(&altered), Err(wrong_id), "digit {at}");
    }
}

#[test]
fn there_is_a_most_of_keys() {
    let keys: TrustedKeys =
        (0..257_u16).map(|i| VerifyingKey::from_bytes(&i.to_be_bytes().repeat(976)).unwrap()).collect();
    let too_many = KeyLineProblem::TooMany { max_keys: 256 };
    assert_eq!(TrustedKeys::parse(&keys.to_text()), Err(Error::TrustedKeys { line: 258, problem: too_many }));
}

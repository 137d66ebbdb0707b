//! The list of servers that a client keeps.

use super::seeded::signing_key;
use super::world::{AUDIENCE, IDENTITY, name};
use crate::*;

fn list() -> TrustedServers {
    let mut trusted = TrustedServers::new(name(AUDIENCE));
    trusted.add(name(IDENTITY), signing_key(0).verifying_key().clone()).unwrap();
    trusted.add(name("a name with blanks"), signing_key(1).verifying_key().clone()).unwrap();
    trusted
}

#[test]
fn a_list_is_read_as_it_was_written() {
    let text = list().to_text();
    let read = TrustedServers::parse(&text).unwrap();
    assert_eq!((read.to_text(), read.audience()), (text.clone(), &name(AUDIENCE)));
    let spaced = text.replace('\n', "\n\n# a comment\n");
    assert_eq!(TrustedServers::parse(&spaced).unwrap().to_text(), text);
}

#[test]
fn one_wrong_line_makes_the_whole_list_wrong() {
    let text = list().to_text();
    let lines: Vec<&str> = text.lines().collect();
    let refused = |at: usize, line: &str, problem| {
        let mut lines = lines.clone();
        lines[at] = line;
        let expected = Error::TrustedServers { line: at + 1, problem };
        assert_eq!(TrustedServers::parse(&lines.join("\n")).err(), Some(expected), "{line}");
    };
    refused(0, "tyto-session-keys v2", LineProblem::Header);
    refused(1, "audience", LineProblem::Audience);
    refused(1, lines[2], LineProblem::Audience);
    refused(2, "ml-dsa-65 00", LineProblem::Shape);
    refused(2, &lines[2].replace("ml-dsa-65", "ml-dsa-87"), LineProblem::Algorithm);
    refused(2, &lines[2].to_uppercase().replace("ML-DSA-65", "ml-dsa-65"), LineProblem::Key);
    let id = lines[2].split(' ').nth(1).unwrap();
    refused(2, &lines[2].replace(id, &"0".repeat(64)), LineProblem::KeyId);
    refused(3, lines[1], LineProblem::Shape);
    let many = [&lines[..2], &vec![lines[2]; MAX_TRUSTED_SERVERS + 1]].concat().join("\n");
    let expected = Error::TrustedServers { line: MAX_TRUSTED_SERVERS + 3, problem: LineProblem::TooMany };
    assert_eq!(TrustedServers::parse(&many).err(), Some(expected));
    let header = Error::TrustedServers { line: 1, problem: LineProblem::Header };
    assert_eq!(TrustedServers::parse("").err(), Some(header));
}

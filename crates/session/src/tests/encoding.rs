//! The form of messages: one encoding for each, and everything else refused.

use super::world::*;
use crate::*;

fn malformed(part: Part, field: &'static str) -> Error {
    Error::Malformed { part, field }
}

/// A `ClientHello` with another list of suites.
fn with_offer(hello: &[u8], count: u8, ids: &[u16]) -> Vec<u8> {
    let old = 3 + 2 * usize::from(hello[2]);
    let list = ids.iter().flat_map(|id| id.to_le_bytes());
    hello[..2].iter().copied().chain([count]).chain(list).chain(hello[old..].iter().copied()).collect()
}

/// Each message cut at every byte, and with a byte more.
#[test]
fn cut_and_lengthened_messages_are_refused() {
    let world = World::new(&BOTH[1..]);
    let (_, _, flights) = world.seeded_connect(Who::Signer);
    let variants = |message: &[u8]| -> Vec<Vec<u8>> {
        let cut = (0..message.len()).map(|length| message[..length].to_vec());
        cut.chain([[message, &[0]].concat()]).collect()
    };
    for hello in variants(&flights.client_hello) {
        assert!(world.seeded_answer(&hello).is_err(), "{} bytes of ClientHello", hello.len());
    }
    for hello in variants(&flights.server_hello) {
        let (state, _) = world.seeded_start();
        let refused = world.seeded_finish(state, &hello, Who::Signer);
        assert!(refused.is_err(), "{} bytes of ServerHello", hello.len());
    }
    for finish in variants(&flights.client_finish) {
        let (state, _) = world.seeded_answer(&flights.client_hello).unwrap();
        assert!(state.receive(&finish, NOW).is_err(), "{} bytes of ClientFinish", finish.len());
    }
    for accepted in variants(&flights.accepted) {
        let (state, _) = world.seeded_start();
        let (state, _) = world.seeded_finish(state, &flights.server_hello, Who::Signer).unwrap();
        assert!(state.receive(&accepted, NOW).is_err(), "{} bytes of Accepted", accepted.len());
    }
}

#[test]
fn lists_of_suites_are_short_and_distinct() {
    let world = World::new(&BOTH[1..]);
    let (_, hello) = world.seeded_start();
    let answer = |count, ids: &[u16]| world.seeded_answer(&with_offer(&hello, count, ids)).err();
    let refused = Some(malformed(Part::ClientHello, "offered suites"));
    assert_eq!(answer(0, &[]), refused);
    assert_eq!(answer(2, &[1, 1]), refused);
    assert_eq!(answer(3, &[1, 7, 7]), refused);
    assert_eq!(answer(9, &[1, 2, 3, 4, 5, 6, 7, 8, 9]), refused);
    // Suites that this version does not know are no reason to refuse those that it does.
    assert_eq!(answer(8, &[9, 8, 7, 6, 5, 4, 2, 1]), None);
    assert_eq!(answer(2, &[7, 8]), Some(malformed(Part::ClientHello, "suite of the key")));
}

/// A client of a later version, whose key is for a suite that this version cannot read.
#[test]
fn a_hello_for_an_unknown_suite_is_told_a_better_one() {
    let world = World::new(&BOTH[1..]);
    let (_, hello) = world.seeded_start();
    let mut hello = with_offer(&hello, 2, &[7, 1]);
    hello[7..9].copy_from_slice(&7_u16.to_le_bytes());
    hello.truncate(50);
    assert_eq!(world.seeded_answer(&hello).err(), Some(Error::OtherSuite { best: Suite::MlKem768 }));
    let mut hello = with_offer(&hello, 1, &[7]);
    hello[5..7].copy_from_slice(&7_u16.to_le_bytes());
    assert_eq!(world.seeded_answer(&hello).err(), Some(Error::NoCommonSuite));
}

#[test]
fn other_versions_and_types_are_refused() {
    let world = World::new(&BOTH[1..]);
    let (_, _, flights) = world.seeded_connect(Who::Nobody);
    for found in [0, 2, 255] {
        let other = |message: &[u8]| [&[found], &message[1..]].concat();
        let (client, _) = world.seeded_start();
        let (server, _) = world.seeded_answer(&flights.client_hello).unwrap();
        let version = |part| Some(Error::Version { part, found });
        assert_eq!(world.seeded_answer(&other(&flights.client_hello)).err(), version(Part::ClientHello));
        let refused = world.seeded_finish(client, &other(&flights.server_hello), Who::Nobody).err();
        assert_eq!(refused, version(Part::ServerHello));
        assert_eq!(server.receive(&other(&flights.client_finish), NOW).err(), version(Part::ClientFinish));
        let (client, _) = world.seeded_start();
        let (client, _) = world.seeded_finish(client, &flights.server_hello, Who::Nobody).unwrap();
        assert_eq!(client.receive(&other(&flights.accepted), NOW).err(), version(Part::Accepted));
    }
}

/// FIPS 203 section 7.2: a key that is not reduced.
#[test]
fn an_encapsulation_key_that_is_none_is_refused() {
    let world = World::new(&BOTH[1..]);
    let (_, mut hello) = world.seeded_start();
    let key = hello.len() - BOTH[1].kem().encapsulation_key_bytes();
    hello[key..key + 3].fill(0xff);
    let refused = Some(malformed(Part::ClientHello, "encapsulation key"));
    assert_eq!(world.seeded_answer(&hello).err(), refused);
}

#[test]
fn names_have_characters_and_no_control_characters() {
    for good in ["a", "node-1.example", "Käse", &"n".repeat(MAX_NAME_BYTES)] {
        assert_eq!(Name::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "a\nb", "\u{7f}", "\u{85}", &"n".repeat(MAX_NAME_BYTES + 1)] {
        assert_eq!(Name::new(bad), Err(Error::Name { actual_bytes: bad.len() }));
    }
    // The same on the wire.
    let world = World::new(&BOTH[1..]);
    let (_, hello) = world.seeded_start();
    let at = 2 + 3 + 2 + 32;
    assert_eq!(hello[at] as usize, AUDIENCE.len());
    for byte in [b'\n', 0xff] {
        let mut hello = hello.clone();
        hello[at + 1] = byte;
        assert_eq!(world.seeded_answer(&hello).err(), Some(malformed(Part::ClientHello, "audience")));
    }
}

#[test]
fn limits_have_bounds() {
    for (lifetime_s, max_rpcs) in [(1, 1), (MAX_LIFETIME_S, MAX_RPCS)] {
        let limits = SessionLimits::new(lifetime_s, max_rpcs).unwrap();
        assert_eq!((limits.lifetime_s(), limits.max_rpcs()), (lifetime_s, max_rpcs));
    }
    for (lifetime_s, max_rpcs) in [(0, 1), (1, 0), (MAX_LIFETIME_S + 1, 1), (1, MAX_RPCS + 1)] {
        let refused = Err(Error::Limits { lifetime_s, max_rpcs });
        assert_eq!(SessionLimits::new(lifetime_s, max_rpcs), refused);
    }
    assert_eq!(Suites::new(&[]), Err(Error::Suites { count: 0 }));
    assert_eq!(Suites::new(&[BOTH[0], BOTH[0]]), Err(Error::Suites { count: 2 }));
}

/// The longest of everything stays within the limits that a service sets for messages.
#[test]
fn the_longest_messages_are_as_long_as_stated() {
    let longest = "n".repeat(MAX_NAME_BYTES);
    let key = super::seeded::signing_key(0);
    let mut trusted = TrustedServers::new(name(&longest));
    trusted.add(name(&longest), key.verifying_key().clone()).unwrap();
    let limits = SessionLimits::new(1, 1).unwrap();
    let server = Server::new(name(&longest), name(&longest), key, suites(&BOTH)).unwrap();
    let (client, hello) = Client::new(trusted, suites(&BOTH)).start(NOW).unwrap();
    let shorter_lists = 2 * (MAX_SUITES - BOTH.len());
    assert_eq!(hello.len(), MAX_CLIENT_HELLO_BYTES - shorter_lists);
    let (server, answer) = server.answer(&hello, NOW).unwrap();
    assert_eq!(answer.len(), MAX_SERVER_HELLO_BYTES - shorter_lists);
    let signer = super::seeded::signing_key(1);
    let (client, finish) = client.receive(&answer, &Credential::Signature(&signer), NOW).unwrap();
    assert_eq!(finish.len(), CLIENT_FINISH_BYTES);
    let claim = server.receive(&finish, NOW).unwrap();
    let known = claim.verify(&Verifier::Signature(signer.verifying_key()), NOW).unwrap();
    let Acceptance { mut session, message, .. } =
        known.accept(name(&longest), limits, None, &admission(), NOW).unwrap();
    assert_eq!(message.len(), ACCEPTED_BYTES);
    let state = StateKey::new(&tyto_pqc::Secret32::random().unwrap(), NOW).unwrap();
    session.credential = CredentialId::Mac(name(&longest));
    assert_eq!(session.export(&state, NOW).unwrap().len(), MAX_STATE_BYTES);
    assert!(client.receive(&message, NOW).is_ok());
}

/// Neither the kind of credential nor the length of a name can be told from the lengths of sealed messages.
#[test]
fn sealed_messages_of_the_handshake_have_one_length() {
    for who in EVERYBODY {
        let (_, _, flights) = World::new(&BOTH[1..]).connect(who);
        assert_eq!(flights.client_finish.len(), CLIENT_FINISH_BYTES, "{who:?}");
        assert_eq!(flights.accepted.len(), ACCEPTED_BYTES, "{who:?}");
    }
}

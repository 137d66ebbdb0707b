//! What a handshake agrees on, and what makes it fail.

use super::seeded::signing_key;
use super::world::*;
use crate::finish::{Accepted, ClientFinish};
use crate::hello::{ClientHello, ServerHello};
use crate::schedule::HandshakeSecrets;
use crate::transcript::{SERVER_SIGNATURE, Transcript, signed_message};
use crate::*;

use tyto_pqc::mldsa::{self, SigningKey};
use tyto_pqc::{Secret32, random};

fn error<T>(result: Result<T, Error>) -> Error {
    result.err().expect("it is refused")
}

#[test]
fn both_sides_agree_whatever_the_suite_and_the_credential() {
    for list in [&BOTH[..], &BOTH[..1], &BOTH[1..]] {
        for who in EVERYBODY {
            let world = World::new(list);
            let (client, server, _) = world.connect(who);
            assert_eq!((client.suite(), client.id()), (list[0], server.id()));
            assert_eq!((server.suite(), client.rpcs_left()), (list[0], MAX));
            assert_eq!(server.credential(), &world.credential(who).id().unwrap());
            assert_eq!((client.server(), client.principal()), (&name(IDENTITY), &name(PRINCIPAL)));
            assert_eq!(server.principal(), client.principal());
            assert_eq!(client.expires_at_ms(), NOW + 1000 * u64::from(LIFETIME_S));
            assert_eq!(server.expires_at_ms(), client.expires_at_ms());
            let mut call = call(&client, &server, &world.admission);
            let answer = call.served.answers.seal(Kind::End, b"answer", NOW).unwrap();
            assert_eq!(opened(&mut call.answers, &answer), Ok((Kind::End, b"answer".to_vec())));
        }
    }
}

#[test]
fn two_handshakes_have_nothing_in_common() {
    let world = World::new(&BOTH[1..]);
    let (first, second) = (world.connect(Who::ApiKey), world.connect(Who::ApiKey));
    assert_ne!(first.0.id(), second.0.id());
    assert_ne!(first.2.client_hello, second.2.client_hello);
    assert_ne!(first.2.server_hello, second.2.server_hello);
    assert_ne!(first.2.client_finish, second.2.client_finish);
}

/// An impostor with a key of its own, which says so, or which names the trusted key.
#[test]
fn a_wrong_server_key_is_refused() {
    let world = World::new(&BOTH);
    let (state, hello) = world.seeded_start();
    let impostor = server(IDENTITY, 0x99, &BOTH);
    let (_, answer) = impostor.answer(&hello, NOW).unwrap();
    let refused = error(world.seeded_finish(state, &answer, Who::ApiKey));
    assert_eq!(refused, Error::UntrustedServer { key_id: impostor.key_id() });

    let (state, hello) = world.seeded_start();
    let (_, answer) = forged_answer(&hello, &signing_key(0x99), |hello| hello.key_id = world.server.key_id());
    assert_eq!(error(world.seeded_finish(state, &answer, Who::ApiKey)), Error::ServerSignature);
}

#[test]
fn a_trusted_key_under_another_identity_is_refused() {
    let mut world = World::new(&BOTH);
    world.trust("node-2.match.example", &signing_key(0x22));
    let (state, hello) = world.seeded_start();
    let (_, answer) = server(IDENTITY, 0x22, &BOTH).answer(&hello, NOW).unwrap();
    assert!(matches!(error(world.seeded_finish(state, &answer, Who::ApiKey)), Error::UntrustedServer { .. }));
}

/// A signature of the same key over the same hash, for another purpose, is none of a server's.
#[test]
fn signatures_for_other_purposes_are_refused() {
    let world = World::new(&BOTH);
    let (state, hello) = world.seeded_start();
    let key = signing_key(0);
    let (_, mut answer) = forged_answer(&hello, &key, |_| ());
    let core = &answer[..answer.len() - mldsa::SIGNATURE_BYTES - 32];
    let mut transcript = Transcript::new();
    transcript.add(&hello);
    let hash = transcript.add(core);
    let other = key.sign(&signed_message(crate::transcript::CLIENT_SIGNATURE, &hash)).unwrap();
    let at = core.len();
    answer[at..at + other.len()].copy_from_slice(&other);
    assert_eq!(error(world.seeded_finish(state, &answer, Who::ApiKey)), Error::ServerSignature);
}

/// What a server answers that can be made to say anything: the secrets and the message.
fn forged_answer(
    client_hello: &[u8],
    key: &SigningKey,
    edit: impl FnOnce(&mut ServerHello),
) -> (HandshakeSecrets, Vec<u8>) {
    let any = suites(&Suite::ALL);
    let read = [&any, &suites(&BOTH[..1]), &suites(&BOTH[1..])];
    let (theirs, share) = read.iter().find_map(|ours| ClientHello::read(client_hello, ours).ok()).unwrap();
    let (ciphertext, shared) = share.encapsulate().unwrap();
    let mut hello = ServerHello {
        suite: theirs.share,
        nonce: random::bytes().unwrap(),
        session_id: SessionId::from_bytes(random::bytes().unwrap()),
        supported: any.offer(),
        identity: name(IDENTITY),
        key_id: KeyId::from_bytes(key.verifying_key().key_id()),
        ciphertext,
    };
    edit(&mut hello);
    let mut message = hello.write();
    let mut transcript = Transcript::new();
    transcript.add(client_hello);
    let hash = transcript.add(&message);
    let secrets = HandshakeSecrets::new(shared, &hash);
    let signature = key.sign(&signed_message(SERVER_SIGNATURE, &hash)).unwrap();
    let finished = secrets.server_finished(&transcript.add(&signature));
    message.extend_from_slice(&signature);
    message.extend_from_slice(&finished);
    (secrets, message)
}

/// Whoever is between cannot make the two meet at a suite that is not the best of both.
#[test]
fn a_downgraded_suite_is_refused() {
    let world = World::new(&BOTH);
    // "The server knows only ML-KEM-768", says someone; the server says otherwise.
    let (state, hello) = world.client.start_again(Suite::MlKem768, NOW).unwrap();
    assert_eq!(error(world.server.answer(&hello, NOW)), Error::OtherSuite { best: Suite::MlKem1024 });
    // The offer is cut down on the way, so that the server answers: the client sees that it was another hello.
    let mut cut = hello.clone();
    cut[2] = 1;
    cut.drain(3..5);
    let (_, answer) = world.server.answer(&cut, NOW).unwrap();
    assert_eq!(error(world.seeded_finish(state, &answer, Who::ApiKey)), Error::ServerSignature);
    // A server that goes along says what it supports, under its signature.
    let (state, hello) = world.client.start_again(Suite::MlKem768, NOW).unwrap();
    let (_, answer) = forged_answer(&hello, &signing_key(0), |_| ());
    let (chosen, best) = (Suite::MlKem768, Suite::MlKem1024);
    assert_eq!(error(world.seeded_finish(state, &answer, Who::ApiKey)), Error::Downgrade { chosen, best });
    // A server that answers with another suite than the key is for.
    let (state, hello) = world.seeded_start();
    let (_, mut answer) = world.seeded_answer(&hello).unwrap();
    answer[2..4].copy_from_slice(&Suite::MlKem768.id().to_le_bytes());
    assert!(matches!(error(world.seeded_finish(state, &answer, Who::ApiKey)), Error::Malformed { .. }));
}

#[test]
fn a_client_starts_again_for_a_server_that_knows_less_and_never_below_its_policy() {
    let mut world = World::new(&BOTH);
    world.server = server(IDENTITY, 0, &BOTH[1..]);
    let (_, hello) = world.client.start(NOW).unwrap();
    let Error::OtherSuite { best } = error(world.server.answer(&hello, NOW)) else { panic!() };
    let (state, hello) = world.client.start_again(best, NOW).unwrap();
    let (_, answer) = world.server.answer(&hello, NOW).unwrap();
    assert!(world.seeded_finish(state, &answer, Who::ApiKey).is_ok());

    let strict = Client::new(world.trusted.clone(), suites(&BOTH[..1]));
    let (_, hello) = strict.start(NOW).unwrap();
    assert_eq!(error(world.server.answer(&hello, NOW)), Error::NoCommonSuite);
    assert_eq!(error(strict.start_again(best, NOW)), Error::NoCommonSuite);
}

/// The server answers it, in a session of its own; who replays it has nothing to go on with.
#[test]
fn a_replayed_hello_leads_nowhere() {
    let world = World::new(&BOTH);
    let (client, hello) = world.client.start(NOW).unwrap();
    let (_, answer) = world.server.answer(&hello, NOW).unwrap();
    let (_, finish) = world.seeded_finish(client, &answer, Who::ApiKey).unwrap();
    let (replayed, other_answer) = world.server.answer(&hello, NOW).unwrap();
    assert_ne!(answer, other_answer);
    let part = Part::ClientFinish;
    assert_eq!(error(replayed.receive(&finish, NOW)), Error::NotAuthentic { part });
    // Nor with the new session's id in it.
    let (replayed, _) = world.server.answer(&hello, NOW).unwrap();
    let mut finish = finish;
    finish[2..18].copy_from_slice(replayed.session_id().as_bytes());
    assert_eq!(error(replayed.receive(&finish, NOW)), Error::NotAuthentic { part });
}

#[test]
fn a_replayed_answer_or_acceptance_is_refused() {
    let world = World::new(&BOTH);
    let (_, _, old) = world.connect(Who::ApiKey);
    let (client, _) = world.client.start(NOW).unwrap();
    assert_eq!(error(world.seeded_finish(client, &old.server_hello, Who::ApiKey)), Error::ServerSignature);
    let (client, hello) = world.client.start(NOW).unwrap();
    let (_, answer) = world.server.answer(&hello, NOW).unwrap();
    let (client, _) = world.seeded_finish(client, &answer, Who::ApiKey).unwrap();
    let mut accepted = old.accepted;
    accepted[2..18].copy_from_slice(client.session_id().as_bytes());
    assert_eq!(error(client.receive(&accepted, NOW)), Error::NotAuthentic { part: Part::Accepted });
}

/// Each message back to who sent it, and in every other place.
#[test]
fn a_reflected_message_is_refused() {
    let world = World::new(&BOTH);
    let (_, _, flights) = world.seeded_connect(Who::ApiKey);
    let all = [&flights.client_hello, &flights.server_hello, &flights.client_finish, &flights.accepted];
    for (sent, message) in all.into_iter().enumerate() {
        let malformed = |part, result: Error| assert_eq!(result, Error::Malformed { part, field: "type" });
        let (client, hello) = world.seeded_start();
        let (server, answer) = world.seeded_answer(&hello).unwrap();
        if sent != 0 {
            malformed(Part::ClientHello, error(world.seeded_answer(message)));
        }
        if sent != 1 {
            let client = world.seeded_start().0;
            malformed(Part::ServerHello, error(world.seeded_finish(client, message, Who::ApiKey)));
        }
        if sent != 2 {
            malformed(Part::ClientFinish, error(server.receive(message, NOW)));
        }
        if sent != 3 {
            let (client, _) = world.seeded_finish(client, &answer, Who::ApiKey).unwrap();
            malformed(Part::Accepted, error(client.receive(message, NOW)));
        }
    }
}

/// Someone whom the client trusts as one server passes on what it says to another: neither the sealed message nor the
/// proof out of it is worth anything there.
#[test]
fn a_bare_credential_relayed_to_another_server_is_refused() {
    for who in [Who::ApiKey, Who::Signer] {
        let mut world = World::new(&BOTH);
        let (middle_name, middle_key) = ("middle.example", signing_key(0x33));
        world.trust(middle_name, &middle_key);
        let (client, hello) = world.client.start(NOW).unwrap();
        let (secrets, answer) =
            forged_answer(&hello, &middle_key, |hello| hello.identity = name(middle_name));
        let (_, finish) = world.seeded_finish(client, &answer, who).unwrap();
        // The one in the middle reads what is meant for it.
        let mut transcript = Transcript::new();
        transcript.add(&hello);
        let proofs = mldsa::SIGNATURE_BYTES + 32;
        transcript.add(&answer[..answer.len() - proofs]);
        transcript.add(&answer[answer.len() - proofs..answer.len() - 32]);
        let hash = transcript.add(&answer[answer.len() - 32..]);
        let session = ServerHello::read(&answer).unwrap().hello.session_id;
        let stolen =
            ClientFinish::open(&finish, &session, &secrets.client_finish_key(&hash).unwrap()).unwrap();

        // With it, it goes to the server as a client of its own.
        let draws = &mut world.client_draws.again();
        let own = world.client.start_with(draws, BOTH[0], NOW).unwrap();
        let (server, server_answer) = world.seeded_answer(&own.1).unwrap();
        let credential = stolen.credential.clone();
        let relayed = finish_with(&own.1, &server_answer, credential, |_| stolen.proof);
        let claim = server.receive(&relayed, NOW).unwrap();
        assert_eq!(claim.credential(), &world.credential(who).id().unwrap());
        assert_eq!(error(claim.verify(&world.verifier(who), NOW)), Error::ClientProof, "{who:?}");
        // Nothing but the proof was wrong: one that is made for this handshake holds.
        let (server, server_answer) = world.seeded_answer(&own.1).unwrap();
        let honest = finish_with(&own.1, &server_answer, stolen.credential, |hash| {
            world.credential(who).prove(&mut world.client_draws.again(), hash).unwrap()
        });
        assert!(server.receive(&honest, NOW).unwrap().verify(&world.verifier(who), NOW).is_ok(), "{who:?}");
        // The message as it was.
        let (server, _) = world.seeded_answer(&own.1).unwrap();
        assert_eq!(error(server.receive(&finish, NOW)), Error::NotAuthentic { part: Part::ClientFinish });
    }
}

/// A `ClientFinish` that is right but for credential and proof, by a client with the seeded key. The proof is given the hash
/// that it has to be over.
fn finish_with(
    hello: &[u8],
    answer: &[u8],
    credential: CredentialId,
    prove: impl FnOnce(&[u8; 32]) -> Vec<u8>,
) -> Vec<u8> {
    let proven = ServerHello::read(answer).unwrap();
    let mut transcript = Transcript::new();
    transcript.add(hello);
    let hash = transcript.add(proven.core);
    let key = super::seeded::decapsulation_key(proven.hello.suite.kem());
    let secrets = HandshakeSecrets::new(key.decapsulate(&proven.hello.ciphertext).unwrap(), &hash);
    transcript.add(proven.signature);
    let hash = transcript.add(proven.finished);
    let finish_key = secrets.client_finish_key(&hash).unwrap();
    let proof = prove(&transcript.add(&credential.write()));
    let finished = secrets.client_finished(&transcript.add(&proof));
    let message = ClientFinish { credential, proof, finished };
    message.seal(&proven.hello.session_id, &finish_key).unwrap()
}

#[test]
fn a_client_that_does_not_prove_its_credential_is_refused() {
    let world = World::new(&BOTH);
    let wrong = MacKey::derive(&Secret32::random().unwrap());
    let other = signing_key(0x61);
    let of_87 = SigningKey::generate_for(mldsa::ParameterSet::MlDsa87).unwrap();
    let cases = [
        (Who::ApiKey, Verifier::Mac(&wrong)),
        (Who::ApiKey, Verifier::Unknown),
        (Who::ApiKey, Verifier::Signature(world.client_key.verifying_key())),
        (Who::Signer, Verifier::Signature(other.verifying_key())),
        (Who::Signer, Verifier::Signature(of_87.verifying_key())),
        (Who::Signer, Verifier::Mac(&world.mac_key)),
        (Who::Signer, Verifier::Unknown),
        (Who::Nobody, Verifier::Unknown),
        (Who::Nobody, Verifier::Mac(&world.mac_key)),
        (Who::Nobody, Verifier::Signature(world.client_key.verifying_key())),
    ];
    for (who, verifier) in cases {
        let (client, hello) = world.seeded_start();
        let (server, answer) = world.seeded_answer(&hello).unwrap();
        let (_, finish) = world.seeded_finish(client, &answer, who).unwrap();
        let claim = server.receive(&finish, NOW).unwrap();
        assert_eq!(error(claim.verify(&verifier, NOW)), Error::ClientProof, "{who:?}, {verifier:?}");
    }
}

/// Under the id of a known key, with a proof by one's own: whichever of the two the server looks up.
#[test]
fn a_proof_under_another_credentials_id_is_refused() {
    let world = World::new(&BOTH);
    let (_, hello) = world.seeded_start();
    let own = signing_key(0x61);
    for (key, holds_for) in [(&world.client_key, true), (&own, false)] {
        let (server, answer) = world.seeded_answer(&hello).unwrap();
        let credential = world.credential(Who::Signer).id().unwrap();
        let finish = finish_with(&hello, &answer, credential, |hash| {
            key.sign(&signed_message(crate::transcript::CLIENT_SIGNATURE, hash)).unwrap()
        });
        let verified = server.receive(&finish, NOW).unwrap().verify(&world.verifier(Who::Signer), NOW);
        assert_eq!(verified.is_ok(), holds_for);
        let (server, _) = world.seeded_answer(&hello).unwrap();
        let claim = server.receive(&finish, NOW).unwrap();
        let verified = claim.verify(&Verifier::Signature(own.verifying_key()), NOW);
        assert_eq!(error(verified), Error::ClientProof);
    }
}

/// A signature over the right hash, made for another purpose.
#[test]
fn a_clients_signature_for_another_purpose_is_refused() {
    let world = World::new(&BOTH);
    let (_, hello) = world.seeded_start();
    for (purpose, holds) in
        [(crate::transcript::CLIENT_SIGNATURE, true), (SERVER_SIGNATURE, false), (b"", false)]
    {
        let (server, answer) = world.seeded_answer(&hello).unwrap();
        let credential = world.credential(Who::Signer).id().unwrap();
        let finish = finish_with(&hello, &answer, credential, |hash| {
            world.client_key.sign(&signed_message(purpose, hash)).unwrap()
        });
        let claim = server.receive(&finish, NOW).unwrap();
        assert_eq!(claim.verify(&world.verifier(Who::Signer), NOW).is_ok(), holds);
    }
}

/// Knowing the shared secret is not enough: the Finished MACs cover what was said.
#[test]
fn a_wrong_finished_mac_is_refused() {
    let world = World::new(&BOTH);
    let (client, hello) = world.seeded_start();
    let (server, answer) = world.seeded_answer(&hello).unwrap();
    let mut wrong = answer.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let part = Part::ServerHello;
    assert_eq!(error(world.seeded_finish(client, &wrong, Who::ApiKey)), Error::Finished { part });

    let (client, _) = world.seeded_start();
    let (_, finish) = world.seeded_finish(client, &answer, Who::Nobody).unwrap();
    let proven = ServerHello::read(&answer).unwrap();
    let mut transcript = Transcript::new();
    transcript.add(&hello);
    let hash = transcript.add(proven.core);
    let key = super::seeded::decapsulation_key(BOTH[0].kem());
    let secrets = HandshakeSecrets::new(key.decapsulate(&proven.hello.ciphertext).unwrap(), &hash);
    transcript.add(proven.signature);
    let key = secrets.client_finish_key(&transcript.add(proven.finished)).unwrap();
    let mut opened = ClientFinish::open(&finish, &proven.hello.session_id, &key).unwrap();
    opened.finished[31] ^= 1;
    let finish = opened.seal(&proven.hello.session_id, &key).unwrap();
    assert_eq!(error(server.receive(&finish, NOW)), Error::Finished { part: Part::ClientFinish });
}

#[test]
fn a_hello_for_another_audience_is_refused() {
    let world = World::new(&BOTH);
    let (_, hello) =
        Client::new(TrustedServers::new(name("other.example")), suites(&BOTH)).start(NOW).unwrap();
    assert_eq!(error(world.server.answer(&hello, NOW)), Error::Audience);
}

#[test]
fn a_handshake_that_takes_too_long_is_refused_at_each_step() {
    let world = World::new(&BOTH);
    let (in_time, late) = (NOW + MAX_HANDSHAKE_MS, NOW + MAX_HANDSHAKE_MS + 1);
    let steps = |at: [u64; 5]| -> Result<(), Error> {
        let (client, hello) = world.client.start(NOW)?;
        let (server, answer) = world.server.answer(&hello, NOW)?;
        let (client, finish) = client.receive(&answer, &world.credential(Who::ApiKey), at[0])?;
        let claim = server.receive(&finish, at[1])?;
        let known = claim.verify(&world.verifier(Who::ApiKey), at[2])?;
        let accepted = known.accept(name(PRINCIPAL), limits(), None, &world.admission, at[3])?;
        client.receive(&accepted.message, at[4]).map(|_| ())
    };
    assert_eq!(steps([in_time; 5]), Ok(()));
    for step in 0..5 {
        // A clock that went back does not make it younger.
        for wrong in [late, NOW - 1] {
            let mut at = [NOW; 5];
            at[step] = wrong;
            assert_eq!(steps(at), Err(Error::HandshakeExpired), "step {step}");
        }
    }
}

/// A session does not outlive what it was opened with, and the client learns how long it lives.
#[test]
fn a_session_ends_with_its_credential() {
    let world = World::new(&BOTH);
    let connect = |not_after_ms| {
        let (client, hello) = world.client.start(NOW)?;
        let (server, answer) = world.server.answer(&hello, NOW)?;
        let (client, finish) = client.receive(&answer, &world.credential(Who::ApiKey), NOW)?;
        let known = server.receive(&finish, NOW)?.verify(&world.verifier(Who::ApiKey), NOW)?;
        let limits = limits();
        let accepted = known.accept(name(PRINCIPAL), limits, Some(not_after_ms), &world.admission, NOW)?;
        Ok((client.receive(&accepted.message, NOW)?.expires_at_ms(), accepted.session.expires_at_ms()))
    };
    assert_eq!(connect(NOW + 90_999), Ok((NOW + 90_000, NOW + 90_000)));
    let whole = NOW + 1000 * u64::from(LIFETIME_S);
    assert_eq!(connect(u64::MAX), Ok((whole, whole)));
    for gone in [0, NOW, NOW + 999] {
        assert_eq!(connect(gone), Err(Error::SessionExpired));
    }
    // One that ended while the handshake went on.
    let (client, hello) = world.client.start(NOW).unwrap();
    let (server, answer) = world.server.answer(&hello, NOW).unwrap();
    let (_, finish) = client.receive(&answer, &world.credential(Who::ApiKey), NOW).unwrap();
    let known = server.receive(&finish, NOW).unwrap().verify(&world.verifier(Who::ApiKey), NOW).unwrap();
    let (end, late) = (Some(NOW + 10_000), NOW + 9_001);
    let accepted = known.accept(name(PRINCIPAL), limits(), end, &world.admission, late);
    assert_eq!(error(accepted), Error::SessionExpired);
}

/// Out of range, under the right key; and padding that is none.
#[test]
fn an_acceptance_cannot_exceed_what_a_session_may() {
    let world = World::new(&BOTH);
    let good = Accepted { limits: limits(), principal: name(PRINCIPAL) };
    let fields = |lifetime_s: u32, max_rpcs: u32, after: u8| {
        let name = [&[PRINCIPAL.len() as u8][..], PRINCIPAL.as_bytes()].concat();
        [&lifetime_s.to_le_bytes()[..], &max_rpcs.to_le_bytes(), &name, &[after]].concat()
    };
    let cases = [
        (fields(LIFETIME_S, MAX, 0), None),
        (fields(0, MAX, 0), Some("session limits")),
        (fields(MAX_LIFETIME_S + 1, MAX, 0), Some("session limits")),
        (fields(LIFETIME_S, 0, 0), Some("session limits")),
        (fields(LIFETIME_S, MAX_RPCS + 1, 0), Some("session limits")),
        (fields(LIFETIME_S, MAX, 1), Some("padding")),
    ];
    for (fields, refused) in cases {
        let (client, hello) = world.seeded_start();
        let (server, answer) = world.seeded_answer(&hello).unwrap();
        let (client, finish) = world.seeded_finish(client, &answer, Who::Nobody).unwrap();
        let (key, _) = server.receive(&finish, NOW).unwrap().into_session_for_test();
        let mut message = good.seal(&client.session_id(), &key).unwrap();
        let end = message.len() - TAG_BYTES;
        message[18..end].fill(0);
        message[18..18 + fields.len()].copy_from_slice(&fields);
        let (header, body) = message[..end].split_at_mut(18);
        let tag = key.seal_in_place([0; 12], header, body).unwrap();
        message[end..].copy_from_slice(&tag);
        let refused = refused.map(|field| Error::Malformed { part: Part::Accepted, field });
        assert_eq!(client.receive(&message, NOW).err(), refused);
    }
}

/// Neither a client that claims a credential, proven or not, nor one that claims none is taken for the other.
#[test]
fn only_a_client_without_a_credential_is_accepted_as_nobody() {
    let world = World::new(&BOTH);
    for who in EVERYBODY {
        let (client, hello) = world.seeded_start();
        let (server, answer) = world.seeded_answer(&hello).unwrap();
        let (_, finish) = world.seeded_finish(client, &answer, who).unwrap();
        let claim = server.receive(&finish, NOW).unwrap();
        let accepted = claim.accept_anonymous(name("nobody"), limits(), &admission(), NOW);
        match who {
            Who::Nobody => assert_eq!(accepted.unwrap().session.credential(), &CredentialId::None),
            _ => assert_eq!(error(accepted), Error::ClientProof, "{who:?}"),
        }
    }
}

/// A handshake whose session nobody would know is none: the client is not told that it was accepted.
#[test]
fn a_session_that_is_not_admitted_does_not_begin() {
    let world = World::new(&BOTH);
    for refusal in [Refusal::Full, Refusal::Undecided, Refusal::Repeated] {
        let (client, hello) = world.seeded_start();
        let (server, answer) = world.seeded_answer(&hello).unwrap();
        let (_, finish) = world.seeded_finish(client, &answer, Who::ApiKey).unwrap();
        let known = server.receive(&finish, NOW).unwrap().verify(&world.verifier(Who::ApiKey), NOW).unwrap();
        let accepted = known.accept(name(PRINCIPAL), limits(), None, &RefusesAll(refusal), NOW);
        assert_eq!(error(accepted), Error::NotAdmitted(refusal));
    }
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let of_87 = || SigningKey::generate_for(mldsa::ParameterSet::MlDsa87).unwrap();
    let made = Server::new(name(AUDIENCE), name(IDENTITY), of_87(), suites(&BOTH));
    assert_eq!(error(made), Error::KeyKind);
    let mut trusted = TrustedServers::new(name(AUDIENCE));
    assert_eq!(trusted.add(name(IDENTITY), of_87().verifying_key().clone()), Err(Error::KeyKind));
    let world = World::new(&BOTH);
    let (client, hello) = world.seeded_start();
    let (_, answer) = world.seeded_answer(&hello).unwrap();
    let refused = client.receive(&answer, &Credential::Signature(&of_87()), NOW);
    assert_eq!(error(refused), Error::KeyKind);
}

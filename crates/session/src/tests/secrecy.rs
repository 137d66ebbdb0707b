//! What nobody learns: from recorded traffic with every long-term key, and from what is printed.

use super::seeded::decapsulation_key;
use super::world::*;
use crate::finish::ClientFinish;
use crate::hello::ServerHello;
use crate::record::{Context, Direction, FirstRequest, Lane};
use crate::schedule::HandshakeSecrets;
use crate::transcript::Transcript;
use crate::*;

use tyto_pqc::mlkem::DecapsulationKey;

/// Everything that was on the wire.
struct Recording {
    flights: Flights,
    requests: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
}

const TEXT: &[u8] = b"a probe that nobody else may read";

/// A handshake, and an RPC in its session.
fn record(client: &ClientSession, server: &ServerSession, flights: Flights) -> Recording {
    let admission = MemoryAdmission::new(1, 10);
    admission.open(server.id(), server.expires_at_ms(), NOW).unwrap();
    let (mut requests, _) = client.begin(METHOD, NOW).unwrap();
    let first = requests.seal(Kind::Data, TEXT, NOW).unwrap();
    let mut served = server.receive(METHOD, first.clone(), NOW).unwrap().admit(&admission, NOW).unwrap();
    let answer = served.answers.seal(Kind::End, TEXT, NOW).unwrap();
    Recording { flights, requests: vec![first], answers: vec![answer] }
}

/// Reads a recording with a decapsulation key, by this crate's own code: how many of finish, acceptance, request and
/// answer opened.
fn read_with(recording: &Recording, key: &DecapsulationKey) -> usize {
    let Flights { client_hello, server_hello, client_finish, accepted } = &recording.flights;
    let proven = ServerHello::read(server_hello).unwrap();
    let session = proven.hello.session_id;
    let mut transcript = Transcript::new();
    transcript.add(client_hello);
    let hash = transcript.add(proven.core);
    let secrets = HandshakeSecrets::new(key.decapsulate(&proven.hello.ciphertext).unwrap(), &hash);
    transcript.add(proven.signature);
    let finish_key = secrets.client_finish_key(&transcript.add(proven.finished)).unwrap();
    let finish = ClientFinish::open(client_finish, &session, &finish_key);
    let mut read = usize::from(finish.is_ok());
    if let Ok(finish) = &finish {
        transcript.add(&finish.credential.write());
        transcript.add(&finish.proof);
    }
    let hash = transcript.add(&finish.map_or([0; 32], |finish| finish.finished));
    let (accepted_key, traffic) = secrets.into_session(&hash).unwrap();
    read += usize::from(crate::finish::Accepted::open(accepted, &session, &accepted_key).is_ok());

    let mut first = recording.requests[0].clone();
    let rpc = FirstRequest::read(&first).unwrap().rpc;
    let rpc =
        Context { suite: proven.hello.suite, session, rpc, method: METHOD.into(), expires_at_ms: u64::MAX };
    let mut lane = Lane::new(traffic.request_key(&rpc.rpc).unwrap(), &rpc, Direction::ClientToServer);
    let opened_request = lane.open(Kind::Data, 34, &mut first, NOW);
    read += usize::from(opened_request.is_ok_and(|range| &first[range] == TEXT));
    let mut answers = Opener::answers(std::sync::Arc::new(traffic), rpc);
    read += usize::from(opened(&mut answers, &recording.answers[0]) == Ok((Kind::End, TEXT.to_vec())));
    read
}

/// The attacker has all that went over the network, the server's signing key, the client's API key and signing key, and
/// this code. What it has not is the client's ephemeral key, which is gone; the last lines show that nothing else was
/// missing.
#[test]
fn recorded_traffic_and_all_long_term_keys_do_not_decrypt() {
    for list in [&BOTH[..1], &BOTH[1..]] {
        for who in EVERYBODY {
            let world = World::new(list);
            let (client, server, flights) = world.connect(who);
            let recording = record(&client, &server, flights);
            drop((client, server));

            // As the server: it can sign another answer to the recorded hello, to no avail.
            let (state, _) = world.server.answer(&recording.flights.client_hello, NOW).unwrap();
            assert!(state.receive(&recording.flights.client_finish, NOW).is_err());
            // As the client: the recorded answer is not for any hello that it can make the keys of.
            let (state, _) = world.client.start(NOW).unwrap();
            let answer = &recording.flights.server_hello;
            assert!(state.receive(answer, &world.credential(who), NOW).is_err());
            // With any decapsulation key of its own.
            let own = DecapsulationKey::generate(list[0].kem()).unwrap();
            assert_eq!(read_with(&recording, &own), 0);
            assert_eq!(read_with(&recording, &decapsulation_key(list[0].kem())), 0);

            // The same attack on a session whose ephemeral key is known reads everything.
            let (client, server, flights) = world.seeded_connect(who);
            let known = record(&client, &server, flights);
            assert_eq!(read_with(&known, &decapsulation_key(list[0].kem())), 4);
        }
    }
}

/// Whoever takes one session's secrets reads that session only.
#[test]
fn sessions_of_the_same_parties_share_no_secret() {
    let world = World::new(&BOTH[1..]);
    let (_, first, _) = world.connect(Who::ApiKey);
    let (_, second, _) = world.connect(Who::ApiKey);
    let secrets = [&first, &second]
        .map(|session| [session.secrets.requests.expose(), session.secrets.answers.expose()])
        .concat();
    for (at, secret) in secrets.iter().enumerate() {
        assert!(!secrets[..at].contains(secret));
    }
}

/// Names of types and ids, and nothing that was drawn, agreed on or sealed.
#[test]
fn debug_shows_no_secret() {
    let world = World::new(&BOTH[1..]);
    let (client, hello) = world.seeded_start();
    let (server, answer) = world.seeded_answer(&hello).unwrap();
    let mut texts = vec![format!("{client:?}"), format!("{server:?}")];
    let (client, finish) = world.seeded_finish(client, &answer, Who::ApiKey).unwrap();
    texts.push(format!("{client:?}"));
    let claim = server.receive(&finish, NOW).unwrap();
    texts.push(format!("{claim:?}"));
    let known = claim.verify(&world.verifier(Who::ApiKey), NOW).unwrap();
    texts.push(format!("{known:?}"));
    let (server, accepted) = known.accept(name(PRINCIPAL), None).unwrap();
    let client = client.receive(&accepted, NOW).unwrap();
    let call = seeded_call(&client, &server);
    texts.extend([format!("{client:?}"), format!("{server:?}"), format!("{:?}", call.served)]);
    texts.extend([format!("{:?}", call.requests), format!("{:?}", call.answers)]);
    texts.extend([format!("{:?}", world.mac_key), format!("{:?}", world.credential(Who::ApiKey))]);
    texts.push(format!("{:?}", StateKey::new(&tyto_pqc::Secret32::random().unwrap()).unwrap()));
    for text in &texts {
        assert!(text.contains("[redacted]"), "{text}");
        // No run of digits as secrets would have, in decimal or hexadecimal lists.
        assert!(text.matches(", ").count() < 3, "{text}");
        assert!(!text.contains("first request"), "{text}");
    }
}

//! What nobody learns: from recorded traffic with every long-term key, and from what is printed.

use super::seeded::{counting, decapsulation_key, signing_key};
use super::world::*;
use crate::finish::{Accepted, ClientFinish};
use crate::hello::ServerHello;
use crate::record::{Context, Direction, FirstRequest, Lane};
use crate::schedule::{HandshakeSecrets, TrafficSecrets, expand_label};
use crate::transcript::Transcript;
use crate::*;

use tyto_pqc::mldsa::SigningKey;
use tyto_pqc::mlkem::{DecapsulationKey, SharedSecret};
use tyto_pqc::{Secret32, gcm};

/// Everything that was on the wire.
struct Recording {
    flights: Flights,
    request: Vec<u8>,
    answer: Vec<u8>,
}

const TEXT: &[u8] = b"a probe that nobody else may read";

/// A handshake's messages, and an RPC in its session.
fn record(client: &ClientSession, server: &ServerSession, flights: Flights) -> Recording {
    let (mut requests, _) = client.begin(METHOD, NOW).unwrap();
    let request = requests.seal(Kind::Data, TEXT, NOW).unwrap();
    let mut served = server.receive(METHOD, request.clone(), NOW).unwrap().admit(&AdmitsAll, NOW).unwrap();
    let answer = served.answers.seal(Kind::End, TEXT, NOW).unwrap();
    Recording { flights, request, answer }
}

/// How many of the two records a session's traffic secrets open.
fn records_read(recording: &Recording, suite: Suite, session: SessionId, traffic: &TrafficSecrets) -> usize {
    let rpc = FirstRequest::read(&recording.request).unwrap().rpc;
    let rpc = Context { suite, session, rpc, method: METHOD.into(), expires_at_ms: u64::MAX };
    let mut first = recording.request.clone();
    let mut lane = Lane::new(traffic.request_key(&rpc.rpc).unwrap(), &rpc, Direction::ClientToServer);
    let request = lane.open(Kind::Data, FirstRequest::HEAD_BYTES, &mut first, NOW);
    let mut answers = Opener::answers(traffic.answer_secret(&rpc.rpc), rpc);
    let answer = opened(&mut answers, &recording.answer);
    usize::from(request.is_ok_and(|range| &first[range] == TEXT))
        + usize::from(answer == Ok((Kind::End, TEXT.to_vec())))
}

/// Reads a recording from a shared secret on, by this crate's own code: how many of finish, acceptance, request and
/// answer opened.
fn read_with(recording: &Recording, shared: SharedSecret) -> usize {
    let Flights { client_hello, server_hello, client_finish, accepted } = &recording.flights;
    let proven = ServerHello::read(server_hello).unwrap();
    let session = proven.hello.session_id;
    let mut transcript = Transcript::new();
    transcript.add(client_hello);
    let hash = transcript.add(proven.core);
    let secrets = HandshakeSecrets::new(shared, &hash);
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
    read += usize::from(Accepted::open(accepted, &session, &accepted_key).is_ok());
    read + records_read(recording, proven.hello.suite, session, &traffic)
}

/// How many of the sealed messages and records open under any of these bytes as a key, or under what the key schedule makes
/// of them with any of its labels.
fn opened_by_any(recording: &Recording, secrets: &[[u8; 32]]) -> usize {
    let labels: [&[u8]; 11] = [
        b"c hs",
        b"s hs",
        b"master",
        b"c finish",
        b"finished",
        b"accepted",
        b"c2s",
        b"s2c",
        b"c2s rpc",
        b"s2c rpc",
        b"client mac",
    ];
    let rpc = FirstRequest::read(&recording.request).unwrap().rpc;
    let session = session_of(&recording.request).unwrap();
    let node = &recording.answer[2..18];
    let mut keys: Vec<[u8; 32]> = secrets.to_vec();
    for secret in secrets {
        let secret = Secret32::from_bytes(*secret);
        for label in labels {
            for context in [&[][..], rpc.as_bytes(), session.as_bytes(), node] {
                keys.push(*expand_label(&secret, label, context).expose());
            }
        }
    }
    let mut read = 0;
    for key in &keys {
        let secret = Secret32::from_bytes(*key);
        let traffic = |requests: &[u8; 32]| TrafficSecrets {
            requests: Secret32::from_bytes(*requests),
            answers: Secret32::from_bytes(*requests),
        };
        let suite = ServerHello::read(&recording.flights.server_hello).unwrap().hello.suite;
        read += records_read(recording, suite, session, &traffic(key));
        let gcm = gcm::Key::new(&secret).unwrap();
        read += usize::from(ClientFinish::open(&recording.flights.client_finish, &session, &gcm).is_ok());
        read += usize::from(Accepted::open(&recording.flights.accepted, &session, &gcm).is_ok());
    }
    read
}

/// The last 32 bytes of a private key: its seed.
fn seed(key: &SigningKey) -> [u8; 32] {
    let private = key.to_pkcs8().unwrap();
    private[private.len() - 32..].try_into().unwrap()
}

/// The attacker has all that went over the network, every key that outlives the session (the server's signing key, the
/// client's API key, its MAC key and its signing key, the key for stored sessions), and this code. What it has not is the
/// client's ephemeral key, which is gone. Each attack is shown to work where what it lacks is given to it.
#[test]
fn recorded_traffic_and_all_long_term_keys_do_not_decrypt() {
    for list in [&BOTH[..1], &BOTH[1..]] {
        for who in EVERYBODY {
            let world = World::new(list);
            let (client, server, flights) = world.connect(who);
            let recording = record(&client, &server, flights);
            let traffic = [*server.secrets.requests.expose(), *server.secrets.answers.expose()];
            drop((client, server));
            let Flights { client_hello, server_hello, client_finish, .. } = &recording.flights;

            // As the server, with its key: whatever it answers to the recorded hello, the client's finish is not for it.
            let (state, answer) = world.server.answer(client_hello, NOW).unwrap();
            assert!(state.receive(client_finish, NOW).is_err());
            let (mut state, _) = world.server.answer(client_hello, NOW).unwrap();
            state.session_id = session_of(&recording.request).unwrap();
            assert!(state.receive(client_finish, NOW).is_err());
            assert_ne!(&answer, server_hello);
            // As the client, with its credential: the recorded answer is for no hello that it can make the key of.
            let (state, _) = world.client.start(NOW).unwrap();
            assert!(state.receive(server_hello, &world.credential(who), NOW).is_err());
            // With any decapsulation key of its own.
            let ciphertext = ServerHello::read(server_hello).unwrap().hello.ciphertext;
            let own = DecapsulationKey::generate(list[0].kem()).unwrap();
            assert_eq!(read_with(&recording, own.decapsulate(&ciphertext).unwrap()), 0);
            // With every long-term secret, wherever it may fit into the key schedule.
            let long_term = [
                seed(&signing_key(0)),
                seed(&world.client_key),
                counting(0x40),
                *world.mac_key.expose(),
                [0x77; 32],
                [0; 32],
            ];
            assert_eq!(opened_by_any(&recording, &long_term), 0);

            // The same code opens the records with the session's secrets, and everything with the ephemeral key.
            assert_eq!(opened_by_any(&recording, &traffic), 2);
            let (client, server, flights) = world.seeded_connect(who);
            let known = record(&client, &server, flights);
            let ciphertext = ServerHello::read(&known.flights.server_hello).unwrap().hello.ciphertext;
            let key = decapsulation_key(list[0].kem());
            assert_eq!(read_with(&known, key.decapsulate(&ciphertext).unwrap()), 4);
        }
    }
}

/// Forward secrecy does not hold against who has the stored state and its key, as long as both are kept: that is what
/// sharing sessions costs, and why that key has an end.
#[test]
fn a_stored_session_can_be_read_with_its_key_and_only_with_both() {
    let world = World::new(&BOTH[1..]);
    let (client, server, flights) = world.connect(Who::ApiKey);
    let recording = record(&client, &server, flights);
    let key = StateKey::new(&Secret32::from_bytes([0x77; 32]), NOW).unwrap();
    let stored = server.export(&key, NOW).unwrap();
    let (id, suite) = (server.id(), server.suite());
    drop((client, server));
    let loaded = ServerSession::import(&key, &name(AUDIENCE), id, &stored, NOW).unwrap();
    assert_eq!(records_read(&recording, suite, id, &loaded.secrets), 2);
    let next = StateKey::new(&Secret32::from_bytes([0x78; 32]), NOW).unwrap();
    assert!(ServerSession::import(&next, &name(AUDIENCE), id, &stored, NOW).is_err());
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
    let accepted = known.accept(name(PRINCIPAL), limits(), None, &world.admission, NOW).unwrap();
    let (server, client) = (accepted.session, client.receive(&accepted.message, NOW).unwrap());
    let call = seeded_call(&client, &server);
    texts.extend([format!("{client:?}"), format!("{server:?}"), format!("{:?}", call.served)]);
    texts.extend([format!("{:?}", call.requests), format!("{:?}", call.answers)]);
    texts.extend([format!("{:?}", world.mac_key), format!("{:?}", world.credential(Who::ApiKey))]);
    texts.push(format!("{:?}", StateKey::new(&Secret32::random().unwrap(), NOW).unwrap()));
    for text in &texts {
        assert!(text.contains("[redacted]"), "{text}");
        // No run of digits as secrets would have, in decimal or hexadecimal lists.
        assert!(text.matches(", ").count() < 3, "{text}");
        assert!(!text.contains("first request"), "{text}");
    }
}

//! Golden transcripts: `vectors/session` holds handshakes and records made of fixed seeds, byte for byte.
//! `docs/formats/session.md` describes the format, `vectors/README.md` the files.
//!
//! The stored state in them is sealed with a random nonce, so it was made once and kept. `TYTO_REGENERATE_VECTORS=1` writes
//! everything anew: only after a deliberate change of the format.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tyto_pqc::Secret32;

use super::seeded::{KEM_MESSAGE_FROM, KEM_SEED_FROM, Seeded, counting, decapsulation_key};
use super::world::*;
use crate::hello::ServerHello;
use crate::schedule::{HandshakeSecrets, expand_label};
use crate::transcript::Transcript;
use crate::*;

struct Case {
    file: &'static str,
    /// What the client offers, the best first.
    offered: &'static [Suite],
    /// What the server supports, in another order or number, so that none is mistaken for the other.
    supported: &'static [Suite],
    who: Who,
}

const CASES: [Case; 3] = [
    Case { file: "ml-kem-768-api-key", offered: &[Suite::MlKem768], supported: &BOTH, who: Who::ApiKey },
    Case {
        file: "ml-kem-768-anonymous",
        offered: &[Suite::MlKem768, Suite::MlKem1024],
        supported: &BOTH,
        who: Who::Nobody,
    },
    Case { file: "ml-kem-1024-signature", offered: &BOTH, supported: &[Suite::MlKem1024], who: Who::Signer },
];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/session").join(format!("{name}.json"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits: Vec<u8> =
        value.as_str().unwrap().chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

const STATE_KEY_FROM: u8 = 0xc0;
const EPOCH_FROM: u8 = 0xe0;

fn state_key() -> StateKey {
    StateKey::new(&Secret32::from_bytes(counting(STATE_KEY_FROM)), NOW).unwrap()
}

/// Hashes and secrets of a handshake, from its messages.
fn schedule(flights: &Flights, finish: &crate::finish::ClientFinish) -> Value {
    let proven = ServerHello::read(&flights.server_hello).unwrap();
    let shared = decapsulation_key(proven.hello.suite.kem()).decapsulate(&proven.hello.ciphertext).unwrap();
    let shared_secret = hex(shared.expose());
    let mut transcript = Transcript::new();
    transcript.add(&flights.client_hello);
    let hello = transcript.add(proven.core);
    let secrets = HandshakeSecrets::new(shared, &hello);
    let signature = transcript.add(proven.signature);
    let server_finished = transcript.add(proven.finished);
    let credential = transcript.add(&finish.credential.write());
    let proof = transcript.add(&finish.proof);
    let client_finished = transcript.add(&finish.finished);
    let finish_key = expand_label(&secrets.client, b"c finish", &server_finished);
    let accepted_key = expand_label(&secrets.master, b"accepted", &client_finished);
    let (client, server, master) =
        (hex(secrets.client.expose()), hex(secrets.server.expose()), hex(secrets.master.expose()));
    let (_, traffic) = secrets.into_session(&client_finished).unwrap();
    json!({
        "shared_secret": shared_secret,
        "hashes": {
            "server_hello": hex(&hello),
            "signature": hex(&signature),
            "server_finished": hex(&server_finished),
            "credential": hex(&credential),
            "proof": hex(&proof),
            "client_finished": hex(&client_finished),
        },
        "client_handshake_secret": client,
        "server_handshake_secret": server,
        "master_secret": master,
        "client_finish_key": hex(finish_key.expose()),
        "accepted_key": hex(accepted_key.expose()),
        "client_to_server_secret": hex(traffic.requests.expose()),
        "server_to_client_secret": hex(traffic.answers.expose()),
    })
}

fn finish_of(flights: &Flights) -> crate::finish::ClientFinish {
    let proven = ServerHello::read(&flights.server_hello).unwrap();
    let shared = decapsulation_key(proven.hello.suite.kem()).decapsulate(&proven.hello.ciphertext).unwrap();
    let mut transcript = Transcript::new();
    transcript.add(&flights.client_hello);
    let secrets = HandshakeSecrets::new(shared, &transcript.add(proven.core));
    transcript.add(proven.signature);
    let key = secrets.client_finish_key(&transcript.add(proven.finished)).unwrap();
    crate::finish::ClientFinish::open(&flights.client_finish, &proven.hello.session_id, &key).unwrap()
}

/// One RPC: two requests and an end, an answer and an end.
fn rpc(client: &ClientSession, server: &ServerSession) -> Value {
    let (mut requests, mut opener) = client.begin_with(&mut Seeded::new("rpc"), METHOD, NOW).unwrap();
    let long: Vec<u8> = (0..100).collect();
    let sent = [(Kind::Head, &b"head"[..]), (Kind::Data, &long), (Kind::End, b"")];
    let sent = sent.map(|(kind, text)| (kind, text.to_vec(), requests.seal(kind, text, NOW).unwrap()));
    let pending = server.receive(METHOD, sent[0].2.clone(), NOW).unwrap();
    let mut served = pending.admit_with(&mut Seeded::new("node"), &AdmitsAll, NOW).unwrap();
    for (kind, text, record) in &sent[1..] {
        assert_eq!(opened(&mut served.requests, record), Ok((*kind, text.clone())));
    }
    let answered = [(Kind::Head, &b""[..]), (Kind::Data, b"an answer"), (Kind::End, b"status")]
        .map(|(kind, text)| (kind, text.to_vec(), served.answers.seal(kind, text, NOW).unwrap()));
    for (kind, text, record) in &answered {
        assert_eq!(opened(&mut opener, record), Ok((*kind, text.clone())));
    }
    let records = |all: &[(Kind, Vec<u8>, Vec<u8>)]| -> Vec<Value> {
        let one = |(kind, text, record): &(Kind, Vec<u8>, Vec<u8>)| {
            let kind = match kind {
                Kind::Head => "head",
                Kind::Data => "data",
                Kind::End => "end",
            };
            json!({ "kind": kind, "plaintext": hex(text), "record": hex(record) })
        };
        all.iter().map(one).collect()
    };
    json!({
        "method": METHOD,
        "rpc_id": hex(served.id.as_bytes()),
        "node_random": hex(&answered[0].2[2..18]),
        "requests": records(&sent),
        "answers": records(&answered),
    })
}

/// Everything but the sealed state.
fn made(case: &Case) -> (Value, ServerSession) {
    let who = case.who;
    let mut world = World::new(case.offered);
    world.server = super::world::server(IDENTITY, 0, case.supported);
    let ids = |list: &[Suite]| list.iter().map(|suite| suite.id()).collect::<Vec<_>>();
    let (client, server, flights) = world.seeded_connect(who);
    let credential = match who {
        Who::Nobody => json!({ "kind": "none" }),
        Who::ApiKey => json!({
            "kind": "mac",
            "id": world.credential_id.as_str(),
            "api_key": hex(&counting::<32>(0x40)),
            "mac_key": hex(world.mac_key.expose()),
        }),
        Who::Signer => json!({
            "kind": "signature",
            "key_seed": hex(&counting::<32>(0x60)),
            "key_id": hex(&world.client_key.verifying_key().key_id()),
        }),
    };
    let value = json!({
        "suites": ids(case.offered),
        "server_suites": ids(case.supported),
        "audience": AUDIENCE,
        "identity": IDENTITY,
        "principal": PRINCIPAL,
        "lifetime_s": LIFETIME_S,
        "max_rpcs": MAX,
        "kem_seed": hex(&counting::<64>(KEM_SEED_FROM)),
        "kem_message": hex(&counting::<32>(KEM_MESSAGE_FROM)),
        "server_key_seed": hex(&counting::<32>(0)),
        "server_key_id": hex(world.server.key_id().as_bytes()),
        "session_id": hex(server.id().as_bytes()),
        "credential": credential,
        "client_hello": hex(&flights.client_hello),
        "server_hello": hex(&flights.server_hello),
        "client_finish": hex(&flights.client_finish),
        "accepted": hex(&flights.accepted),
        "schedule": schedule(&flights, &finish_of(&flights)),
        "rpc": rpc(&client, &server),
        "state": {
            "key": hex(&counting::<32>(STATE_KEY_FROM)),
            "opened_at_ms": NOW,
            "expires_at_ms": server.expires_at_ms(),
        },
    });
    (value, server)
}

#[test]
fn golden_transcripts_are_made_again_byte_for_byte() {
    let regenerate = std::env::var_os("TYTO_REGENERATE_VECTORS").is_some();
    for case in &CASES {
        let file = case.file;
        let (mut value, mut server) = made(case);
        server.epoch = StoreEpoch::from_bytes(counting(EPOCH_FROM));
        value["state"]["epoch"] = hex(server.epoch.as_bytes()).into();
        let sealed = if regenerate {
            server.export(&state_key(), NOW).unwrap()
        } else {
            let text = fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            unhex(&serde_json::from_str::<Value>(&text).unwrap()["state"]["sealed"])
        };
        let loaded = ServerSession::import(&state_key(), &name(AUDIENCE), server.id(), &sealed, NOW).unwrap();
        assert_eq!(loaded.secrets.requests, server.secrets.requests, "{file}");
        assert_eq!(loaded.secrets.answers, server.secrets.answers, "{file}");
        assert_eq!((loaded.expires_at_ms(), loaded.opened_at_ms), (server.expires_at_ms(), NOW));
        assert_eq!((loaded.epoch, loaded.credential()), (server.epoch, server.credential()));
        assert_eq!((loaded.principal(), loaded.suite()), (server.principal(), server.suite()));
        value["state"]["sealed"] = hex(&sealed).into();
        let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
        if regenerate {
            fs::write(path(file), &text).unwrap();
        }
        assert!(fs::read_to_string(path(file)).unwrap() == text, "{file} is not what is made now");
    }
}

//! What a handshake costs the server beside the operations it cannot do without, and what records cost beside the cipher.
//!
//! Ratios are taken within one run, by turns, and printed as `session: ...`. `taskset -c 0 cargo bench -p tyto-session`.

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{Criterion, criterion_group, criterion_main};
use tyto_measure::timing::in_turn;
use tyto_pqc::mldsa::SigningKey;
use tyto_pqc::mlkem::DecapsulationKey;
use tyto_pqc::{Secret32, random};
use tyto_session::{
    Acceptance, Client, ClientSession, Credential, HelloAnswered, Kind, MacKey, MemoryAdmission, Name, Room,
    Server, ServerSession, SessionLimits, Suite, Suites, TrustedServers, Verifier,
};

const NOW: u64 = 1_800_000_000_000;
const METHOD: &str = "/tyto.matching.v1/Identify";

/// An identification query at d = 128, and about what a verification takes with a ticket.
const SIZES: [(&str, usize, usize); 2] = [("1.34 MB", 128 * 10_496, 5), ("1 KB", 1024, 1000)];

/// Only `cargo bench` passes `--bench`; otherwise this shows that it works, and what it prints is no measurement.
fn smoke() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}

struct Parties {
    client: Client,
    server: Server,
    id: Name,
    key: MacKey,
    limits: SessionLimits,
    admission: MemoryAdmission,
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

impl Parties {
    fn new(suite: Suite) -> Self {
        let (audience, identity) = (name("match.example"), name("node-1"));
        let suites = Suites::new(&[suite]).expect("a list");
        let signing_key = SigningKey::generate().expect("OS randomness");
        let mut trusted = TrustedServers::new(audience.clone());
        trusted.add(identity.clone(), signing_key.verifying_key().clone()).expect("its kind");
        let server = Server::new(audience, identity, signing_key, suites.clone());
        // Sessions of the measured handshakes are as many as a client may have.
        let room = Room { rpcs: 1 << 30, rpcs_per_principal: 1 << 30, sessions_per_principal: 64 };
        Self {
            client: Client::new(trusted, suites),
            server: server.expect("its kind"),
            id: name("key-1"),
            key: MacKey::derive(&Secret32::random().expect("OS randomness")),
            limits: SessionLimits::new(3600, 1 << 20).expect("in range"),
            admission: MemoryAdmission::new(room).expect("OS randomness"),
        }
    }

    fn hello(&self) -> Vec<u8> {
        self.client.start(NOW).expect("OS randomness").1
    }

    /// A server's state in the middle of a handshake, and what the client sends next.
    fn half_way(&self) -> (HelloAnswered, Vec<u8>) {
        let (client, hello) = self.client.start(NOW).expect("OS randomness");
        let (server, answer) = self.server.answer(&hello, NOW).expect("a good hello");
        let credential = Credential::Mac { id: &self.id, key: &self.key };
        let (_, finish) = client.receive(&answer, &credential, NOW).expect("a good answer");
        (server, finish)
    }

    /// The rest of the server's work.
    fn accept(&self, server: HelloAnswered, finish: &[u8]) -> Acceptance {
        let claim = server.receive(finish, NOW).expect("a good finish");
        let known = claim.verify(&Verifier::Mac(&self.key), NOW).expect("its key");
        known.accept(name("acme"), self.limits, None, &self.admission, NOW).expect("time is left")
    }
}

fn handshake(_: &mut Criterion) {
    // Rounds short enough that few of them are interrupted.
    let (rounds, batch) = if smoke() { (1, 1) } else { (300, 8) };
    for suite in Suite::ALL {
        let parties = Parties::new(suite);
        let hellos: Vec<Vec<u8>> = (0..batch).map(|_| parties.hello()).collect();
        // One round more, to warm up.
        let mut half_way: Vec<_> = (0..batch * (rounds + 1)).map(|_| parties.half_way()).collect();
        let encapsulation_key = DecapsulationKey::generate(suite.kem()).expect("OS randomness");
        let encapsulation_key = encapsulation_key.encapsulation_key();
        let signing_key = SigningKey::generate().expect("OS randomness");
        let hash: [u8; 64] = random::bytes().expect("OS randomness");
        let (ciphertext, shared) = encapsulation_key.encapsulate().expect("OS randomness");
        assert_ne!(ciphertext.as_bytes()[..32], shared.expose()[..]);
        assert!(
            signing_key
                .verifying_key()
                .verify(&hash, &signing_key.sign(&hash).expect("OS randomness"))
                .is_ok()
        );
        let turns = in_turn(
            rounds,
            [
                &mut || {
                    for hello in &hellos {
                        _ = black_box(parties.server.answer(hello, NOW).expect("a good hello"));
                        let (server, finish) = half_way.pop().expect("one for each");
                        _ = black_box(parties.accept(server, &finish));
                    }
                },
                &mut || {
                    for _ in 0..batch {
                        _ = black_box(encapsulation_key.encapsulate());
                        _ = black_box(signing_key.sign(&hash));
                    }
                },
            ],
        );
        let us = |index: usize| turns.fastest(index).as_secs_f64() * 1e6 / batch as f64;
        println!(
            "session: handshake with {}, the server's part: {:.0} us; encapsulation and signature {:.0} us; {:.2} times",
            suite.kem(),
            us(0),
            us(1),
            turns.ratio(0, 1)
        );
    }
}

fn sessions(parties: &Parties) -> (ClientSession, ServerSession) {
    let (client, hello) = parties.client.start(NOW).expect("OS randomness");
    let (server, answer) = parties.server.answer(&hello, NOW).expect("a good hello");
    let credential = Credential::Mac { id: &parties.id, key: &parties.key };
    let (client, finish) = client.receive(&answer, &credential, NOW).expect("a good answer");
    let accepted = parties.accept(server, &finish);
    (client.receive(&accepted.message, NOW).expect("a good acceptance"), accepted.session)
}

fn records(_: &mut Criterion) {
    let rounds = if smoke() { 1 } else { 301 };
    let parties = Parties::new(Suite::MlKem768);
    let (client, server) = sessions(&parties);
    let raw = UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("its length");
    let raw = LessSafeKey::new(raw);
    for (text, bytes, repeats) in SIZES {
        let repeats = if smoke() { 1 } else { repeats };
        let (mut sealer, _) = client.begin(METHOD, NOW).expect("RPCs are left");
        let first = sealer.seal(Kind::Data, &vec![1; bytes], NOW).expect("short enough");
        let rpc = server.receive(METHOD, first, NOW).expect("a good record");
        let rpc = rpc.admit(&parties.admission, NOW).expect("the first");
        assert!(rpc.first_record[rpc.opened.plaintext.clone()] == vec![1; bytes]);

        let (mut ours, mut theirs) = (vec![1; bytes], vec![1; bytes]);
        let mut counter = 0_u64;
        let turns = in_turn(
            rounds,
            [
                &mut || {
                    for _ in 0..repeats {
                        _ = black_box(
                            sealer.seal_in_place(Kind::Data, &mut ours, NOW).expect("short enough"),
                        );
                    }
                },
                &mut || {
                    for _ in 0..repeats {
                        let mut nonce = [0; 12];
                        nonce[4..].copy_from_slice(&counter.to_be_bytes());
                        counter += 1;
                        let nonce = Nonce::assume_unique_for_key(nonce);
                        let tag = raw.seal_in_place_separate_tag(nonce, Aad::empty(), &mut theirs);
                        _ = black_box(tag.expect("short enough"));
                    }
                },
            ],
        );
        let gb_per_s = |index: usize| (bytes * repeats) as f64 / turns.fastest(index).as_secs_f64() / 1e9;
        println!(
            "session: sealing {text}: {:.2} GB/s; aws-lc-rs alone {:.2} GB/s: {:.3} times the time",
            gb_per_s(0),
            gb_per_s(1),
            turns.ratio(0, 1)
        );
    }
}

/// A unary RPC with its six records, what both sides do for it together: keys, admission, sealing and opening.
fn rpcs(_: &mut Criterion) {
    let (rounds, batch) = if smoke() { (1, 1) } else { (41, 200) };
    let parties = Parties::new(Suite::MlKem768);
    let (client, server) = sessions(&parties);
    let (request, answer) = ([1; 1024], [2; 256]);
    let sealed_call = || {
        let (mut requests, mut answers) = client.begin(METHOD, NOW).expect("RPCs are left");
        let first = requests.seal(Kind::Head, &[0; 2], NOW).expect("short enough");
        let mut data = requests.seal(Kind::Data, &request, NOW).expect("short enough");
        let mut end = requests.seal(Kind::End, b"", NOW).expect("short enough");
        let mut rpc = server
            .receive(METHOD, first, NOW)
            .and_then(|rpc| rpc.admit(&parties.admission, NOW))
            .expect("new");
        let sent = rpc.requests.open(&mut data, NOW).expect("a request");
        rpc.requests.open(&mut end, NOW).expect("the end");
        let mut head = rpc.answers.seal(Kind::Head, &[0; 2], NOW).expect("short enough");
        let mut record = rpc.answers.seal(Kind::Data, &answer, NOW).expect("short enough");
        let mut end = rpc.answers.seal(Kind::End, b"", NOW).expect("short enough");
        answers.open(&mut head, NOW).expect("the head");
        let opened = answers.open(&mut record, NOW).expect("an answer");
        assert!(record[opened.plaintext] == answer && data[sent.plaintext] == request);
        answers.open(&mut end, NOW).expect("the end");
    };
    let turns = in_turn(rounds, [&mut || (0..batch).for_each(|_| sealed_call())]);
    println!(
        "session: a unary RPC, both sides: {:.1} us",
        turns.fastest(0).as_secs_f64() * 1e6 / f64::from(batch)
    );
}

criterion_group!(benches, handshake, records, rpcs);
criterion_main!(benches);

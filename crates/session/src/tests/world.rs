//! A client, a server, and what they know of each other.

use tyto_pqc::Secret32;
use tyto_pqc::mldsa::SigningKey;

use super::seeded::{Seeded, counting, signing_key};
use crate::*;

pub(super) const NOW: u64 = 1_800_000_000_000;
pub(super) const LIFETIME_S: u32 = 3600;
pub(super) const MAX: u32 = 50;
pub(super) const METHOD: &str = "/tyto.matching.v1/Verify";
pub(super) const AUDIENCE: &str = "match.example";
pub(super) const IDENTITY: &str = "node-1.match.example";
pub(super) const PRINCIPAL: &str = "acme/backend";

pub(super) const BOTH: [Suite; 2] = [Suite::MlKem1024, Suite::MlKem768];

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn suites(list: &[Suite]) -> Suites {
    Suites::new(list).unwrap()
}

/// Which credential a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Nobody,
    ApiKey,
    Signer,
}

pub(super) const EVERYBODY: [Who; 3] = [Who::Nobody, Who::ApiKey, Who::Signer];

pub(super) struct World {
    pub(super) client: Client,
    pub(super) server: Server,
    pub(super) trusted: TrustedServers,
    pub(super) credential_id: Name,
    pub(super) mac_key: MacKey,
    pub(super) client_key: SigningKey,
    pub(super) client_draws: Seeded,
    pub(super) server_draws: Seeded,
    pub(super) admission: MemoryAdmission,
}

/// Room for everything.
pub(super) fn admission() -> MemoryAdmission {
    MemoryAdmission::new(Room {
        rpcs: usize::MAX / 2,
        rpcs_per_principal: usize::MAX / 2,
        sessions_per_principal: usize::MAX,
    })
    .unwrap()
}

/// An admission that fails at its one task.
pub(super) struct AdmitsAll;

impl Admission for AdmitsAll {
    fn open(&self, _: Opening, _: u64) -> Result<OpenedSession, Refusal> {
        Ok(OpenedSession { epoch: StoreEpoch::from_bytes([0; 16]), displaced: Vec::new() })
    }

    fn admit(&self, _: &Ticket, _: u64) -> Result<(), Refusal> {
        Ok(())
    }

    fn close(&self, _: SessionId) {}
}

/// An admission that refuses everything for one reason.
pub(super) struct RefusesAll(pub(super) Refusal);

impl Admission for RefusesAll {
    fn open(&self, _: Opening, _: u64) -> Result<OpenedSession, Refusal> {
        Err(self.0)
    }

    fn admit(&self, _: &Ticket, _: u64) -> Result<(), Refusal> {
        Err(self.0)
    }

    fn close(&self, _: SessionId) {}
}

/// Everything that went over the network.
pub(super) struct Flights {
    pub(super) client_hello: Vec<u8>,
    pub(super) server_hello: Vec<u8>,
    pub(super) client_finish: Vec<u8>,
    pub(super) accepted: Vec<u8>,
}

pub(super) fn limits() -> SessionLimits {
    SessionLimits::new(LIFETIME_S, MAX).unwrap()
}

/// A server with the key of a seed of counting bytes.
pub(super) fn server(identity: &str, key_from: u8, list: &[Suite]) -> Server {
    Server::new(name(AUDIENCE), name(identity), signing_key(key_from), suites(list)).unwrap()
}

impl World {
    pub(super) fn new(list: &[Suite]) -> Self {
        let mut trusted = TrustedServers::new(name(AUDIENCE));
        trusted.add(name(IDENTITY), signing_key(0).verifying_key().clone()).unwrap();
        Self {
            client: Client::new(trusted.clone(), suites(list)),
            server: server(IDENTITY, 0, list),
            trusted,
            credential_id: name("tk_4f2a"),
            mac_key: MacKey::derive(&Secret32::from_bytes(counting(0x40))),
            client_key: signing_key(0x60),
            client_draws: Seeded::new("client"),
            server_draws: Seeded::new("server"),
            admission: admission(),
        }
    }

    /// Has the client trust another server.
    pub(super) fn trust(&mut self, identity: &str, key: &SigningKey) {
        self.trusted.add(name(identity), key.verifying_key().clone()).unwrap();
        self.client = Client::new(self.trusted.clone(), self.client.suites().clone());
    }

    pub(super) fn credential(&self, who: Who) -> Credential<'_> {
        match who {
            Who::Nobody => Credential::None,
            Who::ApiKey => Credential::Mac { id: &self.credential_id, key: &self.mac_key },
            Who::Signer => Credential::Signature(&self.client_key),
        }
    }

    pub(super) fn verifier(&self, who: Who) -> Verifier<'_> {
        match who {
            Who::Nobody => Verifier::Unknown,
            Who::ApiKey => Verifier::Mac(&self.mac_key),
            Who::Signer => Verifier::Signature(self.client_key.verifying_key()),
        }
    }

    /// The steps with randomness that repeats: the same each time.
    pub(super) fn seeded_start(&self) -> (HelloSent, Vec<u8>) {
        let best = self.client.suites().first();
        self.client.start_with(&mut self.client_draws.again(), best, NOW).unwrap()
    }

    pub(super) fn seeded_answer(&self, hello: &[u8]) -> Result<(HelloAnswered, Vec<u8>), Error> {
        self.server.answer_with(&mut self.server_draws.again(), hello, NOW)
    }

    pub(super) fn seeded_finish(
        &self,
        state: HelloSent,
        hello: &[u8],
        who: Who,
    ) -> Result<(FinishSent, Vec<u8>), Error> {
        let mut draws = self.client_draws.again();
        state.receive_with(&mut draws, hello, &self.credential(who), NOW)
    }

    pub(super) fn accept(
        &self,
        state: HelloAnswered,
        finish: &[u8],
        who: Who,
    ) -> Result<(ServerSession, Vec<u8>), Error> {
        let (claim, admission) = (state.receive(finish, NOW)?, &self.admission);
        let accepted = match who {
            Who::Nobody => claim.accept_anonymous(name(PRINCIPAL), limits(), admission, NOW),
            _ => claim.verify(&self.verifier(who), NOW)?.accept(
                name(PRINCIPAL),
                limits(),
                None,
                admission,
                NOW,
            ),
        }?;
        Ok((accepted.session, accepted.message))
    }

    /// A whole handshake with real randomness.
    pub(super) fn connect(&self, who: Who) -> (ClientSession, ServerSession, Flights) {
        let (client, client_hello) = self.client.start(NOW).unwrap();
        let (server, server_hello) = self.server.answer(&client_hello, NOW).unwrap();
        let (client, client_finish) = client.receive(&server_hello, &self.credential(who), NOW).unwrap();
        let (server, accepted) = self.accept(server, &client_finish, who).unwrap();
        let client = client.receive(&accepted, NOW).unwrap();
        (client, server, Flights { client_hello, server_hello, client_finish, accepted })
    }

    /// A whole handshake with randomness that repeats.
    pub(super) fn seeded_connect(&self, who: Who) -> (ClientSession, ServerSession, Flights) {
        let (client, client_hello) = self.seeded_start();
        let (server, server_hello) = self.seeded_answer(&client_hello).unwrap();
        let (client, client_finish) = self.seeded_finish(client, &server_hello, who).unwrap();
        // The session of the last time has the same id.
        self.admission.close(server.session_id());
        let (server, accepted) = self.accept(server, &client_finish, who).unwrap();
        let client = client.receive(&accepted, NOW).unwrap();
        (client, server, Flights { client_hello, server_hello, client_finish, accepted })
    }
}

/// A client's and a server's session, and the admission that knows it.
pub(super) fn sessions() -> (ClientSession, ServerSession, MemoryAdmission) {
    let world = World::new(&BOTH[1..]);
    let (client, server, _) = world.connect(Who::ApiKey);
    (client, server, world.admission)
}

/// An RPC whose first request has been admitted: all four ends.
pub(super) struct Call {
    pub(super) requests: Sealer,
    pub(super) answers: Opener,
    pub(super) served: AdmittedRpc<Vec<u8>>,
}

pub(super) fn call(client: &ClientSession, server: &ServerSession, admission: &MemoryAdmission) -> Call {
    let (mut requests, answers) = client.begin(METHOD, NOW).unwrap();
    let first = requests.seal(Kind::Data, b"first request", NOW).unwrap();
    let served = server.receive(METHOD, first, NOW).unwrap().admit(admission, NOW).unwrap();
    assert_eq!(&served.first_record[served.opened.plaintext.clone()], b"first request");
    Call { requests, answers, served }
}

/// Opens a record and returns what was in it.
pub(super) fn opened(opener: &mut Opener, record: &[u8]) -> Result<(Kind, Vec<u8>), Error> {
    let mut record = record.to_vec();
    let opened = opener.open(&mut record, NOW)?;
    Ok((opened.kind, record[opened.plaintext].to_vec()))
}

/// An RPC with randomness that repeats: each such RPC of a session is the same, up to the bit. It skips the admission.
pub(super) fn seeded_call(client: &ClientSession, server: &ServerSession) -> Call {
    let (mut requests, answers) = client.begin_with(&mut Seeded::new("rpc"), METHOD, NOW).unwrap();
    let first = requests.seal(Kind::Data, b"first request", NOW).unwrap();
    let pending = server.receive(METHOD, first, NOW).unwrap();
    let served = pending.admit_with(&mut Seeded::new("node"), &AdmitsAll, NOW).unwrap();
    Call { requests, answers, served }
}

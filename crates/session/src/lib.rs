//! Sealed sessions: what a client and a server say to each other cannot be read where TLS ends before it.
//!
//! A handshake ([`Client`], [`Server`]) agrees on secrets with ML-KEM, the server signs it with ML-DSA-65, and the client
//! authenticates inside it. Each RPC of the [`ClientSession`] then travels as AES-256-GCM records: a [`Sealer`] and an
//! [`Opener`] for each direction, with keys of their own. An [`Admission`] sees to it that no RPC is served twice.
//!
//! No I/O, and no clock: times are arguments, in milliseconds. Randomness comes from `tyto-pqc`. The byte-exact format,
//! and why it is like this, are in `docs/formats/session.md`; golden transcripts are in `vectors/session`.
//!
//! ```
//! use tyto_pqc::{Secret32, mldsa::SigningKey};
//! use tyto_session::*;
//!
//! # fn main() -> Result<(), Error> {
//! let (service, node) = (Name::new("match.example")?, Name::new("node-1")?);
//! let suites = Suites::new(&[Suite::MlKem768])?;
//! let signing_key = SigningKey::generate()?;
//! let mut trusted = TrustedServers::new(service.clone());
//! trusted.add(node.clone(), signing_key.verifying_key().clone())?;
//! let server = Server::new(service, node, signing_key, suites.clone())?;
//! let (id, key) = (Name::new("key-7")?, MacKey::derive(&Secret32::random()?));
//!
//! let admission = MemoryAdmission::new(Room { rpcs: 1_000_000, rpcs_per_principal: 100_000, sessions_per_principal: 10 })?;
//! let limits = SessionLimits::new(3600, 10_000)?;
//!
//! let now_ms = 1_000_000;
//! let (client, hello) = Client::new(trusted, suites).start(now_ms)?;
//! let (server, hello) = server.answer(&hello, now_ms)?;
//! let credential = Credential::Mac { id: &id, key: &key };
//! let (client, finish) = client.receive(&hello, &credential, now_ms)?;
//! let claim = server.receive(&finish, now_ms)?;
//! assert_eq!(claim.credential(), &CredentialId::Mac(id.clone()));
//! let known = claim.verify(&Verifier::Mac(&key), now_ms)?;
//! let accepted = known.accept(Name::new("acme")?, limits, None, &admission, now_ms)?;
//! let (server, client) = (accepted.session, client.receive(&accepted.message, now_ms)?);
//!
//! let (mut requests, mut answers) = client.begin("/tyto.matching.v1/Verify", now_ms)?;
//! let record = requests.seal(Kind::Data, b"probe", now_ms)?;
//! let mut rpc = server.receive("/tyto.matching.v1/Verify", record, now_ms)?.admit(&admission, now_ms)?;
//! assert_eq!(&rpc.first_record[rpc.opened.plaintext.clone()], b"probe");
//! let mut end = rpc.answers.seal(Kind::End, b"OK", now_ms)?;
//! let opened = answers.open(&mut end, now_ms)?;
//! assert_eq!((opened.kind, &end[opened.plaintext]), (Kind::End, &b"OK"[..]));
//! answers.finish()
//! # }
//! ```

mod admission;
mod client;
mod credential;
mod draws;
mod error;
mod finish;
mod hello;
mod limits;
mod name;
mod record;
mod schedule;
mod server;
mod session;
mod state;
mod suite;
mod transcript;
mod trusted;
mod wire;

#[cfg(test)]
mod tests;

pub use admission::{Admission, MemoryAdmission, OpenedSession, Opening, Refusal, Room, Ticket};
pub use client::{Client, FinishSent, HelloSent};
pub use credential::{Credential, CredentialId, MacKey, Verifier};
pub use error::{Error, LineProblem, Part};
pub use finish::{ACCEPTED_BYTES, CLIENT_FINISH_BYTES};
pub use hello::{MAX_CLIENT_HELLO_BYTES, MAX_SERVER_HELLO_BYTES};
pub use limits::{
    MAX_CLOCK_SKEW_MS, MAX_HANDSHAKE_MS, MAX_KEY_BLOCKS, MAX_LIFETIME_S, MAX_METHOD_BYTES, MAX_RECORD_BYTES,
    MAX_RPCS, MAX_STATE_KEY_AGE_MS, RPC_GRACE_MS, SessionLimits,
};
pub use name::{KeyId, MAX_NAME_BYTES, Name, RpcId, SessionId, StoreEpoch};
pub use record::{
    Envelope, Head, Kind, MAX_HEAD_BYTES, MAX_RECORD_OVERHEAD, Opened, Opener, Sealer, TAG_BYTES, session_of,
};
pub use server::{Acceptance, Authenticated, Claim, HelloAnswered, Server};
pub use session::{AdmittedRpc, ClientSession, PendingRpc, ServerSession};
pub use state::{MAX_STATE_BYTES, StateKey};
pub use suite::{MAX_SUITES, Suite, Suites};
pub use trusted::{MAX_TRUSTED_SERVERS, TrustedServers};

/// `Debug` that says the type and nothing else, for what holds secrets.
macro_rules! redacted {
    ($name:ident $(<$parameter:ident $(: $bound:path)?>)?) => {
        impl $(<$parameter $(: $bound)?>)? core::fmt::Debug for $name $(<$parameter>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}
use redacted;

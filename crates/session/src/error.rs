//! Why a handshake, a session or a record was refused.

use core::fmt;

use crate::admission::Refusal;
use crate::name::{KeyId, MAX_NAME_BYTES};
use crate::suite::{MAX_SUITES, Suite};
use crate::trusted::MAX_TRUSTED_SERVERS;

/// Which bytes a problem lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants are the names of the format description")]
pub enum Part {
    ClientHello,
    ServerHello,
    ClientFinish,
    Accepted,
    Record,
    State,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientHello => "ClientHello",
            Self::ServerHello => "ServerHello",
            Self::ClientFinish => "ClientFinish",
            Self::Accepted => "Accepted",
            Self::Record => "record",
            Self::State => "session state",
        })
    }
}

/// What is wrong with a line of a list of trusted servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// The list does not begin as one.
    #[error("it does not begin with tyto-session-keys v1")]
    Header,
    /// The audience is missing, or no name.
    #[error("the audience is missing, or no name")]
    Audience,
    /// It is not algorithm, key id, key and name.
    #[error("it is not algorithm, key id, key and name between single spaces")]
    Shape,
    /// The algorithm is not known.
    #[error("the algorithm is not ml-dsa-65")]
    Algorithm,
    /// The key is none.
    #[error("the key is not one in lower-case hexadecimal")]
    Key,
    /// The key id is not the key's.
    #[error("the key id is not the key's")]
    KeyId,
    /// There are too many servers.
    #[error("more than {MAX_TRUSTED_SERVERS} servers")]
    TooMany,
}

/// Why an operation of this crate failed. No variant carries key material or plaintext.
///
/// # Security
/// The variants are for the log of the side that sees them. The other side is told one thing only: that there is no
/// session, or that the RPC is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name is empty, too long or has control characters (caller).
    #[error("a name has {actual_bytes} bytes; allowed are 1 to {MAX_NAME_BYTES}, without control characters")]
    Name {
        /// Length found.
        actual_bytes: usize,
    },
    /// A list of suites is empty or names one twice (caller).
    #[error("a list of suites has 1 to {MAX_SUITES}, all different, not these {count}")]
    Suites {
        /// How many there were.
        count: usize,
    },
    /// The limits of a session are out of range (caller).
    #[error("a session of {lifetime_s} s and {max_rpcs} RPCs is out of range")]
    Limits {
        /// The lifetime asked for.
        lifetime_s: u32,
        /// The number of RPCs asked for.
        max_rpcs: u32,
    },
    /// A method path is empty or too long (caller).
    #[error("a method path has {actual_bytes} bytes, which is out of range")]
    Method {
        /// Length found.
        actual_bytes: usize,
    },
    /// A signing key is of another kind than sessions are signed with (caller).
    #[error("sessions are signed with ML-DSA-65")]
    KeyKind,
    /// A message or record is no encoding of what it should be (peer).
    #[error("{part}: {field} is malformed")]
    Malformed {
        /// Where.
        part: Part,
        /// What is wrong there.
        field: &'static str,
    },
    /// A message is of another version (peer).
    #[error("{part}: version {found} is not known")]
    Version {
        /// Where.
        part: Part,
        /// The version found.
        found: u8,
    },
    /// Client and server have no suite in common (peer).
    #[error("no suite in common")]
    NoCommonSuite,
    /// The client's key is for another suite than the best that both have (peer): it may start again with that one.
    #[error("the handshake needs a key for suite {:#06x}", best.id())]
    OtherSuite {
        /// The best suite that both have.
        best: Suite,
    },
    /// The server says that it chose another suite than the best that both have (peer, or someone between).
    #[error("suite {:#06x} was chosen though {:#06x} is preferred and known to both", chosen.id(), best.id())]
    Downgrade {
        /// The suite of this handshake.
        chosen: Suite,
        /// The best suite that both have.
        best: Suite,
    },
    /// The client wants to talk to another service (peer).
    #[error("the handshake is meant for another audience")]
    Audience,
    /// No trusted server has this identity and key (peer).
    #[error("no trusted server has this identity with signing key {key_id}")]
    UntrustedServer {
        /// The key that the server names.
        key_id: KeyId,
    },
    /// The server's signature is not over this transcript (peer, or someone between).
    #[error("the server's signature does not fit this handshake")]
    ServerSignature,
    /// A Finished MAC is wrong (peer, or someone between).
    #[error("{part}: the Finished MAC does not fit this handshake")]
    Finished {
        /// Whose.
        part: Part,
    },
    /// A sealed message does not open, or a message is of another handshake (peer, or someone between).
    #[error("{part}: not authentic in this handshake")]
    NotAuthentic {
        /// Which.
        part: Part,
    },
    /// The client's proof does not hold under its credential, or the credential is of another kind (peer).
    #[error("the client is not authenticated")]
    ClientProof,
    /// The handshake took too long (peer).
    #[error("the handshake took longer than allowed")]
    HandshakeExpired,
    /// The session is over (caller or peer).
    #[error("the session has expired")]
    SessionExpired,
    /// The session has no RPC left (caller or peer).
    #[error("the session has carried as many RPCs as it may")]
    SessionExhausted,
    /// A record is of another session (peer).
    #[error("the record is of another session")]
    OtherSession,
    /// A record is not the next one of this RPC, direction, method and session (peer, or someone between): it is altered,
    /// repeated, out of order or from elsewhere. Which of these is not knowable, and does not matter.
    #[error("the record is not the next one of this stream")]
    RecordRefused,
    /// The stream of records was broken before by one that was refused, or has ended (peer or caller).
    #[error("the stream of records is over")]
    StreamOver,
    /// The stream stopped without its end record (peer, or someone between).
    #[error("the stream of records stopped before its end")]
    Truncated,
    /// A message is longer than a record may be (caller or peer).
    #[error("a record of {actual_bytes} bytes of plaintext is longer than {max_bytes}")]
    RecordTooLong {
        /// Length found.
        actual_bytes: usize,
        /// Longest allowed.
        max_bytes: usize,
    },
    /// The key of this stream has protected as much as it may (caller or peer).
    #[error("the key of this stream is exhausted")]
    KeyExhausted,
    /// The RPC or the session was not admitted (peer, or environment).
    #[error("not admitted")]
    NotAdmitted(#[source] Refusal),
    /// A list of trusted servers is wrong (caller).
    #[error("trusted servers, line {line}: {problem}")]
    TrustedServers {
        /// The first line that is wrong, from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// A key for stored sessions is too old to store more with (caller), or the state under it to load (storage).
    #[error("the key for stored sessions is older than allowed")]
    StateKeyExpired,
    /// Stored state is not what was stored (storage).
    #[error("stored session state is not authentic")]
    State,
    /// The cryptography failed where it should not (bug or environment).
    #[error(transparent)]
    Crypto(#[from] tyto_pqc::Error),
}

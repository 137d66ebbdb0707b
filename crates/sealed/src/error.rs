//! Why a sealed call failed on its way.

use tonic::{Code, Status};

/// Why a sealed call failed on its way. What a service answers is no error of this kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The session, a record or the handshake was refused (peer, or someone between).
    #[error(transparent)]
    Session(#[from] tyto_session::Error),
    /// A frame is compressed, or longer than allowed (peer, or someone between).
    #[error("a frame of gRPC is compressed or has more than {max_bytes} bytes")]
    Frame {
        /// Longest allowed.
        max_bytes: usize,
    },
    /// Metadata is malformed, or more than a record holds (peer or caller).
    #[error("the metadata of a call is malformed or too long")]
    Metadata,
    /// A stream does not begin with a head, has one later, or ends without a status (peer).
    #[error("a sealed stream is not as it should be: {what}")]
    Stream {
        /// What is wrong.
        what: &'static str,
    },
    /// Nothing sealed came back: what stands between ended the call, or the server knows no session of ours (peer, or
    /// someone between).
    #[error("the answer was not sealed")]
    NotSealed,
    /// The server's word about the handshake was not what it should be (peer, or someone between).
    #[error("the handshake failed: {reason}")]
    Handshake {
        /// What was wrong.
        reason: &'static str,
    },
    /// The connection failed (environment).
    #[error("the connection failed: {0}")]
    Connection(String),
}

impl Error {
    /// What the caller of a sealed call is told. Nothing of it is the service's word.
    pub(crate) fn status(&self) -> Status {
        let code = match self {
            Self::Session(tyto_session::Error::RecordTooLong { .. }) | Self::Metadata => {
                Code::ResourceExhausted
            }
            Self::Session(tyto_session::Error::ClientProof) => Code::Unauthenticated,
            Self::Session(
                tyto_session::Error::UntrustedServer { .. }
                | tyto_session::Error::ServerSignature
                | tyto_session::Error::Downgrade { .. }
                | tyto_session::Error::NoCommonSuite
                | tyto_session::Error::Audience,
            ) => Code::FailedPrecondition,
            _ => Code::Unavailable,
        };
        Status::new(code, format!("sealed session: {self}"))
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.status()
    }
}

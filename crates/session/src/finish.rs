//! The second message of each side. Both are sealed: neither who the client is nor what it is taken for is anybody
//! else's business.

use tyto_pqc::gcm;
use tyto_pqc::mldsa::SIGNATURE_BYTES;
use zeroize::Zeroizing;

use crate::credential::CredentialId;
use crate::error::{Error, Part};
use crate::name::{KeyId, MAX_NAME_BYTES, Name, SessionId};
use crate::schedule::FINISHED_BYTES;
use crate::wire::{Reader, message, write_name};

const CLIENT_FINISH: u8 = 3;
const ACCEPTED: u8 = 4;

/// Version, type and session id: what is not sealed of a message, and its associated data.
const HEADER_BYTES: usize = 2 + SessionId::BYTES;

/// Each of these keys seals one message.
const NONCE: [u8; gcm::NONCE_BYTES] = [0; gcm::NONCE_BYTES];

/// Longest `ClientFinish`: one with a signature.
pub const MAX_CLIENT_FINISH_BYTES: usize =
    HEADER_BYTES + 1 + KeyId::BYTES + SIGNATURE_BYTES + FINISHED_BYTES + gcm::TAG_BYTES;

/// Longest Accepted.
pub const MAX_ACCEPTED_BYTES: usize = HEADER_BYTES + 4 + 1 + MAX_NAME_BYTES + gcm::TAG_BYTES;

/// What a `ClientFinish` says, in the pieces that the transcript takes one by one.
pub(crate) struct ClientFinish {
    pub(crate) credential: CredentialId,
    pub(crate) proof: Vec<u8>,
    pub(crate) finished: [u8; FINISHED_BYTES],
}

impl ClientFinish {
    pub(crate) fn seal(&self, session: &SessionId, key: &gcm::Key) -> Result<Vec<u8>, Error> {
        let inner = Zeroizing::new([&self.credential.write(), &self.proof, &self.finished[..]].concat());
        seal(CLIENT_FINISH, session, key, &inner)
    }

    pub(crate) fn open(bytes: &[u8], session: &SessionId, key: &gcm::Key) -> Result<Self, Error> {
        let inner = open(Part::ClientFinish, CLIENT_FINISH, bytes, session, key)?;
        let mut reader = Reader::inner(Part::ClientFinish, &inner);
        let credential = CredentialId::read(&mut reader)?;
        let proof = reader.bytes(credential.proof_bytes(), "proof")?.to_vec();
        let finished = reader.array("Finished MAC")?;
        reader.finish()?;
        Ok(Self { credential, proof, finished })
    }
}

/// What an Accepted says.
pub(crate) struct Accepted {
    pub(crate) lifetime_s: u32,
    pub(crate) principal: Name,
}

impl Accepted {
    pub(crate) fn seal(&self, session: &SessionId, key: &gcm::Key) -> Result<Vec<u8>, Error> {
        let mut inner = self.lifetime_s.to_le_bytes().to_vec();
        write_name(&mut inner, &self.principal);
        seal(ACCEPTED, session, key, &inner)
    }

    pub(crate) fn open(bytes: &[u8], session: &SessionId, key: &gcm::Key) -> Result<Self, Error> {
        let inner = open(Part::Accepted, ACCEPTED, bytes, session, key)?;
        let mut reader = Reader::inner(Part::Accepted, &inner);
        let lifetime_s = reader.u32("lifetime")?;
        let principal = reader.name("principal")?;
        reader.finish()?;
        Ok(Self { lifetime_s, principal })
    }
}

fn seal(message_type: u8, session: &SessionId, key: &gcm::Key, inner: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = message(message_type, HEADER_BYTES + inner.len() + gcm::TAG_BYTES);
    out.extend_from_slice(session.as_bytes());
    out.extend_from_slice(inner);
    let (header, body) = out.split_at_mut(HEADER_BYTES);
    let tag = key.seal_in_place(NONCE, header, body)?;
    out.extend_from_slice(&tag);
    Ok(out)
}

fn open(
    part: Part,
    message_type: u8,
    bytes: &[u8],
    session: &SessionId,
    key: &gcm::Key,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut reader = Reader::new(part, bytes, message_type)?;
    if reader.array("session id")? != *session.as_bytes() {
        return Err(Error::NotAuthentic { part });
    }
    let mut inner = Zeroizing::new(reader.rest().to_vec());
    let length = key
        .open_in_place(NONCE, &bytes[..HEADER_BYTES], &mut inner)
        .map_err(|_| Error::NotAuthentic { part })?;
    inner.truncate(length);
    Ok(inner)
}

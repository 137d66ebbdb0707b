//! The second message of each side. Both are sealed, and of one length: neither who the client is, nor how it proves
//! that, nor what it is taken for is anybody else's business.

use tyto_pqc::gcm;
use tyto_pqc::mldsa::SIGNATURE_BYTES;
use zeroize::Zeroizing;

use crate::credential::CredentialId;
use crate::error::{Error, Part};
use crate::limits::SessionLimits;
use crate::name::{KeyId, MAX_NAME_BYTES, Name, SessionId};
use crate::schedule::FINISHED_BYTES;
use crate::wire::{Reader, message, write_name};

const CLIENT_FINISH: u8 = 3;
const ACCEPTED: u8 = 4;

/// Version, type and session id: what is not sealed of a message, and its associated data.
const HEADER_BYTES: usize = 2 + SessionId::BYTES;

/// Each of these keys seals one message.
const NONCE: [u8; gcm::NONCE_BYTES] = [0; gcm::NONCE_BYTES];

/// Longest credential with its proof: a key id and a signature.
const MAX_CREDENTIAL_BYTES: usize = 1 + KeyId::BYTES + SIGNATURE_BYTES;

/// Length of what is sealed in a `ClientFinish`, whatever the credential: an observer does not see which kind it is.
const FINISH_BYTES: usize = MAX_CREDENTIAL_BYTES + FINISHED_BYTES;

/// Length of what is sealed in an Accepted, whatever the name.
const ACCEPTANCE_BYTES: usize = 4 + 4 + 1 + MAX_NAME_BYTES;

/// Length of every `ClientFinish`.
pub const CLIENT_FINISH_BYTES: usize = HEADER_BYTES + FINISH_BYTES + gcm::TAG_BYTES;

/// Length of every Accepted.
pub const ACCEPTED_BYTES: usize = HEADER_BYTES + ACCEPTANCE_BYTES + gcm::TAG_BYTES;

/// What a `ClientFinish` says, in the pieces that the transcript takes one by one.
pub(crate) struct ClientFinish {
    pub(crate) credential: CredentialId,
    pub(crate) proof: Vec<u8>,
    pub(crate) finished: [u8; FINISHED_BYTES],
}

impl ClientFinish {
    pub(crate) fn seal(&self, session: &SessionId, key: &gcm::Key) -> Result<Vec<u8>, Error> {
        let fields = [&self.credential.write(), &self.proof, &self.finished[..]];
        seal(CLIENT_FINISH, session, key, &fields, FINISH_BYTES)
    }

    pub(crate) fn open(bytes: &[u8], session: &SessionId, key: &gcm::Key) -> Result<Self, Error> {
        let inner = open(Part::ClientFinish, CLIENT_FINISH, bytes, session, key, FINISH_BYTES)?;
        let mut reader = Reader::inner(Part::ClientFinish, &inner);
        let credential = CredentialId::read(&mut reader)?;
        let proof = reader.bytes(credential.proof_bytes(), "proof")?.to_vec();
        let finished = reader.array("Finished MAC")?;
        reader.padding()?;
        Ok(Self { credential, proof, finished })
    }
}

/// What an Accepted says.
pub(crate) struct Accepted {
    pub(crate) limits: SessionLimits,
    pub(crate) principal: Name,
}

impl Accepted {
    pub(crate) fn seal(&self, session: &SessionId, key: &gcm::Key) -> Result<Vec<u8>, Error> {
        let mut name = Vec::with_capacity(1 + MAX_NAME_BYTES);
        write_name(&mut name, &self.principal);
        let (lifetime_s, max_rpcs) = (self.limits.lifetime_s(), self.limits.max_rpcs());
        let fields = [&lifetime_s.to_le_bytes()[..], &max_rpcs.to_le_bytes(), &name];
        seal(ACCEPTED, session, key, &fields, ACCEPTANCE_BYTES)
    }

    pub(crate) fn open(bytes: &[u8], session: &SessionId, key: &gcm::Key) -> Result<Self, Error> {
        let inner = open(Part::Accepted, ACCEPTED, bytes, session, key, ACCEPTANCE_BYTES)?;
        let mut reader = Reader::inner(Part::Accepted, &inner);
        let (lifetime_s, max_rpcs) = (reader.u32("lifetime")?, reader.u32("number of RPCs")?);
        let limits =
            SessionLimits::new(lifetime_s, max_rpcs).map_err(|_| reader.malformed("session limits"))?;
        let principal = reader.name("principal")?;
        reader.padding()?;
        Ok(Self { limits, principal })
    }
}

/// Seals the fields, with zeros behind them up to `sealed_bytes`.
fn seal(
    message_type: u8,
    session: &SessionId,
    key: &gcm::Key,
    fields: &[&[u8]],
    sealed_bytes: usize,
) -> Result<Vec<u8>, Error> {
    let mut out = message(message_type, HEADER_BYTES + sealed_bytes + gcm::TAG_BYTES);
    out.extend_from_slice(session.as_bytes());
    fields.iter().for_each(|field| out.extend_from_slice(field));
    out.resize(HEADER_BYTES + sealed_bytes, 0);
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
    sealed_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut reader = Reader::new(part, bytes, message_type)?;
    if reader.array("session id")? != *session.as_bytes() {
        return Err(Error::NotAuthentic { part });
    }
    let sealed = reader.bytes(sealed_bytes + gcm::TAG_BYTES, "length")?;
    reader.finish()?;
    let mut inner = Zeroizing::new(sealed.to_vec());
    let length = key
        .open_in_place(NONCE, &bytes[..HEADER_BYTES], &mut inner)
        .map_err(|_| Error::NotAuthentic { part })?;
    inner.truncate(length);
    Ok(inner)
}

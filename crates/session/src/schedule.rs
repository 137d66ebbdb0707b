//! The key schedule: HKDF over SHA3-256 in the manner of RFC 8446 section 7.1.

use tyto_pqc::mlkem::SharedSecret;
use tyto_pqc::{Secret32, gcm, hkdf, hmac};

use crate::Error;
use crate::name::RpcId;
use crate::transcript::TranscriptHash;

/// Length of a Finished MAC.
pub(crate) const FINISHED_BYTES: usize = hmac::TAG_BYTES;

/// Length of the random bytes that the serving node adds to the key of an answer.
pub(crate) const NODE_RANDOM_BYTES: usize = 16;

/// What every label begins with.
const LABEL_PREFIX: &[u8] = b"tyto1 ";

/// `HKDF-Expand-Label(secret, label, context, 32)` of RFC 8446 section 7.1, with our prefix.
pub(crate) fn expand_label(secret: &Secret32, label: &[u8], context: &[u8]) -> Secret32 {
    let length = (Secret32::BYTES as u16).to_be_bytes();
    let label_bytes = [(LABEL_PREFIX.len() + label.len()) as u8];
    let context_bytes = [context.len() as u8];
    hkdf::expand(secret, &[&length, &label_bytes, LABEL_PREFIX, label, &context_bytes, context])
}

fn key(secret: &Secret32, label: &[u8], context: &[u8]) -> Result<gcm::Key, Error> {
    Ok(gcm::Key::new(&expand_label(secret, label, context))?)
}

/// What the shared secret becomes as soon as both hellos are known. The shared secret itself is gone then.
pub(crate) struct HandshakeSecrets {
    pub(crate) client: Secret32,
    pub(crate) server: Secret32,
    pub(crate) master: Secret32,
}

impl HandshakeSecrets {
    /// `hello` is the hash up to the part of the `ServerHello` that is signed.
    pub(crate) fn new(shared: SharedSecret, hello: &TranscriptHash) -> Self {
        let secret = hkdf::extract(b"", shared.expose());
        drop(shared);
        Self {
            client: expand_label(&secret, b"c hs", hello),
            server: expand_label(&secret, b"s hs", hello),
            master: expand_label(&secret, b"master", hello),
        }
    }

    fn finished_key(secret: &Secret32) -> Secret32 {
        expand_label(secret, b"finished", b"")
    }

    /// The server's MAC over the hash up to its signature.
    pub(crate) fn server_finished(&self, hash: &TranscriptHash) -> [u8; FINISHED_BYTES] {
        hmac::tag(&Self::finished_key(&self.server), &[hash])
    }

    pub(crate) fn verify_server_finished(&self, hash: &TranscriptHash, mac: &[u8]) -> bool {
        hmac::verify(&Self::finished_key(&self.server), &[hash], mac)
    }

    /// What seals the client's finish, from the hash up to the server's MAC.
    pub(crate) fn client_finish_key(&self, hash: &TranscriptHash) -> Result<gcm::Key, Error> {
        key(&self.client, b"c finish", hash)
    }

    /// The client's MAC over the hash up to its proof.
    pub(crate) fn client_finished(&self, hash: &TranscriptHash) -> [u8; FINISHED_BYTES] {
        hmac::tag(&Self::finished_key(&self.client), &[hash])
    }

    pub(crate) fn verify_client_finished(&self, hash: &TranscriptHash, mac: &[u8]) -> bool {
        hmac::verify(&Self::finished_key(&self.client), &[hash], mac)
    }

    /// What the session lives on, from the hash of the whole transcript. Nothing that the handshake used is left.
    pub(crate) fn into_session(self, hash: &TranscriptHash) -> Result<(gcm::Key, TrafficSecrets), Error> {
        let traffic = TrafficSecrets {
            requests: expand_label(&self.master, b"c2s", hash),
            answers: expand_label(&self.master, b"s2c", hash),
        };
        Ok((key(&self.master, b"accepted", hash)?, traffic))
    }
}

/// One secret per direction of a session.
pub(crate) struct TrafficSecrets {
    pub(crate) requests: Secret32,
    pub(crate) answers: Secret32,
}

impl TrafficSecrets {
    /// The key of one RPC's requests. Only the client seals with it, so that the id that it draws is enough.
    pub(crate) fn request_key(&self, rpc: &RpcId) -> Result<gcm::Key, Error> {
        key(&self.requests, b"c2s rpc", rpc.as_bytes())
    }

    /// What the keys of the answers to one RPC come from, whichever node answers.
    pub(crate) fn answer_secret(&self, rpc: &RpcId) -> AnswerSecret {
        AnswerSecret(expand_label(&self.answers, b"s2c rpc", rpc.as_bytes()))
    }
}

/// What opens the answers to one RPC, and no other.
pub(crate) struct AnswerSecret(Secret32);

impl AnswerSecret {
    /// The key of one node's answer. Other nodes that have the same session draw other random bytes.
    pub(crate) fn key(&self, node: &[u8; NODE_RANDOM_BYTES]) -> Result<gcm::Key, Error> {
        key(&self.0, b"node", node)
    }
}

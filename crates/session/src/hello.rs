//! The first message of each side.

use tyto_pqc::mldsa::SIGNATURE_BYTES;
use tyto_pqc::mlkem::{Ciphertext, EncapsulationKey};

use crate::error::{Error, Part};
use crate::name::{KeyId, MAX_NAME_BYTES, Name, SessionId};
use crate::schedule::FINISHED_BYTES;
use crate::suite::{MAX_SUITES, Offer, Suite, Suites};
use crate::wire::{Reader, message, write_name, write_offer};

/// Length of a nonce.
pub(crate) const NONCE_BYTES: usize = 32;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

const MAX_OFFER_BYTES: usize = 1 + 2 * MAX_SUITES;
const MAX_NAME_FIELD_BYTES: usize = 1 + MAX_NAME_BYTES;

/// Longest `ClientHello`.
pub const MAX_CLIENT_HELLO_BYTES: usize = 2
    + MAX_OFFER_BYTES
    + 2
    + NONCE_BYTES
    + MAX_NAME_FIELD_BYTES
    + Suite::MlKem1024.kem().encapsulation_key_bytes();

/// Longest `ServerHello`.
pub const MAX_SERVER_HELLO_BYTES: usize = 2
    + 2
    + NONCE_BYTES
    + SessionId::BYTES
    + MAX_OFFER_BYTES
    + MAX_NAME_FIELD_BYTES
    + KeyId::BYTES
    + Suite::MlKem1024.kem().ciphertext_bytes()
    + SIGNATURE_BYTES
    + FINISHED_BYTES;

pub(crate) struct ClientHello {
    pub(crate) offer: Offer,
    pub(crate) share: Suite,
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) audience: Name,
}

impl ClientHello {
    /// The hello with a key for the suite of its share.
    pub(crate) fn write(&self, encapsulation_key: &EncapsulationKey) -> Vec<u8> {
        let mut out = message(CLIENT_HELLO, MAX_CLIENT_HELLO_BYTES);
        write_offer(&mut out, &self.offer);
        out.extend_from_slice(&self.share.id().to_le_bytes());
        out.extend_from_slice(&self.nonce);
        write_name(&mut out, &self.audience);
        out.extend_from_slice(encapsulation_key.as_bytes());
        out
    }

    /// Reads a hello whose key is for the best suite, in the client's order, that is among `ours`. For any other, only
    /// the suites are looked at: the rest may be of a suite that this version does not know.
    pub(crate) fn read(bytes: &[u8], ours: &Suites) -> Result<(Self, EncapsulationKey), Error> {
        let mut reader = Reader::new(Part::ClientHello, bytes, CLIENT_HELLO)?;
        let offer = reader.offer("offered suites")?;
        let share = reader.u16("suite of the key")?;
        if !offer.ids().contains(&share) {
            return Err(reader.malformed("suite of the key"));
        }
        let best = offer.best_of(ours).ok_or(Error::NoCommonSuite)?;
        if share != best.id() {
            return Err(Error::OtherSuite { best });
        }
        let nonce = reader.array("nonce")?;
        let audience = reader.name("audience")?;
        let key = reader.bytes(best.kem().encapsulation_key_bytes(), "encapsulation key")?;
        let encapsulation_key = EncapsulationKey::from_bytes(best.kem(), key)
            .map_err(|_| reader.malformed("encapsulation key"))?;
        reader.finish()?;
        Ok((Self { offer, share: best, nonce, audience }, encapsulation_key))
    }
}

/// What the server signs of its hello: all but the signature and the Finished MAC.
pub(crate) struct ServerHello {
    pub(crate) suite: Suite,
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) session_id: SessionId,
    /// What the server is willing to use, so that the client sees whether a better suite was kept from it.
    pub(crate) supported: Offer,
    pub(crate) identity: Name,
    pub(crate) key_id: KeyId,
    pub(crate) ciphertext: Ciphertext,
}

/// A hello with its proofs.
pub(crate) struct ProvenHello<'a> {
    pub(crate) hello: ServerHello,
    /// The bytes of the hello without its proofs.
    pub(crate) core: &'a [u8],
    pub(crate) signature: &'a [u8],
    pub(crate) finished: &'a [u8],
}

impl ServerHello {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = message(SERVER_HELLO, MAX_SERVER_HELLO_BYTES);
        out.extend_from_slice(&self.suite.id().to_le_bytes());
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(self.session_id.as_bytes());
        write_offer(&mut out, &self.supported);
        write_name(&mut out, &self.identity);
        out.extend_from_slice(self.key_id.as_bytes());
        out.extend_from_slice(self.ciphertext.as_bytes());
        out
    }

    /// Reads a hello and splits off its proofs, of which nothing is checked but the length.
    pub(crate) fn read(bytes: &[u8]) -> Result<ProvenHello<'_>, Error> {
        let mut reader = Reader::new(Part::ServerHello, bytes, SERVER_HELLO)?;
        let suite = reader.suite("suite")?;
        let nonce = reader.array("nonce")?;
        let session_id = SessionId::from_bytes(reader.array("session id")?);
        let supported = reader.offer("supported suites")?;
        let identity = reader.name("identity")?;
        let key_id = KeyId::from_bytes(reader.array("key id")?);
        let ciphertext = reader.bytes(suite.kem().ciphertext_bytes(), "ciphertext")?;
        let ciphertext = Ciphertext::from_bytes(suite.kem(), ciphertext)?;
        let signature = reader.bytes(SIGNATURE_BYTES, "signature")?;
        let finished = reader.bytes(FINISHED_BYTES, "Finished MAC")?;
        reader.finish()?;
        let core = &bytes[..bytes.len() - SIGNATURE_BYTES - FINISHED_BYTES];
        let hello = Self { suite, nonce, session_id, supported, identity, key_id, ciphertext };
        Ok(ProvenHello { hello, core, signature, finished })
    }
}

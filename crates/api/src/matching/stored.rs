//! Answers as a server keeps them beside a used ticket: the very messages that were sent.

use super::{IdentifyPart, VerifyAnswer};
use crate::Error;
use crate::proto::matching::v1 as proto;
use prost::Message;

const FIELD: &str = "stored answer";

impl VerifyAnswer {
    /// The answer's message.
    pub fn to_bytes(&self) -> Vec<u8> {
        proto::VerifyResponse::from(self.clone()).encode_to_vec()
    }

    /// How many bytes [`VerifyAnswer::to_bytes`] gives.
    pub fn encoded_len(&self) -> usize {
        proto::VerifyResponse::from(self.clone()).encoded_len()
    }

    /// Reads [`VerifyAnswer::to_bytes`].
    ///
    /// # Errors
    /// [`Error::Undecodable`] or what is wrong with a field.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        proto::VerifyResponse::decode(bytes).map_err(|_| Error::Undecodable { field: FIELD })?.try_into()
    }
}

impl IdentifyPart {
    /// Appends the part's message, preceded by its length.
    ///
    /// # Panics
    /// Never: a vector grows.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let message = proto::IdentifyResponse::from(self.clone());
        message.encode_length_delimited(out).expect("a vector has room");
    }

    /// Takes the first part off what [`IdentifyPart::append_to`] wrote; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Undecodable`] or what is wrong with a field.
    pub fn take_from(bytes: &mut bytes::Bytes) -> Result<Option<Self>, Error> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let message = proto::IdentifyResponse::decode_length_delimited(bytes);
        message.map_err(|_| Error::Undecodable { field: FIELD })?.try_into().map(Some)
    }
}

//! The frames of gRPC: a flag, a length, and a message or record.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::Error;

/// Compression flag and length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// The prefix of a frame that is not compressed.
pub(crate) fn prefix(bytes: usize) -> [u8; PREFIX_BYTES] {
    let [a, b, c, d] = (bytes as u32).to_be_bytes();
    [0, a, b, c, d]
}

/// Cuts what arrives into frames. At most one frame is in memory beside what arrived last.
pub(crate) struct Frames {
    arrived: Bytes,
    /// The beginning of a frame whose rest has not arrived.
    partial: BytesMut,
    max_bytes: usize,
}

impl Frames {
    /// Frames of at most `max_bytes`, without their prefix.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { arrived: Bytes::new(), partial: BytesMut::new(), max_bytes }
    }

    pub(crate) fn set_max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
    }

    /// Takes what has arrived, when [`Frames::next`] has nothing more.
    pub(crate) fn push(&mut self, arrived: Bytes) {
        debug_assert!(self.arrived.is_empty());
        self.arrived = arrived;
    }

    /// Whether nothing is left, not even of a frame.
    pub(crate) fn is_empty(&self) -> bool {
        self.arrived.is_empty() && self.partial.is_empty()
    }

    /// The next whole frame, with its prefix.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.partial.is_empty() {
            if let Some(total) = self.total(&self.arrived)?
                && self.arrived.len() >= total
            {
                return Ok(Some(self.arrived.split_to(total)));
            }
        } else if self.partial.len() < PREFIX_BYTES {
            self.take(PREFIX_BYTES - self.partial.len());
        }
        if self.partial.is_empty() {
            let all = self.arrived.len().min(PREFIX_BYTES);
            self.take(all);
        }
        let Some(total) = self.total(&self.partial)? else { return Ok(None) };
        self.partial.reserve(total - self.partial.len());
        self.take(total - self.partial.len());
        // The whole buffer, so that whoever opens the frame has it alone.
        Ok((self.partial.len() == total).then(|| core::mem::take(&mut self.partial).freeze()))
    }

    fn take(&mut self, bytes: usize) {
        let bytes = bytes.min(self.arrived.len());
        self.partial.extend_from_slice(&self.arrived[..bytes]);
        self.arrived.advance(bytes);
    }

    /// Length of the frame that begins like this, with its prefix.
    fn total(&self, beginning: &[u8]) -> Result<Option<usize>, Error> {
        let Some((&[flag, a, b, c, d], _)) = beginning.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let bytes = u32::from_be_bytes([a, b, c, d]) as usize;
        if flag != 0 || bytes > self.max_bytes {
            return Err(Error::Frame { max_bytes: self.max_bytes });
        }
        Ok(Some(PREFIX_BYTES + bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(messages: &[&[u8]]) -> Vec<u8> {
        messages.iter().flat_map(|message| [&prefix(message.len())[..], message].concat()).collect()
    }

    /// However the bytes are cut, the frames are the same.
    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let messages: [&[u8]; 5] = [b"", b"one", &[7; 300], b"", b"last"];
        let bytes = framed(&messages);
        for piece in 1..=bytes.len() {
            let mut frames = Frames::new(300);
            let mut found = Vec::new();
            for arrived in bytes.chunks(piece) {
                frames.push(Bytes::copy_from_slice(arrived));
                while let Some(frame) = frames.next().unwrap() {
                    found.push(frame[PREFIX_BYTES..].to_vec());
                }
            }
            assert_eq!(found, messages, "pieces of {piece} bytes");
            assert!(frames.is_empty());
        }
    }

    #[test]
    fn long_and_compressed_frames_are_refused_before_they_arrive() {
        for beginning in [[0, 0, 0, 0, 5], [1, 0, 0, 0, 1], [0, 0xff, 0xff, 0xff, 0xff]] {
            for piece in [1, 5] {
                let mut frames = Frames::new(4);
                let refused = beginning.chunks(piece).any(|arrived| {
                    frames.push(Bytes::copy_from_slice(arrived));
                    frames.next().is_err()
                });
                assert!(refused, "{beginning:?} in pieces of {piece}");
            }
        }
    }
}

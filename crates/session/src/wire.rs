//! Reading and writing the fields of messages.

use crate::error::{Error, Part};
use crate::name::{MAX_NAME_BYTES, Name};
use crate::suite::{MAX_SUITES, Offer, Suite};

/// The version of every message, record and state.
pub(crate) const VERSION: u8 = 1;

/// What is left of a message.
pub(crate) struct Reader<'a> {
    part: Part,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of fields without a version, which were sealed.
    pub(crate) fn inner(part: Part, bytes: &'a [u8]) -> Self {
        Self { part, rest: bytes }
    }

    /// Reads the version and the type, which every message begins with.
    pub(crate) fn new(part: Part, bytes: &'a [u8], message_type: u8) -> Result<Self, Error> {
        let mut reader = Self::inner(part, bytes);
        let found = reader.u8("version")?;
        if found != VERSION {
            return Err(Error::Version { part, found });
        }
        if reader.u8("type")? != message_type {
            return Err(reader.malformed("type"));
        }
        Ok(reader)
    }

    pub(crate) fn malformed(&self, field: &'static str) -> Error {
        Error::Malformed { part: self.part, field }
    }

    pub(crate) fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.malformed(field))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const L: usize>(&mut self, field: &'static str) -> Result<[u8; L], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.malformed(field))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn name(&mut self, field: &'static str) -> Result<Name, Error> {
        let length = usize::from(self.u8(field)?);
        let bytes = self.bytes(length, field)?;
        let text = core::str::from_utf8(bytes).map_err(|_| self.malformed(field))?;
        Name::new(text).map_err(|_| self.malformed(field))
    }

    pub(crate) fn suite(&mut self, field: &'static str) -> Result<Suite, Error> {
        let id = self.u16(field)?;
        Suite::from_id(id).ok_or_else(|| self.malformed(field))
    }

    pub(crate) fn offer(&mut self, field: &'static str) -> Result<Offer, Error> {
        let count = usize::from(self.u8(field)?);
        if count > MAX_SUITES {
            return Err(self.malformed(field));
        }
        let ids = (0..count).map(|_| self.u16(field)).collect::<Result<_, _>>()?;
        Offer::from_ids(ids).ok_or_else(|| self.malformed(field))
    }

    /// Zeros up to the end.
    pub(crate) fn padding(self) -> Result<(), Error> {
        if self.rest.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(self.malformed("padding")) }
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed("end")) }
    }
}

/// Begins a message.
pub(crate) fn message(message_type: u8, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    out.extend_from_slice(&[VERSION, message_type]);
    out
}

pub(crate) fn write_name(out: &mut Vec<u8>, name: &Name) {
    debug_assert!(name.as_str().len() <= MAX_NAME_BYTES);
    out.push(name.as_str().len() as u8);
    out.extend_from_slice(name.as_str().as_bytes());
}

pub(crate) fn write_offer(out: &mut Vec<u8>, offer: &Offer) {
    out.push(offer.ids().len() as u8);
    offer.ids().iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
}

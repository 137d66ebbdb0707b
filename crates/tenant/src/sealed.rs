//! AES-256-GCM-SIV (RFC 8452) sealing of what the tenant alone may make or read, and a strict reader of its plain
//! forms.

use crate::Error;
use tyto_pqc::aead::SealingKey;
use zeroize::Zeroizing;

/// Seals for a place: `aad = label || parts`.
pub(crate) fn seal(
    key: &SealingKey,
    label: &str,
    parts: &[&[u8]],
    plaintext: &[u8],
) -> Result<Vec<u8>, Error> {
    Ok(key.seal(&aad(label, parts), plaintext)?)
}

/// Opens what was sealed for the same place.
pub(crate) fn open(
    key: &SealingKey,
    object: &'static str,
    label: &str,
    parts: &[&[u8]],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    key.open(&aad(label, parts), sealed).map_err(|_| Error::Sealed { object })
}

fn aad(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut aad = label.as_bytes().to_vec();
    parts.iter().for_each(|part| aad.extend_from_slice(part));
    aad
}

/// Reads fields off an opened plaintext; running short means a layout this version does not know.
pub(crate) struct Reader<'a> {
    object: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks the leading version byte.
    pub(crate) fn new(object: &'static str, version: u8, bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Self { object, rest: bytes };
        if reader.array::<1>()? == [version] { Ok(reader) } else { Err(Error::SealedVersion { object }) }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (head, rest) =
            self.rest.split_at_checked(count).ok_or(Error::SealedVersion { object: self.object })?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const L: usize>(&mut self) -> Result<[u8; L], Error> {
        Ok(self.bytes(L)?.try_into().expect("exactly L bytes were taken"))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::SealedVersion { object: self.object }) }
    }
}

//! What a replay needs beside the ciphertexts of the blocks.
//!
//! `"TYTORPL1" || set u16 || dimension u16 || stride u16 || gallery 16 || key id 16 || mask epoch u32 || manifest version u64
//! || SHA3-256(sealed manifest) 32 || blocks u32 || (block id 16 || version u64)* || covered u32 || (place in the manifest
//! u32 || SHA3-256(sealed record) 32 || filled bitmap)* || ticket bytes u32 || ticket || attestation file`, little-endian.

use crate::Error;
use tyto_attest::{AttestationFile, MAX_CONTENT_BYTES};
use tyto_scheme::query::MAX_TICKET_BYTES;
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, Layout};

/// First bytes of a replay file.
pub const REPLAY_MAGIC: &[u8; 8] = b"TYTORPL1";
/// Most blocks of a gallery that can be replayed: 268 million templates at stride 1.
pub const MAX_REPLAY_BLOCKS: usize = 1 << 17;
/// Largest replay file.
pub const MAX_REPLAY_BYTES: usize =
    2 * MAX_CONTENT_BYTES + MAX_TICKET_BYTES + MAX_REPLAY_BLOCKS * 512 + (1 << 20);

const WHAT: &str = "replay file";

/// What was matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayFile {
    /// The gallery.
    pub parameters: GalleryParameters,
    /// Version of its manifest.
    pub manifest_version: u64,
    /// SHA3-256 of the sealed manifest.
    pub manifest_digest: [u8; 32],
    /// All blocks in the order of the manifest, with their versions.
    pub blocks: Vec<(BlockId, u64)>,
    /// Those that were matched, in the order of the answer.
    pub covered: Vec<CoveredBlock>,
    /// The ticket as it was uploaded, if the probe was sent by one.
    pub ticket: Option<Vec<u8>>,
    /// Attestation, salt, request and result.
    pub attestation: AttestationFile,
}

/// A block that was matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredBlock {
    /// Its place in the manifest.
    pub position: usize,
    /// SHA3-256 of its sealed record.
    pub record_digest: [u8; 32],
    /// The slots that held templates, ascending.
    pub filled: Vec<u16>,
}

impl ReplayFile {
    /// The block at a place in the manifest.
    pub fn block(&self, covered: &CoveredBlock) -> (BlockId, u64) {
        self.blocks[covered.position]
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`Error::Malformed`] for more blocks, or a larger ticket, than a file may have; [`Error::Attestation`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = header(REPLAY_MAGIC, &self.parameters);
        out.extend_from_slice(&self.manifest_version.to_le_bytes());
        out.extend_from_slice(&self.manifest_digest);
        count(self.blocks.len(), MAX_REPLAY_BLOCKS, &mut out)?;
        for (block, version) in &self.blocks {
            out.extend_from_slice(&block.0);
            out.extend_from_slice(&version.to_le_bytes());
        }
        count(self.covered.len(), self.blocks.len(), &mut out)?;
        for covered in &self.covered {
            count(covered.position, self.blocks.len() - 1, &mut out)?;
            out.extend_from_slice(&covered.record_digest);
            let mut bitmap = vec![0_u8; bitmap_bytes(&self.parameters.layout)];
            for slot in &covered.filled {
                let byte = bitmap.get_mut(usize::from(slot / 8)).ok_or(malformed("a slot"))?;
                *byte |= 1 << (slot % 8);
            }
            out.extend_from_slice(&bitmap);
        }
        let ticket = self.ticket.as_deref().unwrap_or_default();
        count(ticket.len(), MAX_TICKET_BYTES, &mut out)?;
        out.extend_from_slice(ticket);
        out.extend_from_slice(&self.attestation.encode()?);
        Ok(out)
    }

    /// Reads what [`ReplayFile::encode`] wrote. Nothing is verified by that.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Scheme`], [`Error::Attestation`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_REPLAY_BYTES {
            return Err(malformed("too large"));
        }
        let mut r = Cursor { what: WHAT, bytes };
        let parameters = r.header(REPLAY_MAGIC)?;
        let manifest_version = u64::from_le_bytes(r.take()?);
        let manifest_digest = r.take()?;
        let blocks = (0..r.count(MAX_REPLAY_BLOCKS)?)
            .map(|_| Ok((BlockId(r.take()?), u64::from_le_bytes(r.take()?))))
            .collect::<Result<Vec<_>, Error>>()?;
        let bitmap_bytes = bitmap_bytes(&parameters.layout);
        let mut covered = Vec::new();
        for _ in 0..r.count(blocks.len())? {
            let position = r.count(blocks.len().saturating_sub(1))?;
            let record_digest = r.take()?;
            let bitmap = r.bytes(bitmap_bytes)?;
            let is_filled = |slot: &u16| bitmap[usize::from(slot / 8)] >> (slot % 8) & 1 == 1;
            let filled = (0..parameters.layout.slots() as u16).filter(is_filled).collect();
            covered.push(CoveredBlock { position, record_digest, filled });
        }
        let ticket = r.count(MAX_TICKET_BYTES)?;
        let ticket = (ticket > 0).then(|| r.bytes(ticket).map(<[u8]>::to_vec)).transpose()?;
        let attestation = AttestationFile::parse(r.bytes)?;
        Ok(Self { parameters, manifest_version, manifest_digest, blocks, covered, ticket, attestation })
    }
}

fn malformed(field: &'static str) -> Error {
    Error::Malformed { what: WHAT, field }
}

fn bitmap_bytes(layout: &Layout) -> usize {
    layout.slots().div_ceil(8)
}

fn count(number: usize, max: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    let number = u32::try_from(number).ok().filter(|_| number <= max).ok_or(malformed("too many"))?;
    out.extend_from_slice(&number.to_le_bytes());
    Ok(())
}

/// Magic and gallery parameters, with which both files begin.
pub(crate) fn header(magic: &[u8; 8], parameters: &GalleryParameters) -> Vec<u8> {
    let layout = &parameters.layout;
    let mut out = magic.to_vec();
    for field in [layout.parameter_set().id(), layout.dimension() as u16, layout.stride() as u16] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&parameters.gallery.0);
    out.extend_from_slice(&parameters.key.0);
    out.extend_from_slice(&parameters.mask_epoch.to_le_bytes());
    out
}

/// Reads bytes from the left.
pub(crate) struct Cursor<'a> {
    pub(crate) what: &'static str,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn truncated(&self) -> Error {
        Error::Malformed { what: self.what, field: "truncated" }
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or_else(|| self.truncated())?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(|| self.truncated())?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn count(&mut self, max: usize) -> Result<usize, Error> {
        let number = u32::from_le_bytes(self.take()?) as usize;
        if number <= max { Ok(number) } else { Err(Error::Malformed { what: self.what, field: "too many" }) }
    }

    pub(crate) fn header(&mut self, magic: &[u8; 8]) -> Result<GalleryParameters, Error> {
        if self.take()? != *magic {
            return Err(Error::Malformed { what: self.what, field: "it begins with other bytes" });
        }
        let mut field = || self.take().map(u16::from_le_bytes);
        let (set, dimension, stride) = (field()?, field()?, field()?);
        let (gallery, key) = (GalleryId(self.take()?), KeyId(self.take()?));
        let epoch = u32::from_le_bytes(self.take()?);
        Ok(GalleryParameters::new(gallery, set.into(), dimension.into(), stride.into(), epoch, key)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CiphertextReader, CiphertextWriter, ciphertexts_bytes};

    fn sample() -> ReplayFile {
        let attestation =
            AttestationFile { attestation: vec![1; 9], salt: [2; 32], request: Some(vec![3]), result: None };
        let covered = |position, filled: &[u16]| CoveredBlock {
            position,
            record_digest: [position as u8; 32],
            filled: filled.to_vec(),
        };
        ReplayFile {
            parameters: GalleryParameters::new(GalleryId([4; 16]), 1, 20, 4, 0, KeyId([5; 16])).unwrap(),
            manifest_version: 77,
            manifest_digest: [6; 32],
            blocks: vec![(BlockId([7; 16]), 1), (BlockId([8; 16]), u64::MAX)],
            covered: vec![covered(1, &[0, 7, 8, 511]), covered(0, &[])],
            ticket: Some(vec![9; 100]),
            attestation,
        }
    }

    #[test]
    fn files_come_back_as_they_were_and_no_shorter_one_is_read() {
        for file in [sample(), ReplayFile { ticket: None, covered: vec![], blocks: vec![], ..sample() }] {
            let bytes = file.encode().unwrap();
            assert_eq!(ReplayFile::parse(&bytes).unwrap(), file);
            for length in 0..bytes.len() {
                assert!(ReplayFile::parse(&bytes[..length]).is_err(), "{length} bytes");
            }
            assert!(ReplayFile::parse(&[&bytes[..], &[0]].concat()).is_err());
        }
        let mut beyond = sample();
        beyond.covered[0].position = 2;
        assert!(beyond.encode().is_err());
        beyond = sample();
        beyond.covered[0].filled = vec![512];
        assert!(beyond.encode().is_err());
    }

    #[test]
    fn ciphertexts_are_read_as_they_were_written() {
        let parameters = sample().parameters;
        let packed = vec![0; parameters.layout.polynomials_bytes()];
        let mut writer = CiphertextWriter::new(Vec::new(), &parameters, 2).unwrap();
        writer.block(BlockId([1; 16]), 3, &packed).unwrap();
        writer.block(BlockId([2; 16]), 4, &packed).unwrap();
        let bytes = writer.finish().unwrap();
        assert_eq!(bytes.len() as u64, ciphertexts_bytes(&parameters, 2));
        let read = |bytes: &[u8], blocks| -> Result<usize, Error> {
            let mut reader = CiphertextReader::open(bytes, &parameters, blocks)?;
            let mut count = 0;
            while let Some((block, version, polynomials)) = reader.next_block()? {
                count += 1;
                assert_eq!((block.0[0], version), (count as u8, count as u64 + 2));
                assert_eq!(polynomials.len(), parameters.layout.chunks());
            }
            Ok(count)
        };
        assert_eq!(read(&bytes, 2).unwrap(), 2);
        assert!(read(&bytes, 1).is_err() && read(&bytes[..bytes.len() - 1], 2).is_err());
        assert!(read(&[&bytes[..], &[0]].concat(), 2).is_err() && read(&bytes[1..], 2).is_err());
        let mut beyond_q = bytes.clone();
        beyond_q[HEADER + 24..HEADER + 40].fill(0xff);
        assert!(matches!(read(&beyond_q, 2), Err(Error::Scheme(_))));
        let mut other = bytes;
        other[14] ^= 1;
        assert!(matches!(read(&other, 2), Err(Error::Malformed { .. })));
    }

    /// Bytes before the first block of the ciphertexts.
    const HEADER: usize = 54;
}

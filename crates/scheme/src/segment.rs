//! Segments: the uploaded form of provisioned blocks.
//!
//! `"TYTOSEG1" || set u16 || dimension u16 || stride u16 || blocks u16 || gallery 16 || key id 16 || epoch u32`, then
//! for each block its id and its `C` polynomials, 41 bits a coefficient, little-endian throughout.

use crate::Error;
use crate::ids::{BlockId, GalleryId, KeyId};
use crate::mask::GalleryParameters;
use crate::wire::Fields;
use tyto_kernels::{PACKED_POLY_BYTES, Poly, pack};

/// First bytes of a segment: name and version.
pub const SEGMENT_MAGIC: &[u8; 8] = b"TYTOSEG1";
/// Bytes before the first block.
pub const SEGMENT_HEADER_BYTES: usize = 8 + 4 * 2 + 16 + 16 + 4;
/// Most blocks in one segment.
pub const MAX_SEGMENT_BLOCKS: usize = 1024;
/// Most bytes of one segment.
pub const MAX_SEGMENT_BYTES: usize = 64 << 20;

/// Bytes of a segment of `blocks` blocks.
pub fn segment_bytes(parameters: &GalleryParameters, blocks: usize) -> usize {
    SEGMENT_HEADER_BYTES + blocks * (BlockId::BYTES + parameters.layout.polynomials_bytes())
}

/// How many blocks fit a segment of about `target_bytes`: at least one.
pub fn blocks_per_segment(parameters: &GalleryParameters, target_bytes: usize) -> usize {
    let block = BlockId::BYTES + parameters.layout.polynomials_bytes();
    (target_bytes / block).clamp(1, MAX_SEGMENT_BLOCKS)
}

/// Writes a segment's header.
pub fn write_header(parameters: &GalleryParameters, blocks: u16, out: &mut Vec<u8>) {
    let layout = &parameters.layout;
    out.extend_from_slice(SEGMENT_MAGIC);
    for field in [layout.parameter_set().id(), layout.dimension() as u16, layout.stride() as u16, blocks] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&parameters.gallery.0);
    out.extend_from_slice(&parameters.key.0);
    out.extend_from_slice(&parameters.mask_epoch.to_le_bytes());
}

/// Writes one block.
pub fn write_block(block: BlockId, polynomials: &[Poly], out: &mut Vec<u8>) {
    out.extend_from_slice(&block.0);
    write_polynomials(polynomials, out);
}

/// Writes one block whose polynomials are packed already.
pub fn write_packed_block(block: BlockId, polynomials: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&block.0);
    out.extend_from_slice(polynomials);
}

/// Appends packed polynomials.
pub fn write_polynomials(polynomials: &[Poly], out: &mut Vec<u8>) {
    for poly in polynomials {
        let start = out.len();
        out.resize(start + PACKED_POLY_BYTES, 0);
        pack::pack(poly.as_slice(), &mut out[start..]);
    }
}

/// Unpacks `bytes` into polynomials, checking that every coefficient is below q.
///
/// # Errors
/// [`Error::Length`] or [`Error::Coefficient`].
pub fn read_polynomials(what: &'static str, bytes: &[u8], count: usize) -> Result<Vec<Poly>, Error> {
    let mut polynomials = Vec::new();
    for_each_polynomial(what, bytes, count, |_, bytes| {
        let mut poly = Poly::zero();
        pack::unpack(bytes, &mut poly)?;
        polynomials.push(poly);
        Ok(())
    })?;
    Ok(polynomials)
}

/// Gives each of `count` packed polynomials, with its number, to `read`, and says in which of them an error is.
pub(crate) fn for_each_polynomial(
    what: &'static str,
    bytes: &[u8],
    count: usize,
    mut read: impl FnMut(usize, &[u8]) -> Result<(), tyto_kernels::Error>,
) -> Result<(), Error> {
    if bytes.len() != count * PACKED_POLY_BYTES {
        return Err(Error::Length { what, found: bytes.len(), expected: count * PACKED_POLY_BYTES });
    }
    for (polynomial, bytes) in bytes.chunks_exact(PACKED_POLY_BYTES).enumerate() {
        read(polynomial, bytes).map_err(|error| match error {
            tyto_kernels::Error::CoefficientRange { index } => Error::Coefficient { polynomial, index },
            _ => Error::Length { what, found: bytes.len(), expected: PACKED_POLY_BYTES },
        })?;
    }
    Ok(())
}

/// A segment whose header was checked against its gallery; blocks are unpacked one at a time.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    parameters: &'a GalleryParameters,
    blocks: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Checks length, magic and header, and that no block id repeats.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn parse(parameters: &'a GalleryParameters, bytes: &'a [u8]) -> Result<Self, Error> {
        const WHAT: &str = "segment";
        if bytes.len() < SEGMENT_HEADER_BYTES {
            return Err(Error::Length { what: WHAT, found: bytes.len(), expected: SEGMENT_HEADER_BYTES });
        }
        let (header, blocks) = bytes.split_at(SEGMENT_HEADER_BYTES);
        let mut fields = Fields(header);
        if fields.take() != *SEGMENT_MAGIC {
            return Err(Error::Magic(WHAT));
        }
        let header = [fields.u16(), fields.u16(), fields.u16()];
        let count = usize::from(fields.u16());
        check_header(WHAT, parameters, header, GalleryId(fields.take()), KeyId(fields.take()), fields.u32())?;
        if count == 0 || count > MAX_SEGMENT_BLOCKS {
            return Err(Error::BlockCount { found: count, max: MAX_SEGMENT_BLOCKS });
        }
        let expected = segment_bytes(parameters, count);
        if bytes.len() != expected {
            return Err(Error::Length { what: WHAT, found: bytes.len(), expected });
        }
        let segment = Self { parameters, blocks };
        let mut ids = segment.block_ids();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::DuplicateBlock(pair[0])),
            None => Ok(segment),
        }
    }

    fn block_bytes(&self) -> usize {
        BlockId::BYTES + self.parameters.layout.polynomials_bytes()
    }

    /// The ids of the blocks, in order.
    pub fn block_ids(&self) -> Vec<BlockId> {
        let id = |block: &[u8]| BlockId(*block.first_chunk().expect("a block begins with its id"));
        self.blocks.chunks_exact(self.block_bytes()).map(id).collect()
    }

    /// Unpacks the polynomials of block number `index`.
    ///
    /// # Errors
    /// [`Error::Coefficient`] if one is not below q.
    ///
    /// # Panics
    /// If there is no such block.
    pub fn polynomials(&self, index: usize) -> Result<Vec<Poly>, Error> {
        let size = self.block_bytes();
        let block = &self.blocks[index * size..][..size];
        read_polynomials("block", &block[BlockId::BYTES..], self.parameters.layout.chunks())
    }
}

/// Checks the header fields that segments and tickets share.
pub(crate) fn check_header(
    object: &'static str,
    parameters: &GalleryParameters,
    [set, dimension, stride]: [u16; 3],
    gallery: GalleryId,
    key: KeyId,
    mask_epoch: u32,
) -> Result<(), Error> {
    let layout = &parameters.layout;
    let checks = [
        ("parameter set", set == layout.parameter_set().id()),
        ("dimension", usize::from(dimension) == layout.dimension()),
        ("stride", usize::from(stride) == layout.stride()),
        ("gallery id", gallery == parameters.gallery),
        ("key id", key == parameters.key),
        ("mask epoch", mask_epoch == parameters.mask_epoch),
    ];
    match checks.iter().find(|(_, holds)| !holds) {
        Some(&(field, _)) => Err(Error::Mismatch { object, field }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> GalleryParameters {
        GalleryParameters::new(GalleryId([1; 16]), 1, 4, 4, 0, KeyId([2; 16])).unwrap()
    }

    fn segment(blocks: &[BlockId]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&parameters(), blocks.len() as u16, &mut bytes);
        for (i, &block) in blocks.iter().enumerate() {
            let mut poly = Poly::zero();
            poly.as_mut_slice()[3] = 1 + i as u64;
            write_block(block, &[poly], &mut bytes);
        }
        bytes
    }

    #[test]
    fn a_segment_comes_back_as_it_was_written() {
        let bytes = segment(&[BlockId([5; 16]), BlockId([4; 16])]);
        let parameters = parameters();
        assert_eq!(bytes.len(), segment_bytes(&parameters, 2));
        let parsed = Segment::parse(&parameters, &bytes).unwrap();
        assert_eq!(parsed.block_ids(), [BlockId([5; 16]), BlockId([4; 16])]);
        assert_eq!(parsed.polynomials(1).unwrap()[0].as_slice()[..5], [0, 0, 0, 2, 0]);
    }

    #[test]
    fn every_wrong_field_is_named() {
        let parameters = parameters();
        let good = segment(&[BlockId([5; 16])]);
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Segment::parse(&parameters, &bytes).err()
        };
        let mismatch = |field| Some(Error::Mismatch { object: "segment", field });
        assert_eq!(with(0, b'X'), Some(Error::Magic("segment")));
        assert_eq!(with(8, 2), mismatch("parameter set"));
        assert_eq!(with(10, 5), mismatch("dimension"));
        assert_eq!(with(12, 2), mismatch("stride"));
        assert_eq!(with(14, 0), Some(Error::BlockCount { found: 0, max: 1024 }));
        assert!(matches!(with(14, 2), Some(Error::Length { .. })));
        assert_eq!(with(16, 9), mismatch("gallery id"));
        assert_eq!(with(32, 9), mismatch("key id"));
        assert_eq!(with(48, 9), mismatch("mask epoch"));
        assert!(matches!(
            Segment::parse(&parameters, &good[..good.len() - 1]).err(),
            Some(Error::Length { .. })
        ));
        assert!(matches!(Segment::parse(&parameters, &good[..9]).err(), Some(Error::Length { .. })));
        let twice = segment(&[BlockId([5; 16]), BlockId([5; 16])]);
        assert_eq!(Segment::parse(&parameters, &twice).err(), Some(Error::DuplicateBlock(BlockId([5; 16]))));
    }

    #[test]
    fn a_coefficient_not_below_q_is_named() {
        let parameters = parameters();
        let mut bytes = segment(&[BlockId([5; 16])]);
        let start = SEGMENT_HEADER_BYTES + BlockId::BYTES;
        bytes[start..start + 6].copy_from_slice(&tyto_kernels::Q.to_le_bytes()[..6]);
        let parsed = Segment::parse(&parameters, &bytes).unwrap();
        assert_eq!(parsed.polynomials(0).err(), Some(Error::Coefficient { polynomial: 0, index: 0 }));
    }
}

//! The ciphertexts of blocks, as they were matched.
//!
//! `"TYTOCTX1" || set u16 || dimension u16 || stride u16 || gallery 16 || key id 16 || mask epoch u32 || blocks u32 ||
//! (block id 16 || version u64 || packed polynomials)*`, little-endian.

use crate::Error;
use crate::file::{Cursor, MAX_REPLAY_BLOCKS, header};
use std::io::{Read, Write};
use tyto_kernels::Poly;
use tyto_scheme::segment::read_polynomials;
use tyto_scheme::{BlockId, GalleryParameters};

/// First bytes of a file of ciphertexts.
pub const CIPHERTEXTS_MAGIC: &[u8; 8] = b"TYTOCTX1";

const WHAT: &str = "ciphertexts";
const HEADER_BYTES: usize = 8 + 3 * 2 + 16 + 16 + 4 + 4;

/// Bytes of a file with the ciphertexts of so many blocks.
pub fn ciphertexts_bytes(parameters: &GalleryParameters, blocks: usize) -> u64 {
    (HEADER_BYTES + blocks * (24 + parameters.layout.polynomials_bytes())) as u64
}

/// Writes ciphertexts, block by block.
#[derive(Debug)]
pub struct CiphertextWriter<W> {
    out: W,
    block_bytes: usize,
}

impl<W: Write> CiphertextWriter<W> {
    /// Begins a file of `blocks` blocks.
    ///
    /// # Errors
    /// [`Error::Io`].
    ///
    /// # Panics
    /// If there are more than [`MAX_REPLAY_BLOCKS`], which no replay file has.
    pub fn new(mut out: W, parameters: &GalleryParameters, blocks: usize) -> Result<Self, Error> {
        assert!(blocks <= MAX_REPLAY_BLOCKS, "a replay file has no more");
        out.write_all(&header(CIPHERTEXTS_MAGIC, parameters))?;
        out.write_all(&(blocks as u32).to_le_bytes())?;
        Ok(Self { out, block_bytes: parameters.layout.polynomials_bytes() })
    }

    /// Writes the next block.
    ///
    /// # Errors
    /// [`Error::Io`].
    ///
    /// # Panics
    /// If these are not the packed polynomials of a block.
    pub fn block(&mut self, block: BlockId, version: u64, polynomials: &[u8]) -> Result<(), Error> {
        assert_eq!(polynomials.len(), self.block_bytes, "the packed polynomials of a block");
        self.out.write_all(&block.0)?;
        self.out.write_all(&version.to_le_bytes())?;
        Ok(self.out.write_all(polynomials)?)
    }

    /// Gives the file back.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<W, Error> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads ciphertexts, block by block.
#[derive(Debug)]
pub struct CiphertextReader<R> {
    input: R,
    blocks_left: usize,
    block: Vec<u8>,
    chunks: usize,
}

impl<R: Read> CiphertextReader<R> {
    /// Begins to read the ciphertexts of `blocks` blocks of a gallery.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] if the file is of another gallery or number of blocks.
    pub fn open(mut input: R, parameters: &GalleryParameters, blocks: usize) -> Result<Self, Error> {
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header)?;
        let mut r = Cursor { what: WHAT, bytes: &header };
        if r.header(CIPHERTEXTS_MAGIC)? != *parameters {
            return Err(Error::Malformed { what: WHAT, field: "they are of another gallery" });
        }
        if r.count(MAX_REPLAY_BLOCKS)? != blocks {
            return Err(Error::Malformed { what: WHAT, field: "they are of another number of blocks" });
        }
        let block = vec![0; 24 + parameters.layout.polynomials_bytes()];
        Ok(Self { input, blocks_left: blocks, block, chunks: parameters.layout.chunks() })
    }

    /// The next block; `None` after the last one, which must be the end of the file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] if something follows; [`Error::Scheme`] for a polynomial that is none.
    pub fn next_block(&mut self) -> Result<Option<(BlockId, u64, Vec<Poly>)>, Error> {
        if self.blocks_left == 0 {
            let trailing = self.input.read(&mut [0])? > 0;
            let field = "trailing bytes";
            return if trailing { Err(Error::Malformed { what: WHAT, field }) } else { Ok(None) };
        }
        self.blocks_left -= 1;
        self.input.read_exact(&mut self.block)?;
        let mut r = Cursor { what: WHAT, bytes: &self.block };
        let (block, version) = (BlockId(r.take()?), u64::from_le_bytes(r.take()?));
        Ok(Some((block, version, read_polynomials("block", r.bytes, self.chunks)?)))
    }
}

//! The block record: what the tenant vouches for at one version of a block.

use crate::Error;
use crate::gallery::Gallery;
use crate::sealed::{self, Reader};
use crate::slotmap;
use tyto_kernels::{NttPoly, PACKED_POLY_BYTES, Poly, inverse, pack};
use tyto_scheme::BlockId;
use zeroize::{Zeroize, Zeroizing};

const OBJECT: &str = "block record";
const LABEL: &str = "tyto/v1/record";

/// A block's record. It exists only if this process made it or this key opened it, so its hint and check vector can
/// be trusted: a hint that a server computed would expose a query's secret.
#[derive(Clone)]
pub struct Record {
    pub(crate) block: BlockId,
    pub(crate) version: u64,
    pub(crate) entries: u32,
    pub(crate) entries_digest: [u8; 32],
    /// Slots below this were handed out at some time: filled now or burnt. It only rises.
    pub(crate) used: u16,
    pub(crate) filled: Vec<u8>,
    /// `h = sum b_c * A_c`, exact.
    pub(crate) hint: Poly,
    /// `v = sum over filled slots of lambda_i * y_i mod P`.
    pub(crate) check: Vec<u64>,
}

impl Record {
    /// The record of a block as it is provisioned: version 1, nothing filled, hint `h0`.
    pub(crate) fn provisioned(gallery: &Gallery, block: BlockId, hint: &NttPoly) -> Self {
        Self {
            block,
            version: 1,
            entries: 0,
            entries_digest: slotmap::empty_digest(gallery, block),
            used: 0,
            filled: vec![0; gallery.layout().slots().div_ceil(8)],
            hint: inverse(hint),
            check: vec![0; gallery.layout().dimension()],
        }
    }

    /// The block.
    pub fn block(&self) -> BlockId {
        self.block
    }

    /// The version of the block that this record belongs to.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Slot-map entries at this version.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Their chained digest.
    pub fn entries_digest(&self) -> &[u8; 32] {
        &self.entries_digest
    }

    /// Whether a slot holds a template.
    pub fn is_filled(&self, slot: u16) -> bool {
        self.filled.get(usize::from(slot / 8)).is_some_and(|byte| byte >> (slot % 8) & 1 == 1)
    }

    /// Slots below this were written at some time.
    pub fn used(&self) -> u16 {
        self.used
    }

    /// Templates in the block.
    pub fn filled_count(&self) -> u32 {
        self.filled.iter().map(|byte| byte.count_ones()).sum()
    }

    pub(crate) fn set_filled(&mut self, slot: u16, filled: bool) {
        let byte = &mut self.filled[usize::from(slot / 8)];
        let bit = 1 << (slot % 8);
        if filled { *byte |= bit } else { *byte &= !bit }
    }

    /// `version 1 || entries u32 || entries digest 32 || used u16 || filled bitmap || hint 10496 || check vector d * u64`, sealed
    /// for its block and version.
    pub(crate) fn seal(&self, gallery: &Gallery) -> Result<Vec<u8>, Error> {
        let bytes = 39 + self.filled.len() + PACKED_POLY_BYTES + 8 * self.check.len();
        let mut plain = Zeroizing::new(Vec::with_capacity(bytes));
        plain.push(1);
        plain.extend_from_slice(&self.entries.to_le_bytes());
        plain.extend_from_slice(&self.entries_digest);
        plain.extend_from_slice(&self.used.to_le_bytes());
        plain.extend_from_slice(&self.filled);
        let start = plain.len();
        plain.resize(start + PACKED_POLY_BYTES, 0);
        pack::pack(self.hint.as_slice(), &mut plain[start..]);
        self.check.iter().for_each(|v| plain.extend_from_slice(&v.to_le_bytes()));
        let place: [&[u8]; 3] = [gallery.context(), &self.block.0, &self.version.to_le_bytes()];
        sealed::seal(&gallery.keys.record, LABEL, &place, &plain)
    }

    /// Opens a record that is said to be of this block and version.
    ///
    /// # Errors
    /// [`Error::Sealed`] if this key did not seal it for exactly that.
    pub fn open(gallery: &Gallery, block: BlockId, version: u64, sealed: &[u8]) -> Result<Self, Error> {
        let place: [&[u8]; 3] = [gallery.context(), &block.0, &version.to_le_bytes()];
        let plain = sealed::open(&gallery.keys.record, OBJECT, LABEL, &place, sealed)?;
        let mut reader = Reader::new(OBJECT, 1, &plain)?;
        let entries = reader.u32()?;
        let entries_digest = reader.array()?;
        let used = u16::from_le_bytes(reader.array()?);
        let filled = reader.bytes(gallery.layout().slots().div_ceil(8))?.to_vec();
        let mut hint = Poly::zero();
        pack::unpack(reader.bytes(PACKED_POLY_BYTES)?, &mut hint)
            .map_err(|_| Error::SealedVersion { object: OBJECT })?;
        // At its full size at once: growing would leave parts of it behind that nobody wipes.
        let mut check = Vec::with_capacity(gallery.layout().dimension());
        for _ in 0..gallery.layout().dimension() {
            check.push(reader.u64()?);
        }
        reader.end()?;
        Ok(Self { block, version, entries, entries_digest, used, filled, hint, check })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // With few templates in a block the check vector says as much as they do.
        self.check.zeroize();
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("block", &self.block)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

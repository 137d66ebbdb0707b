//! The public masks of a gallery and the context that every derivation from the tenant key binds.

use crate::Error;
use crate::ids::{GalleryId, KeyId};
use crate::layout::Layout;
use crate::params::ParameterSet;
use crate::segment::read_polynomials;
use sha3::{Digest, Sha3_256};
use std::ops::Range;
use tyto_kernels::keccak::{LANES, RATE_BYTES, Squeezer};
use tyto_kernels::{
    N, NttPoly, PACKED_POLY_BYTES, PackedPolys, Poly, Q, Q_BITS, detect, forward, in_parallel, inverse_swap,
    pack, split,
};

/// Version of all derivations from the tenant key and of the masks.
pub const DERIVATION_VERSION: u8 = 1;
/// Bytes of a derivation context.
pub const CONTEXT_BYTES: usize = 1 + 2 + 32 + 2 + 2 + 16;

/// What is public about a gallery: fixed at creation, bound by every derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GalleryParameters {
    /// The gallery.
    pub gallery: GalleryId,
    /// Dimension, stride and reply width.
    pub layout: Layout,
    /// Raised when a gallery gets new masks.
    pub mask_epoch: u32,
    /// The tenant key that the gallery's objects are made under.
    pub key: KeyId,
}

/// The seed of a gallery's masks; public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskSeed(pub [u8; 32]);

impl GalleryParameters {
    /// Parses the fields of a message.
    pub fn new(
        gallery: GalleryId,
        parameter_set: u32,
        dimension: u32,
        stride: u32,
        mask_epoch: u32,
        key: KeyId,
    ) -> Result<Self, Error> {
        let layout = Layout::new(ParameterSet::from_id(parameter_set)?, dimension, stride)?;
        Ok(Self { gallery, layout, mask_epoch, key })
    }

    /// `SHA3-256("tyto/v1/mask-seed" || set || key id || gallery || epoch || dimension || stride)`: one
    /// precomputation never serves two galleries.
    pub fn mask_seed(&self) -> MaskSeed {
        let hash = Sha3_256::new()
            .chain_update(b"tyto/v1/mask-seed")
            .chain_update(self.layout.parameter_set().id().to_le_bytes())
            .chain_update(self.key.0)
            .chain_update(self.gallery.0)
            .chain_update(self.mask_epoch.to_le_bytes())
            .chain_update((self.layout.dimension() as u16).to_le_bytes())
            .chain_update((self.layout.stride() as u16).to_le_bytes());
        MaskSeed(hash.finalize().into())
    }

    /// The bytes that every derivation from the tenant key begins with: derivation version, parameter set, mask
    /// seed, dimension, stride, gallery.
    pub fn context(&self) -> [u8; CONTEXT_BYTES] {
        let mut context = [0; CONTEXT_BYTES];
        context[0] = DERIVATION_VERSION;
        context[1..3].copy_from_slice(&self.layout.parameter_set().id().to_le_bytes());
        context[3..35].copy_from_slice(&self.mask_seed().0);
        context[35..37].copy_from_slice(&(self.layout.dimension() as u16).to_le_bytes());
        context[37..39].copy_from_slice(&(self.layout.stride() as u16).to_le_bytes());
        context[39..55].copy_from_slice(&self.gallery.0);
        context
    }
}

/// Which of the two mask families a polynomial belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Family {
    /// `a_c`, shared by the blocks of the gallery.
    Gallery = 0,
    /// `A_c`, shared by the queries to it.
    Query = 1,
}

/// Blocks of SHAKE-256 that are squeezed at a time: whole candidates.
const BLOCKS: usize = 3;
/// Bytes of a candidate.
const CANDIDATE_BYTES: usize = 6;

const _: () = assert!((BLOCKS * RATE_BYTES).is_multiple_of(CANDIDATE_BYTES));

/// Expands mask polynomials, each for itself: SHAKE-256 of `seed || family || chunk (u16)`, 6 bytes little-endian per
/// candidate, the top 7 bits cleared, candidates not below q rejected.
///
/// Eight that follow each other are expanded together.
pub fn expand(seed: &MaskSeed, family: Family, chunks: Range<u16>) -> Vec<Poly> {
    let family = [family as u8];
    let chunks: Vec<[u8; 2]> = chunks.map(u16::to_le_bytes).collect();
    let mut polys = Vec::with_capacity(chunks.len());
    for chunks in chunks.chunks(LANES) {
        let inputs: Vec<_> = chunks.iter().map(|chunk| [&seed.0[..], &family, chunk]).collect();
        let mut squeezer = Squeezer::shake256(detect(), &inputs);
        let mut blocks = vec![[[0; RATE_BYTES]; BLOCKS]; chunks.len()];
        let mut expanded: Vec<_> = chunks.iter().map(|_| (Poly::zero(), 0)).collect();
        while expanded.iter().any(|(_, filled)| *filled < N) {
            squeezer.next_blocks(&mut blocks);
            for ((poly, filled), blocks) in expanded.iter_mut().zip(&blocks) {
                keep_below_q(blocks.as_flattened(), poly, filled);
            }
        }
        polys.extend(expanded.into_iter().map(|(poly, _)| poly));
    }
    polys
}

/// Appends the candidates below q, until the polynomial is full.
fn keep_below_q(candidates: &[u8], poly: &mut Poly, filled: &mut usize) {
    let places = poly.as_mut_slice();
    let mut at = *filled;
    for candidate in candidates.as_chunks::<CANDIDATE_BYTES>().0 {
        let [a, b, c, d, e, f] = *candidate;
        let value = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]) & ((1 << Q_BITS) - 1);
        let Some(place) = places.get_mut(at) else { break };
        // A candidate that is rejected is overwritten by the next.
        *place = value;
        at += usize::from(value < Q);
    }
    *filled = at;
}

/// Both families of a gallery's masks, in NTT form.
pub struct Masks {
    /// `a_c`.
    pub gallery: PackedPolys,
    /// `A_c`.
    pub query: PackedPolys,
}

impl Masks {
    /// Expands all `2*C` mask polynomials of a gallery, on up to `threads` threads: some microseconds each.
    pub fn expand(parameters: &GalleryParameters, threads: usize) -> Self {
        let seed = parameters.mask_seed();
        let family = |family| {
            let part = |chunks: Range<usize>| {
                // Eight at a time: what was expanded is transformed while it lies in the cache.
                let end = chunks.end;
                let some = |first: usize| expand(&seed, family, first as u16..end.min(first + LANES) as u16);
                chunks.step_by(LANES).flat_map(some).map(|poly| forward(&poly)).collect::<Vec<_>>()
            };
            let parts: Vec<Vec<NttPoly>> = in_parallel(split(threads, parameters.layout.chunks(), 8), part);
            PackedPolys::new(parts.iter().flatten())
        };
        Self { gallery: family(Family::Gallery), query: family(Family::Query) }
    }
}

impl Masks {
    /// The packed coefficients of all `2*C` polynomials: the gallery's, then the queries'.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; (self.gallery.count() + self.query.count()) * PACKED_POLY_BYTES];
        let (mut ntt, mut poly) = (NttPoly::zero(), Poly::zero());
        let masks = [&self.gallery, &self.query].into_iter();
        let all = masks.flat_map(|masks| (0..masks.count()).map(move |chunk| (masks, chunk)));
        for ((masks, chunk), place) in all.zip(bytes.chunks_exact_mut(PACKED_POLY_BYTES)) {
            masks.read(chunk, &mut ntt);
            inverse_swap(&mut ntt, &mut poly);
            pack::pack(poly.as_slice(), place);
        }
        bytes
    }

    /// The masks that were written as `bytes`. Whether they are the gallery's is for the caller to know.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Coefficient`].
    pub fn from_bytes(layout: &Layout, bytes: &[u8]) -> Result<Self, Error> {
        let polynomials = read_polynomials("masks", bytes, 2 * layout.chunks())?;
        let transform = |polynomials: &[Poly]| {
            let transformed: Vec<_> = polynomials.iter().map(forward).collect();
            PackedPolys::new(&transformed)
        };
        let (gallery, query) = polynomials.split_at(layout.chunks());
        Ok(Self { gallery: transform(gallery), query: transform(query) })
    }
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masks").field("chunks", &self.gallery.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shake::Shake256;
    use shake::digest::{ExtendableOutput as _, Update as _, XofReader as _};

    fn parameters(epoch: u32) -> GalleryParameters {
        GalleryParameters::new(GalleryId([7; 16]), 1, 128, 1, epoch, KeyId([9; 16])).unwrap()
    }

    #[test]
    fn masks_differ_by_epoch_family_and_chunk_and_repeat_exactly() {
        let seed = parameters(0).mask_seed();
        let one = |seed, family, chunk| expand(seed, family, chunk..chunk + 1).remove(0);
        let first = one(&seed, Family::Gallery, 0);
        assert_eq!(first.as_slice(), one(&seed, Family::Gallery, 0).as_slice());
        assert_ne!(first.as_slice(), one(&seed, Family::Query, 0).as_slice());
        assert_ne!(first.as_slice(), one(&seed, Family::Gallery, 1).as_slice());
        assert_ne!(first.as_slice(), one(&parameters(1).mask_seed(), Family::Gallery, 0).as_slice());
        assert!(first.as_slice().iter().all(|&value| value < Q));
    }

    /// The definition, one polynomial at a time with the crate `shake`.
    fn defined(seed: &MaskSeed, family: Family, chunk: u16) -> Vec<u64> {
        let mut hash = Shake256::default();
        hash.update(&seed.0);
        hash.update(&[family as u8]);
        hash.update(&chunk.to_le_bytes());
        let mut reader = hash.finalize_xof();
        let candidates = std::iter::repeat_with(|| {
            let mut bytes = [0; 8];
            reader.read(&mut bytes[..6]);
            u64::from_le_bytes(bytes) % (1 << Q_BITS)
        });
        candidates.filter(|candidate| *candidate < Q).take(N).collect()
    }

    #[test]
    fn any_number_of_masks_is_what_the_definition_gives() {
        let seed = parameters(5).mask_seed();
        for chunks in [0..0, 0..1, 0..8, 1..10, 65_530..65_535] {
            let found = expand(&seed, Family::Query, chunks.clone());
            assert_eq!(found.len(), chunks.len());
            for (chunk, poly) in chunks.zip(found) {
                assert_eq!(poly.as_slice()[..], defined(&seed, Family::Query, chunk), "chunk {chunk}");
            }
        }
    }

    /// One in 33 million candidates is rejected; here they are made.
    #[test]
    fn candidates_not_below_q_are_rejected() {
        let mut poly = Poly::zero();
        let mut filled = N - 2;
        let candidates = [Q, 7, (1 << Q_BITS) - 1, (1 << 47) + Q - 1, 9].map(u64::to_le_bytes);
        let bytes: Vec<u8> = candidates.iter().flat_map(|bytes| &bytes[..6]).copied().collect();
        keep_below_q(&bytes, &mut poly, &mut filled);
        assert_eq!((filled, &poly.as_slice()[N - 3..]), (N, &[0, 7, Q - 1][..]));
    }

    #[test]
    fn written_masks_come_back() {
        let parameters = GalleryParameters::new(GalleryId([7; 16]), 1, 6, 2, 0, KeyId([9; 16])).unwrap();
        let bytes = Masks::expand(&parameters, 2).to_bytes();
        let seed = parameters.mask_seed();
        let first = expand(&seed, Family::Gallery, 0..1).remove(0);
        let mut packed = vec![0; PACKED_POLY_BYTES];
        pack::pack(first.as_slice(), &mut packed);
        assert_eq!(bytes[..PACKED_POLY_BYTES], packed);
        assert_eq!(Masks::from_bytes(&parameters.layout, &bytes).unwrap().to_bytes(), bytes);
        assert!(Masks::from_bytes(&parameters.layout, &bytes[1..]).is_err());
    }

    #[test]
    fn the_mean_of_a_mask_is_that_of_uniform_values() {
        let seed = parameters(3).mask_seed();
        let sum: f64 = expand(&seed, Family::Query, 0..64)
            .iter()
            .flat_map(|p| p.as_slice().to_vec())
            .map(|v| v as f64)
            .sum();
        let mean = sum / (64.0 * N as f64) / Q as f64;
        // 131,072 uniform values: the mean's deviation is 0.0008.
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
    }
}

//! Ring arithmetic, packing, the SIMD match kernels and Keccak of Tyto.
//!
//! Everything lives in `R_q = Z_q[X]/(X^N + 1)` with [`N`] = 2048 and [`Q`] = 2^41 - 2^16 + 1. A [`Poly`]
//! holds coefficients, an [`NttPoly`] holds values in the NTT domain; the two are separate types so that the
//! domains cannot be mixed. Only coefficients are ever stored or sent ([`pack`]): the NTT's root and order are
//! private to this crate.
//!
//! The match kernel multiplies a resident gallery block ([`PackedBlock`]) by a query ([`PackedQuery`]), both
//! in NTT form, and gives the same fully reduced result on every [`Backend`].
//!
//! [`keccak`] permutes eight states at once, for signatures, Merkle trees and masks; it has nothing to do with the ring.
//!
//! # Security
//!
//! Arithmetic on coefficients has no branch and no memory access that depends on their values, so secrets may
//! pass through it. Sizes, indices, strides and exponents are public.

mod aligned;
mod backend;
mod coefficient;
mod decode;
mod error;
pub mod keccak;
mod masks;
mod matching;
pub mod modq;
mod ntt;
mod order;
pub mod pack;
mod packed;
mod poly;
mod portable;
mod reply;
pub mod sampling;
mod slab;
mod spread;
mod wiped;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(test)]
mod battery;
#[cfg(test)]
mod keccak_battery;
#[cfg(test)]
mod samplers_battery;

pub use backend::{Backend, detect, supported};
pub use coefficient::StridedProduct;
pub use decode::Decoder;
pub use error::Error;
pub use masks::{PackedPolys, weigh_and_hide};
pub use matching::{MATCH_BATCH, MAX_PROBES, match_blocks, plain_sum};
pub use ntt::{forward, forward_into, forward_packed, forward_swap, inverse, inverse_into, inverse_swap};
pub use packed::{MAX_POLYNOMIALS, PackedBlock, PackedQuery};
pub use poly::{NttPoly, Poly};
pub use reply::{round_coefficient, round_reply};
pub use spread::{in_parallel, split};
pub use wiped::Wiped;

/// Number of coefficients of a polynomial, the degree of `X^N + 1`.
pub const N: usize = 2048;
/// The prime modulus, `2^41 - 2^16 + 1`, congruent to 1 modulo `2^16`.
pub const Q: u64 = (1 << 41) - (1 << 16) + 1;
/// Bits of one coefficient in packed form.
pub const Q_BITS: u32 = 41;
/// Bytes of one packed polynomial, `N * 41 / 8`.
pub const PACKED_POLY_BYTES: usize = 10_496;

/// Coefficients that one SIMD register holds and that pack into whole bytes.
const LANES: usize = 8;
/// Groups of [`LANES`] coefficients in a polynomial.
const GROUPS: usize = N / LANES;
/// Bytes of one packed group, `8 * 41 / 8`.
const GROUP_BYTES: usize = 41;

const _: () =
    assert!(PACKED_POLY_BYTES == GROUPS * GROUP_BYTES && GROUP_BYTES * 8 == LANES * Q_BITS as usize);

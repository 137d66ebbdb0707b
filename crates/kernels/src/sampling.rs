//! Samplers of secrets: from pseudo-random bytes to coefficients, the same on every backend.
//!
//! # Security
//!
//! No branch and no address depends on a value that is kept. Where candidates are rejected, how many were rejected
//! and where shows in time and addresses: that tells nothing of the others.

use crate::backend::{Kernel, with_kernel};
use crate::{N, Poly, Q, detect, modq};

/// Bytes of pseudo-randomness per error.
const ERROR_BYTES: usize = 6;
/// Bytes of pseudo-randomness for the errors of one polynomial.
pub const POLY_ERROR_BYTES: usize = N * ERROR_BYTES;
/// Largest centred binomial parameter: both its fields fit into the bytes of an error.
const MAX_ETA: u32 = 24;
/// Largest plaintext modulus: a scaled error and a plaintext value stay far below `Q`.
const MAX_T: u16 = 1 << 15;

/// What errors and plaintext values are drawn by.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Centred binomial parameter, at most 24.
    pub eta: u32,
    /// Plaintext modulus, odd and below `2^15`.
    pub t: u16,
}

impl Noise {
    /// Of a polynomial's errors and plaintext values: `t * e_i + centre(values_i)`.
    ///
    /// An error is drawn from 6 bytes, little-endian: the number of ones in bits 0 to `eta - 1` less the number of
    /// ones in bits `eta` to `2 eta - 1`. `values` are residues modulo `t`, of which the centred representatives are
    /// added; none are added without them.
    ///
    /// # Panics
    ///
    /// If `eta` or `t` is too large.
    pub fn draw(self, bytes: &[u8; POLY_ERROR_BYTES], values: Option<&[u16; N]>, out: &mut Poly) {
        assert!((1..=MAX_ETA).contains(&self.eta), "a binomial parameter of {}", self.eta);
        assert!(self.t % 2 == 1 && self.t < MAX_T, "a plaintext modulus of {}", self.t);
        with_kernel!(detect(), kernel => kernel.draw_noise(self, bytes, values, out.as_mut_slice()));
    }

    /// Of 42 bits the upper 21, for `eta` = 21.
    pub(crate) const fn upper(self) -> u64 {
        ((1 << self.eta) - 1) << self.eta
    }

    /// Of 42 bits all, for `eta` = 21.
    pub(crate) const fn fields(self) -> u64 {
        (1 << (2 * self.eta)) - 1
    }

    /// What is added to `t` times the ones of both fields, the upper one inverted: `-t * eta`, positive modulo `Q`.
    pub(crate) const fn base(self) -> u64 {
        Q - self.t as u64 * self.eta as u64
    }
}

/// Keeps candidates (2 bytes, little-endian, and with `mask`) that are below `bound`, in order, until `out` is full.
/// Returns how many were kept.
pub fn keep_below(candidates: &[u8], mask: u16, bound: u16, out: &mut [u16]) -> usize {
    with_kernel!(detect(), kernel => kernel.keep_below(candidates, mask, bound, out))
}

/// Keeps ternary candidates (2 bits each, from the low end of every byte, 3 rejected), less one and modulo [`Q`], as
/// the coefficients of `out` from `kept` on, until it is full. Returns how many coefficients it has then.
///
/// # Panics
///
/// If `kept` is more than `N`.
pub fn keep_ternary(candidates: &[u8], out: &mut Poly, kept: usize) -> usize {
    let places = &mut out.as_mut_slice()[kept..];
    kept + with_kernel!(detect(), kernel => kernel.keep_ternary(candidates, places))
}

/// The meaning of [`Noise::draw`].
pub(crate) fn draw_noise(
    noise: Noise,
    bytes: &[u8; POLY_ERROR_BYTES],
    values: Option<&[u16; N]>,
    out: &mut [u64; N],
) {
    for (out, field) in out.iter_mut().zip(bytes.as_chunks::<ERROR_BYTES>().0) {
        let mut word = [0; 8];
        word[..ERROR_BYTES].copy_from_slice(field);
        // The ones of the upper field count negative: eta less its zeros.
        let ones = ((u64::from_le_bytes(word) & noise.fields()) ^ noise.upper()).count_ones();
        *out = modq::canonical(noise.base() + u64::from(noise.t) * u64::from(ones));
    }
    let Some(values) = values else { return };
    let (t, largest) = (u64::from(noise.t), u64::from(noise.t / 2));
    for (out, &value) in out.iter_mut().zip(values) {
        let value = u64::from(value);
        let above = largest.wrapping_sub(value) >> 63;
        let centred = value.wrapping_add(Q).wrapping_sub(t & above.wrapping_neg());
        *out = modq::add(*out, modq::canonical(centred));
    }
}

/// The meaning of [`keep_below`].
pub(crate) fn keep_below_portable(candidates: &[u8], mask: u16, bound: u16, out: &mut [u16]) -> usize {
    let mut kept = 0;
    for candidate in candidates.as_chunks::<2>().0 {
        let Some(place) = out.get_mut(kept) else { break };
        *place = u16::from_le_bytes(*candidate) & mask;
        kept += usize::from(*place < bound);
    }
    kept
}

/// The meaning of [`keep_ternary`].
pub(crate) fn keep_ternary_portable(candidates: &[u8], out: &mut [u64]) -> usize {
    let mut kept = 0;
    for candidate in candidates.iter().flat_map(|byte| [byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6]) {
        let Some(place) = out.get_mut(kept) else { break };
        *place = modq::canonical(u64::from(candidate) + (Q - 1));
        kept += usize::from(candidate < 3);
    }
    kept
}

//! From reply coefficients to scores.

use crate::backend::{Kernel, with_kernel};
use crate::reply::MAX_REPLY_BITS;
use crate::{Q, Q_BITS, detect, modq};

/// Bits of the plaintext modulus.
const T_BITS: u32 = 11;
/// Bits after the point of the fixed-point numbers below.
pub(crate) const FRACTION_BITS: u32 = Q_BITS - 1 - T_BITS;
/// A remainder modulo `t` is found by the product with `2^36 / t`.
pub(crate) const REMAINDER_BITS: u32 = 36;

/// How a reply coefficient `y` of `R` bits and the blind `z` below `Q` become a score:
///
/// `m = round( ( y / 2^R - (z * t^-1 mod Q) / Q ) * t )`, then `m * (-Q mod t)`, centred modulo `t`.
///
/// Computed in fixed point with 29 bits after the point, rounded down once: `m` is right unless the number to be
/// rounded is within `2^-28` of one half.
///
/// # Security
///
/// No branch and no address depends on blinds, scores or weights. Which slots are filled is no secret.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    pub(crate) bits: u32,
    pub(crate) t: u64,
    pub(crate) t_inv: u64,
    /// `t * 2^(52 + FRACTION_BITS) / Q`, rounded to nearest: below `2^52`.
    pub(crate) scale: u64,
    /// `-Q mod t`.
    pub(crate) factor: u64,
    /// `2^REMAINDER_BITS / t`, rounded up.
    pub(crate) reciprocal: u64,
}

impl Decoder {
    /// For replies of `bits` bits and the plaintext modulus `t`.
    ///
    /// # Panics
    ///
    /// If `bits` is not within 1 to 16, or `t` not odd and of 11 bits.
    pub fn new(bits: u32, t: u16) -> Self {
        assert!((1..=MAX_REPLY_BITS).contains(&bits), "a reply of {bits} bits");
        assert!(t % 2 == 1 && t.ilog2() + 1 == T_BITS, "a plaintext modulus of {t}");
        let t = u64::from(t);
        let scale = ((u128::from(t) << (53 + FRACTION_BITS)) / u128::from(Q)).div_ceil(2) as u64;
        Self {
            bits,
            t,
            t_inv: modq::inv(t),
            scale,
            factor: t - Q % t,
            reciprocal: (1_u64 << REMAINDER_BITS).div_ceil(t),
        }
    }

    /// The score of one coefficient.
    #[inline]
    pub fn score(&self, blind: u64, reply: u16) -> i16 {
        let blind = modq::mul(blind, self.t_inv);
        let subtracted = ((u128::from(blind) * u128::from(self.scale)) >> 52) as i64;
        let top = (u64::from(reply) * self.t) << (FRACTION_BITS - self.bits);
        let half = 1 << (FRACTION_BITS - 1);
        let m = (top as i64).wrapping_sub(subtracted).wrapping_add(half) >> FRACTION_BITS;
        // Between 0 and 2 t, then below 2^23.
        let product = (m as u64).wrapping_add(self.t).wrapping_mul(self.factor);
        let quotient = product.wrapping_mul(self.reciprocal) >> REMAINDER_BITS;
        let score = product.wrapping_sub(quotient.wrapping_mul(self.t));
        let above = (self.t / 2).wrapping_sub(score) >> 63;
        score.wrapping_sub(self.t & above.wrapping_neg()) as i16
    }

    /// The scores of filled slots, zero for the others, and their sum with weights below `2^61`.
    ///
    /// `filled` has a bit per slot, from the low end of every byte.
    ///
    /// # Panics
    ///
    /// If there are not as many blinds, replies, weights and scores, or fewer bits.
    pub fn scores(
        &self,
        blinds: &[u64],
        replies: &[u16],
        filled: &[u8],
        weights: &[u64],
        scores: &mut [i16],
    ) -> i128 {
        let slots = scores.len();
        assert!(
            [blinds.len(), replies.len(), weights.len()] == [slots; 3] && 8 * filled.len() >= slots,
            "one of everything for each of {slots} slots"
        );
        with_kernel!(detect(), kernel => kernel.scores(*self, blinds, replies, filled, weights, scores))
    }
}

/// The meaning of [`Decoder::scores`].
pub(crate) fn scores_portable(
    decoder: Decoder,
    blinds: &[u64],
    replies: &[u16],
    filled: &[u8],
    weights: &[u64],
    scores: &mut [i16],
) -> i128 {
    let mut sum = 0;
    let coefficients = blinds.iter().zip(replies).zip(weights);
    for (slot, (score, ((blind, reply), weight))) in scores.iter_mut().zip(coefficients).enumerate() {
        let is_filled = i16::from(filled[slot / 8] >> (slot % 8) & 1);
        *score = decoder.score(*blind, *reply) & -is_filled;
        sum += i128::from(*score) * i128::from(*weight);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Rng;
    use crate::{Backend, N, supported};

    const T: u16 = 2039;

    /// The definition, in wide integers; and how far the number that is rounded is from a half.
    fn expected(bits: u32, blind: u64, reply: u16) -> (i16, f64) {
        let (q, t) = (i128::from(Q), i128::from(T));
        let scaled = i128::from(modq::mul(blind, modq::inv(2039)));
        let (numerator, denominator) = (((i128::from(reply) * q) - (scaled << bits)) * t, q << bits);
        let m = (2 * numerator + denominator).div_euclid(2 * denominator);
        let score = (m * (t - q % t)).rem_euclid(t);
        let rest = (numerator - m * denominator) as f64 / denominator as f64;
        ((if score > t / 2 { score - t } else { score }) as i16, 0.5 - rest.abs())
    }

    fn inputs(rng: &mut Rng, bits: u32, count: usize) -> (Vec<u64>, Vec<u16>) {
        let edges = [0, 1, Q - 1, Q / 2];
        let blind = |i: usize, rng: &mut Rng| edges.get(i % 16).copied().unwrap_or(rng.below_q());
        let blinds = (0..count).map(|i| blind(i, rng)).collect();
        let last = ((1_u32 << bits) - 1) as u16;
        let reply = |i: usize, rng: &mut Rng| match i % 5 {
            0 => 0,
            1 => last,
            _ => rng.below_q() as u16 & last,
        };
        (blinds, (0..count).map(|i| reply(i, rng)).collect())
    }

    #[test]
    fn scores_are_those_of_exact_fractions() {
        let mut rng = Rng(41);
        let mut compared = 0;
        for bits in [13, 14, 16] {
            let decoder = Decoder::new(bits, T);
            let (blinds, replies) = inputs(&mut rng, bits, 200_000);
            for (&blind, &reply) in blinds.iter().zip(&replies) {
                let (score, room) = expected(bits, blind, reply);
                if room > 1.0 / f64::from(1 << 28) {
                    assert_eq!(decoder.score(blind, reply), score, "{blind}, {reply} of {bits} bits");
                    compared += 1;
                }
            }
        }
        assert!(compared > 580_000);
    }

    /// Every value that the rounding can give, by way of the replies alone.
    #[test]
    fn every_multiple_is_centred() {
        let decoder = Decoder::new(16, T);
        let mut seen = vec![false; usize::from(T)];
        for reply in 0..=u16::MAX {
            let score = decoder.score(0, reply);
            assert!(score.unsigned_abs() <= T / 2);
            let (score_expected, room) = expected(16, 0, reply);
            assert!(score == score_expected || room < 1e-8);
            seen[(score + T as i16 / 2) as usize] = true;
        }
        assert!(seen.iter().all(|&seen| seen));
    }

    #[test]
    fn every_backend_decodes_and_weighs_alike() {
        let mut rng = Rng(42);
        for bits in [1, 14, 16] {
            let decoder = Decoder::new(bits, T);
            for slots in [0, 1, 7, 8, 9, 16, 100, N] {
                let (blinds, replies) = inputs(&mut rng, bits, slots);
                let weights: Vec<_> = (0..slots)
                    .map(|i| if i % 3 == 0 { (1 << 61) - 2 } else { rng.below_q() << 20 })
                    .collect();
                for all in [true, false] {
                    let filled: Vec<_> = (0..slots.div_ceil(8))
                        .map(|_| if all { 0xff } else { rng.below_q() as u8 })
                        .collect();
                    let run = |backend: Backend| {
                        let mut scores = vec![i16::MAX; slots];
                        let sum = with_kernel!(backend, kernel => kernel.scores(
                            decoder, &blinds, &replies, &filled, &weights, &mut scores,
                        ));
                        (scores, sum)
                    };
                    let (scores, sum) = run(Backend::Portable);
                    let products = scores.iter().zip(&weights);
                    assert_eq!(sum, products.map(|(&s, &w)| i128::from(s) * i128::from(w)).sum::<i128>());
                    for (slot, &score) in scores.iter().enumerate() {
                        let is_filled = filled[slot / 8] >> (slot % 8) & 1 == 1;
                        assert_eq!(
                            score,
                            if is_filled { decoder.score(blinds[slot], replies[slot]) } else { 0 }
                        );
                    }
                    for backend in supported() {
                        assert_eq!(run(backend), (scores.clone(), sum), "{backend}, {slots} slots");
                    }
                }
            }
        }
    }
}

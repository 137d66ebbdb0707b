//! Reply compression.

use crate::backend::{Kernel, with_kernel};
use crate::{N, Poly, Q, detect, modq};

/// Bits kept of a reply coefficient, at most.
pub(crate) const MAX_REPLY_BITS: u32 = 16;

/// Appends the top `bits` bits of `r_i * t_inv mod Q`, rounded to nearest modulo `2^bits`, for every
/// coefficient `i` that is a multiple of `stride`.
///
/// `t_inv` is the inverse of the plaintext modulus: multiplying by it moves the message to the top.
///
/// # Panics
///
/// If `bits` is not within 1 to 16, or `stride` not within 1 to `N`.
pub fn round_reply(r: &Poly, stride: usize, bits: u32, t_inv: u64, out: &mut Vec<u16>) {
    check(bits, t_inv);
    assert!((1..=N).contains(&stride), "a stride of {stride}");
    if stride > 1 {
        out.extend(r.as_slice().iter().step_by(stride).map(|&x| round(x, bits, t_inv)));
        return;
    }
    let start = out.len();
    out.resize(start + N, 0);
    let all = out[start..].first_chunk_mut().expect("there are N new elements");
    with_kernel!(detect(), kernel => kernel.round_reply(r.as_slice(), bits, t_inv, all));
}

/// [`round_reply`] for a single coefficient, below [`Q`].
///
/// # Panics
///
/// If `bits` is not within 1 to 16.
pub fn round_coefficient(x: u64, bits: u32, t_inv: u64) -> u16 {
    check(bits, t_inv);
    round(x, bits, t_inv)
}

fn check(bits: u32, t_inv: u64) {
    assert!((1..=MAX_REPLY_BITS).contains(&bits), "a reply of {bits} bits");
    assert!(t_inv < Q, "a factor below the modulus");
}

/// The reply for one coefficient.
pub(crate) fn round(x: u64, bits: u32, t_inv: u64) -> u16 {
    // Below 2^57 + 2^40.
    let scaled = (modq::mul(x, t_inv) << bits) + Q / 2;
    ((scaled / Q) & ((1 << bits) - 1)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 2039;

    /// The definition, in wide integers and by division.
    fn expected(x: u64, bits: u32, t_inv: u64) -> u16 {
        let q = u128::from(Q);
        let scaled = u128::from(x) * u128::from(t_inv) % q;
        ((((scaled << bits) + q / 2) / q) % (1 << bits)) as u16
    }

    /// From the executable model of the scheme: reply values at 1, 13, 14 and 16 bits.
    #[test]
    fn agrees_with_the_model() {
        let golden: [(u64, [u16; 4]); 6] = [
            (0, [0, 0, 0, 0]),
            (1, [0, 6352, 12704, 50815]),
            (2, [1, 4512, 9024, 36095]),
            (Q / 2, [1, 5016, 10032, 40128]),
            (Q - 1, [0, 1840, 3680, 14721]),
            (123_456_789_012, [1, 5842, 11684, 46735]),
        ];
        let mut r = Poly::zero();
        for (x, (value, _)) in r.as_mut_slice().iter_mut().zip(&golden) {
            *x = *value;
        }
        for (column, bits) in [1, 13, 14, 16].into_iter().enumerate() {
            let mut out = Vec::new();
            round_reply(&r, 1, bits, modq::inv(T), &mut out);
            assert_eq!(out.len(), N);
            for (found, (value, replies)) in out.iter().zip(golden) {
                assert_eq!(*found, replies[column], "{value} at {bits} bits");
            }
        }
    }

    #[test]
    fn rounds_every_width_and_wraps_to_zero() {
        let mut r = Poly::zero();
        for (i, x) in r.as_mut_slice().iter_mut().enumerate() {
            // Around the halfway points and just below Q, where rounding up gives 0.
            let at = Q / N as u64 * i as u64;
            *x = if i % 2 == 0 { at } else { Q - 1 - at / 1024 };
        }
        for bits in 1..=MAX_REPLY_BITS {
            for t_inv in [1, Q - 1, modq::inv(T)] {
                let mut out = Vec::new();
                round_reply(&r, 1, bits, t_inv, &mut out);
                for (found, &x) in out.iter().zip(r.as_slice()) {
                    assert_eq!(*found, expected(x, bits, t_inv), "{x} at {bits} bits");
                }
            }
        }
    }

    #[test]
    fn a_stride_takes_only_its_coefficients_and_appends() {
        let mut r = Poly::zero();
        for (i, x) in r.as_mut_slice().iter_mut().enumerate() {
            *x = Q / N as u64 * i as u64;
        }
        for stride in [1, 2, 128, 512, N] {
            let mut out = vec![9];
            round_reply(&r, stride, 16, 1, &mut out);
            assert_eq!((out[0], out.len()), (9, 1 + N / stride));
            for (n, found) in out[1..].iter().enumerate() {
                assert_eq!(*found, expected(r.as_slice()[n * stride], 16, 1));
            }
        }
    }
}

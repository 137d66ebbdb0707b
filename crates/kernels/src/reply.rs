//! Reply compression.

use crate::{N, Poly, Q, modq};

/// Bits kept of a reply coefficient, at most.
const MAX_REPLY_BITS: u32 = 16;

/// Appends the top `bits` bits of `r_i * t_inv mod Q`, rounded to nearest modulo `2^bits`, for every
/// coefficient `i` that is a multiple of `stride`.
///
/// `t_inv` is the inverse of the plaintext modulus: multiplying by it moves the message to the top.
///
/// # Panics
///
/// If `bits` is not within 1 to 16, or `stride` not within 1 to `N`.
pub fn round_reply(r: &Poly, stride: usize, bits: u32, t_inv: u64, out: &mut Vec<u16>) {
    assert!((1..=MAX_REPLY_BITS).contains(&bits), "a reply of {bits} bits");
    assert!((1..=N).contains(&stride), "a stride of {stride}");
    let mask = (1 << bits) - 1;
    out.extend(r.as_slice().iter().step_by(stride).map(|&x| {
        // Below 2^57 + 2^40.
        let scaled = (modq::mul(x, t_inv) << bits) + Q / 2;
        ((scaled / Q) & mask) as u16
    }));
}

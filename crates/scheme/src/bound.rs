//! The noise bound: how likely one honestly computed score is to decode wrong.
//!
//! # Proof
//!
//! A decrypted coefficient is `T = sum F*G` over `n = N*C` pairs, where `G = Y + t*e` comes from the gallery block
//! and `F = X + t*e'` from the query; it decodes to `score` when `|T - score|` stays inside the room that half a
//! step of q and the rounding of the reply leave.
//!
//! * Errors are centred binomial with parameter eta. A centred binomial is a sum of `2*eta` independent `+-1/2`
//!   signs, so it is sub-Gaussian with variance proxy `s2 = eta/2` (`cosh(x/2) <= exp(x^2/8)`).
//! * A written coordinate is `pad + centre(y - pad)`, that is `y + t*j` with the pad uniform in `Z_t`: it takes two
//!   values a distance t apart and its mean is zero. An unwritten coordinate is a uniform centred pad, mean zero,
//!   of range below t. Either is sub-Gaussian with proxy `t^2/4` (Hoeffding's lemma), so `G` is independent across
//!   coefficients with proxy `P = t^2 (s2 + 1/4)`.
//! * `F` has proxy `t^2 (s2 + 1/4)` at the `d` coefficients that a ticket pads and `V_0 = t^2 s2` elsewhere. A whole
//!   query has `F = x + t*e'` there, whose fixed part is below t/2 in each of them (the second query of a
//!   verification carries `rho * x mod t`, so the range invariant of x does not help it).
//! * Conditioned on F, `E exp(l T) <= exp(l^2 P sum F^2 / 2)`; for a sub-Gaussian `F` of proxy `V`,
//!   `E exp(a (x + F)^2) <= (1 - 2 a V)^(-1/2) exp(a x^2 / (1 - 2 a V))`. Hence
//!   `Pr(|T| >= tau) <= 2 exp(-l tau) M(l)` with, for a ticket,
//!   `M = (1 - l^2 P V_d)^(-d/2) (1 - l^2 P V_0)^(-(n-d)/2)` and, for a whole query,
//!   `M = (1 - l^2 P V_0)^(-n/2) exp(l^2 P d t^2 / 8 / (1 - l^2 P V_0))`, for every `l` that keeps the brackets
//!   positive. The larger M is taken, and the best `l` of a grid.
//!
//! Pads and errors come from a pseudo-random function; the bound holds up to its distinguishing advantage.

use crate::params::{ETA, NORM2_MAX, T};
use tyto_kernels::{N, Q};

/// The failure probability that a layout must stay under, per score.
pub const MAX_FAILURE_LOG2: f64 = -128.0;

/// The widths a reply coefficient may have, narrowest first, in bits.
pub const REPLY_BITS: [u8; 2] = [14, 16];

/// log2 of a bound on the probability that one honestly computed score decodes wrong.
///
/// `chunks` polynomials per block (C), `stride` coordinates in each (k), `reply_bits` kept of each coefficient.
pub fn failure_log2(chunks: usize, stride: usize, reply_bits: u8) -> f64 {
    let t = T as f64;
    let s2 = f64::from(ETA) / 2.0;
    let coefficients = (N * chunks) as f64;
    let padded = (chunks * stride) as f64;
    let room = (0.5 - 0.5 * t / f64::from(reply_bits).exp2()) * Q as f64 - f64::from(NORM2_MAX);
    let gallery = t * t * (s2 + 0.25);
    let (padded_query, bare_query) = (gallery, t * t * s2);
    let mut best = 0.0_f64;
    for step in 1..4000 {
        let x = f64::from(step) / 4000.0;
        let lambda2 = x * x / (gallery * padded_query);
        let (p, b) = (lambda2 * gallery * padded_query, lambda2 * gallery * bare_query);
        let bare = -(coefficients - padded) / 2.0 * (-b).ln_1p();
        let ticket = bare - padded / 2.0 * (-p).ln_1p();
        let whole = bare - padded / 2.0 * (-b).ln_1p() + lambda2 * gallery * padded * t * t / 8.0 / (1.0 - b);
        let log = std::f64::consts::LN_2 - lambda2.sqrt() * room + ticket.max(whole);
        best = best.min(log);
    }
    best / std::f64::consts::LN_2
}

/// Standard deviation that theory predicts for the decrypted noise, in units of q's coefficients: the dominant
/// term `t^2 * sigma^2 * sqrt(N*C)`.
pub fn noise_deviation(chunks: usize) -> f64 {
    let t = T as f64;
    t * t * f64::from(ETA) / 2.0 * ((N * chunks) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model script's figures (`exact41.py bound`), which grant the query's pads 30 deviations and treat the
    /// pads' mean square as fixed. The proof here does neither: it comes out up to 1.3 % weaker at small dimensions and
    /// as much stronger at large ones, where the grant costs more.
    #[test]
    fn the_bound_is_close_to_the_models() {
        let model = [
            (64, 1, 14, -2610.0),
            (128, 1, 14, -1316.0),
            (128, 128, 14, -26604.0),
            (256, 1, 14, -658.0),
            (512, 1, 14, -328.0),
            (512, 512, 14, -26532.0),
            (1024, 1, 14, -163.0),
            (1024, 1, 16, -200.0),
            (1536, 1, 14, -108.0),
            (1536, 1, 16, -132.0),
            (2048, 1, 16, -99.0),
        ];
        for (d, k, bits, want) in model {
            let got = failure_log2(d / k, k, bits);
            assert!((got / want - 1.0).abs() < 0.02, "d={d} k={k} r{bits}: {got} against {want}");
        }
    }

    #[test]
    fn a_narrower_reply_or_more_chunks_is_never_safer() {
        assert!(failure_log2(1024, 1, 13) > failure_log2(1024, 1, 14));
        assert!(failure_log2(1024, 1, 14) > failure_log2(512, 1, 14));
    }
}

//! Which code runs: one folder per backend under one trait, chosen at run time.
//!
//! A backend's kernel is a token that only its own detection can make, so that holding one proves that the CPU
//! has the instructions. A new backend is a folder with such a token, a variant of [`Backend`] and
//! an arm of `with_kernel!`.

use std::fmt;
use std::sync::OnceLock;

use crate::aligned::Lanes;
use crate::decode::{self, Decoder};
use crate::keccak::{States, Words};
use crate::sampling::{self, Noise, POLY_ERROR_BYTES};
use crate::{LANES, N, PACKED_POLY_BYTES, masks, modq, pack};

#[cfg(target_arch = "x86_64")]
use crate::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use crate::avx512::Avx512;

/// A set of kernels for one family of CPUs. All give identical results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Plain Rust, for any CPU.
    Portable,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL, VBMI and IFMA.
    Avx512Ifma,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512Ifma => "avx512ifma",
        })
    }
}

impl Backend {
    /// Whether this CPU can run it.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Ifma => Avx512::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512Ifma => false,
        }
    }
}

/// The environment variable that forces a backend by its name, for tests and benches only.
const FORCED: &str = "TYTO_BACKEND";

/// The backend in use: the best one for this CPU, detected once, or the one that the environment variable
/// `TYTO_BACKEND` names. That variable is for tests and benches; it leaves the number-theoretic transform alone, whose
/// crate picks its own code.
///
/// # Panics
///
/// If `TYTO_BACKEND` names no backend, or one that this CPU cannot run.
pub fn detect() -> Backend {
    static IN_USE: OnceLock<Backend> = OnceLock::new();
    *IN_USE.get_or_init(|| {
        let supported = supported();
        let Some(forced) = std::env::var_os(FORCED) else {
            return *supported.last().expect("the portable backend runs everywhere");
        };
        let named = supported.iter().find(|backend| forced.to_str() == Some(&backend.to_string()));
        *named.unwrap_or_else(|| {
            panic!("{FORCED} is \"{}\", but this CPU can run {supported:?}", forced.display())
        })
    })
}

/// The backends that this CPU can run, the best one last.
pub fn supported() -> Vec<Backend> {
    let all = [Backend::Portable, Backend::Avx2, Backend::Avx512Ifma];
    all.into_iter().filter(|backend| backend.is_supported()).collect()
}

/// The operations that a backend provides. All operands are below `Q`, and so are all results.
pub(crate) trait Kernel: Copy {
    /// Adds to `sums`, for one group of eight of every block and query, the sum over `c` of packed value times query
    /// value.
    ///
    /// `blocks` hold the 41 bytes of each polynomial one after the other, followed by at least 23 more bytes;
    /// `queries` have one entry per polynomial, equally many and at most `MAX_POLYNOMIALS`; `ahead` says how many
    /// bytes further on each block may be prefetched.
    fn match_group<const B: usize, const P: usize>(
        self,
        blocks: [&[u8]; B],
        queries: [&[Lanes]; P],
        ahead: usize,
        sums: [[&mut [u64; LANES]; P]; B],
    );

    /// The wrapping sum of all words.
    fn sum(self, lines: &[Lanes]) -> u64;

    /// `a *= b`, pointwise.
    fn mul_assign(self, a: &mut [u64; N], b: &[u64; N]);

    /// `sum += a * b`, pointwise.
    fn mul_add_assign(self, sum: &mut [u64; N], a: &[u64; N], b: &[u64; N]);

    /// `sum += a * c`, pointwise.
    fn mul_scalar_add_assign(self, sum: &mut [u64; N], a: &[u64; N], c: u64);

    /// Reads a packed polynomial; whether every coefficient is below `Q`.
    fn unpack(self, bytes: &[u8; PACKED_POLY_BYTES], out: &mut [u64; N]) -> bool {
        pack::unpack_groups(bytes, out)
    }

    /// `a += b`.
    fn add_assign(self, a: &mut [u64; N], b: &[u64; N]) {
        for (a, b) in a.iter_mut().zip(b) {
            *a = modq::add(*a, *b);
        }
    }

    /// See [`masks::weigh_and_hide`].
    fn weigh_and_hide(
        self,
        weights: &[u8],
        sum: &mut [u64; N],
        masks: &[u8],
        secret: &[u64; N],
        message: &mut [u64; N],
    ) {
        masks::weigh_and_hide_portable(weights, sum, masks, secret, message);
    }

    /// See [`pack::pack`].
    fn pack(self, poly: &[u64; N], out: &mut [u8; PACKED_POLY_BYTES]) {
        pack::pack_groups(poly, out);
    }

    /// `out = a * b + c * d`, pointwise.
    fn sum_of_products(self, out: &mut [u64; N], [a, b, c, d]: [&[u64; N]; 4]) {
        out.copy_from_slice(a);
        self.mul_assign(out, b);
        self.mul_add_assign(out, c, d);
    }

    /// See [`Decoder::scores`].
    fn scores(
        self,
        decoder: Decoder,
        blinds: &[u64],
        replies: &[u16],
        filled: &[u8],
        weights: &[u64],
        scores: &mut [i16],
    ) -> i128 {
        decode::scores_portable(decoder, blinds, replies, filled, weights, scores)
    }

    /// See [`Noise::draw`].
    fn draw_noise(
        self,
        noise: Noise,
        bytes: &[u8; POLY_ERROR_BYTES],
        values: Option<&[u16; N]>,
        out: &mut [u64; N],
    ) {
        sampling::draw_noise(noise, bytes, values, out);
    }

    /// See [`sampling::keep_below`].
    fn keep_below(self, candidates: &[u8], mask: u16, bound: u16, out: &mut [u16]) -> usize {
        sampling::keep_below_portable(candidates, mask, bound, out)
    }

    /// See [`sampling::keep_ternary`].
    fn keep_ternary(self, candidates: &[u8], out: &mut [u64]) -> usize {
        sampling::keep_ternary_portable(candidates, out)
    }

    /// See [`States::permute`].
    fn permute_states(self, states: &mut States, lanes: usize);

    /// See [`crate::keccak::chain`].
    fn chain<const W: usize>(self, block: &States, lanes: usize, values: &mut [[Words; W]]);

    /// `reply::round` for every coefficient, with `bits` at most `MAX_REPLY_BITS`.
    fn round_reply(self, r: &[u64; N], bits: u32, t_inv: u64, out: &mut [u16; N]);
}

/// Evaluates an expression with the kernel of a backend.
///
/// # Panics
///
/// If the CPU lacks the backend's instructions.
macro_rules! with_kernel {
    ($backend:expr, $kernel:ident => $body:expr) => {
        match $backend {
            $crate::Backend::Portable => {
                let $kernel = $crate::portable::Portable;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Backend::Avx2 => {
                let $kernel = $crate::avx2::Avx2::detect()
                    .expect("the backend avx2 was asked for on a CPU without its instructions");
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Backend::Avx512Ifma => {
                let $kernel = $crate::avx512::Avx512::detect()
                    .expect("the backend avx512ifma was asked for on a CPU without its instructions");
                $body
            }
            #[cfg(not(target_arch = "x86_64"))]
            other => panic!("the backend {other} was asked for on another architecture"),
        }
    };
}
pub(crate) use with_kernel;

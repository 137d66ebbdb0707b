//! Samplers: identical bytes give identical values on every CPU. All read a stream from its front and as far as they
//! need; rejection depends on rejected values only, so timing tells nothing of those that are kept.

use tyto_kernels::sampling::{Noise, POLY_ERROR_BYTES, keep_below, keep_ternary};
use tyto_kernels::{N, Poly, Wiped};
use tyto_pqc::stream::{BLOCK_BYTES, KeyStream};
use tyto_scheme::params::{ETA, T};
use zeroize::Zeroizing;

/// Modulus of the check vector: `2^61 - 1`.
pub(crate) const P: u64 = (1 << 61) - 1;

/// Errors and pads of the parameter set.
pub(crate) const NOISE: Noise = Noise { eta: ETA, t: T as u16 };

/// Bits of a candidate modulo t.
const T_MASK: u16 = (1 << 11) - 1;
/// What is read at a time where the first reading did not suffice, and by how much that exceeds what is needed on
/// average.
const MORE_BYTES: usize = 64;

/// Bytes of secret streams on their way to values; used again for one polynomial after the other, and wiped.
pub(crate) struct Scratch(Wiped<u8>);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(Wiped::zeros(POLY_ERROR_BYTES))
    }

    /// The next bytes of a stream.
    fn read(&mut self, stream: &mut KeyStream, bytes: usize) -> &[u8] {
        let part = &mut self.0[..bytes];
        stream.read(part);
        part
    }

    /// `t * e`, plus pads (in `[0, t)`, centred) where there are some. Centred binomial errors: 6 bytes per
    /// coefficient, little-endian; the difference of the number of ones in bits 0 to 20 and in bits 21 to 41.
    pub(crate) fn noise(&mut self, mut stream: KeyStream, pads: Option<&[u16; N]>, out: &mut Poly) {
        let bytes = self.read(&mut stream, POLY_ERROR_BYTES);
        NOISE.draw(bytes.first_chunk().expect("as many as were read"), pads, out);
    }

    /// A uniform ternary polynomial: two bits per candidate from the low end of each byte, 3 rejected, value minus
    /// one.
    pub(crate) fn ternary(&mut self, mut stream: KeyStream) -> Zeroizing<Poly> {
        let mut poly = Zeroizing::new(Poly::zero());
        // Three of four candidates are kept; this many bytes suffice 997 times of 1000.
        let mut kept = keep_ternary(self.read(&mut stream, 704), &mut poly, 0);
        while kept < N {
            kept = keep_ternary(self.read(&mut stream, MORE_BYTES), &mut poly, kept);
        }
        poly
    }

    /// Uniform values modulo t: 2 bytes per candidate, top 5 bits cleared, values not below t rejected.
    pub(crate) fn pads(&mut self, mut stream: KeyStream, out: &mut [u16]) {
        let (mut kept, mut bytes) = (0, (2 * out.len()).next_multiple_of(MORE_BYTES) + MORE_BYTES);
        while kept < out.len() {
            let bytes_now = bytes.min(POLY_ERROR_BYTES);
            let candidates = self.read(&mut stream, bytes_now);
            kept += keep_below(candidates, T_MASK, T as u16, &mut out[kept..]);
            bytes = (bytes - bytes_now).max(MORE_BYTES);
        }
    }

    /// Uniform values modulo [`P`]: 8 bytes per candidate, top 3 bits cleared, P itself rejected.
    pub(crate) fn lambdas(&mut self, mut stream: KeyStream, count: usize) -> Wiped<u64> {
        let mut lambdas = Wiped::zeros(count);
        let mut kept = 0;
        while kept < count {
            let bytes = (8 * (count - kept)).next_multiple_of(BLOCK_BYTES).min(POLY_ERROR_BYTES);
            for candidate in self.read(&mut stream, bytes).as_chunks().0 {
                if let Some(place) = lambdas.get_mut(kept) {
                    *place = u64::from_le_bytes(*candidate) & P;
                    kept += usize::from(*place != P);
                }
            }
        }
        lambdas
    }
}

/// One uniform nonzero value modulo t, drawn like a pad.
pub(crate) fn rho(mut stream: KeyStream) -> u16 {
    loop {
        let mut candidates = Zeroizing::new([0; MORE_BYTES]);
        stream.read(&mut candidates[..]);
        let mut values =
            candidates.as_chunks().0.iter().map(|&candidate| u16::from_le_bytes(candidate) & T_MASK);
        if let Some(rho) = values.find(|&value| value > 0 && u64::from(value) < T) {
            return rho;
        }
    }
}

/// Reduces a value of at most 120 bits modulo [`P`], by folding: `2^61 = 1 mod P`. No division, whose time would
/// depend on the value.
pub(crate) fn reduce_p(value: i128) -> u64 {
    let fold = |v: i128| (v & i128::from(P)) + (v >> 61);
    // From 2^120 to 2^62, to 2^61 + 2, both signs; then one step into the range.
    let folded = fold(fold(value)) as i64;
    let folded = folded + (folded >> 63 & P as i64);
    let reduced = folded - P as i64;
    (reduced + (reduced >> 63 & P as i64)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use tyto_kernels::modq;

    fn stream(label: u8) -> KeyStream {
        KeyStream::new(&[label; 32])
    }

    #[test]
    fn ternary_values_are_uniform() {
        let mut counts = [0_u32; 3];
        for label in 0..50 {
            let poly = Scratch::new().ternary(stream(label));
            poly.as_slice().iter().for_each(|&v| counts[(modq::centre(v) + 1) as usize] += 1);
        }
        let mean = 50.0 * N as f64 / 3.0;
        // Five deviations of a count with mean 34,133 are 754.
        assert!(counts.iter().all(|&count| (f64::from(count) - mean).abs() < 754.0), "{counts:?}");
    }

    /// The value of AES-256-CTR under a key whose first 704 bytes are five values short, from another implementation.
    #[test]
    fn ternary_values_that_the_first_reading_does_not_give_are_the_next_of_the_stream() {
        let mut first = Poly::zero();
        assert_eq!(keep_ternary(Scratch::new().read(&mut stream(15), 704), &mut first, 0), 2043);
        let poly = Scratch::new().ternary(stream(15));
        let candidates: Vec<_> = poly.as_slice().iter().map(|&v| (modq::centre(v) + 1) as u8).collect();
        assert_eq!(candidates[N - 8..], [0, 0, 1, 0, 2, 2, 1, 2]);
        let digest = tyto_pqc::digest::sha3_256(&[&candidates]);
        let front = u128::from_be_bytes(*digest.first_chunk().unwrap());
        assert_eq!(front, 0xe24a_6778_cea4_3a22_51c3_c821_fef3_191b);
    }

    #[test]
    fn errors_have_the_variance_of_the_parameter_set_and_stay_in_range() {
        let (mut sum, mut squares) = (0_i64, 0_i64);
        let mut poly = Poly::zero();
        for label in 0..50 {
            Scratch::new().noise(stream(label), None, &mut poly);
            for &v in poly.as_slice() {
                let e = modq::centre(v);
                assert_eq!(e % T as i64, 0);
                let e = e / T as i64;
                assert!(e.unsigned_abs() <= u64::from(ETA));
                sum += e;
                squares += e * e;
            }
        }
        let n = 50.0 * N as f64;
        assert!((sum as f64 / n).abs() < 0.06);
        assert!((squares as f64 / n / 10.5 - 1.0).abs() < 0.025);
    }

    #[test]
    fn folding_agrees_with_division() {
        let p = i128::from(P);
        let edges = [
            0,
            1,
            p - 1,
            p,
            p + 1,
            2 * p,
            p << 50,
            1 << 61,
            1 << 62,
            1 << 119,
            (1 << 119) - 1,
            12345 * p + 6,
        ];
        for value in edges.into_iter().flat_map(|v| [v, -v, v + 7, -v - 7]) {
            assert_eq!(i128::from(reduce_p(value)), value.rem_euclid(p), "{value}");
        }
    }

    #[test]
    fn pads_and_lambdas_are_below_their_moduli_and_cover_the_range() {
        let mut pads = vec![u16::MAX; 40_000];
        Scratch::new().pads(stream(1), &mut pads);
        assert!(pads.iter().all(|&v| u64::from(v) < T));
        assert!((0..T as u16).all(|v| pads.contains(&v)));
        let lambdas = Scratch::new().lambdas(stream(2), 4000);
        assert!(
            lambdas.len() == 4000 && lambdas.iter().all(|&v| v < P) && lambdas.iter().any(|&v| v > P / 2)
        );
        assert!((0..=255).map(|label| rho(stream(label))).all(|v| v > 0 && u64::from(v) < T));
    }

    /// How much is read at a time must not show: short counts are the front of long ones.
    #[test]
    fn values_do_not_depend_on_how_many_are_drawn() {
        let mut long = vec![0; 9000];
        Scratch::new().pads(stream(3), &mut long);
        for count in [1, 2, 31, 32, 33, 2048] {
            let mut pads = vec![0; count];
            Scratch::new().pads(stream(3), &mut pads);
            assert_eq!(pads, long[..count]);
        }
        let lambdas = Scratch::new().lambdas(stream(4), 2048);
        for count in [1, 2, 7, 1536, 1537] {
            assert_eq!(*Scratch::new().lambdas(stream(4), count), lambdas[..count]);
        }
    }
}

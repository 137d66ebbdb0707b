//! Samplers: identical bytes give identical values on every CPU. All read a KMACXOF256 stream; rejection depends on
//! rejected values only, so timing tells nothing of those that are kept.

use tyto_kernels::{N, Poly, modq};
use tyto_pqc::kmac::XofReader;
use tyto_scheme::params::{ETA, T};
use zeroize::Zeroizing;

/// Modulus of the check vector: `2^61 - 1`.
pub(crate) const P: u64 = (1 << 61) - 1;

/// Reads candidates of `L` bytes, little-endian, and keeps what `accept` maps to a value, until `count` are kept.
fn sample<const L: usize, V>(
    mut reader: XofReader,
    count: usize,
    mut accept: impl FnMut(u64) -> Option<V>,
    mut keep: impl FnMut(usize, V),
) {
    let mut buffer = Zeroizing::new([0; 136 * 6]);
    let mut kept = 0;
    while kept < count {
        reader.read(&mut buffer[..]);
        for candidate in buffer.chunks_exact(L) {
            let mut bytes = [0; 8];
            bytes[..L].copy_from_slice(candidate);
            if kept < count
                && let Some(value) = accept(u64::from_le_bytes(bytes))
            {
                keep(kept, value);
                kept += 1;
            }
        }
    }
}

/// A uniform ternary polynomial: two bits per candidate from the low end of each byte, 3 rejected, value minus one.
pub(crate) fn ternary(mut reader: XofReader) -> Zeroizing<Poly> {
    let mut poly = Zeroizing::new(Poly::zero());
    let mut buffer = Zeroizing::new([0; 136]);
    let mut kept = 0;
    while kept < N {
        reader.read(&mut buffer[..]);
        for candidate in buffer.iter().flat_map(|byte| [byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6]) {
            if candidate < 3 && kept < N {
                poly.as_mut_slice()[kept] = modq::from_i64(i64::from(candidate) - 1);
                kept += 1;
            }
        }
    }
    poly
}

/// Centred binomial errors times t: 6 bytes per coefficient, little-endian; the difference of the number of ones in
/// bits 0 to 20 and in bits 21 to 41.
pub(crate) fn scaled_errors(reader: XofReader) -> Zeroizing<Poly> {
    const MASK: u64 = (1 << ETA) - 1;
    let mut poly = Zeroizing::new(Poly::zero());
    let error = |bits: u64| {
        Some(i64::from((bits & MASK).count_ones()) - i64::from((bits >> ETA & MASK).count_ones()))
    };
    sample::<6, _>(reader, N, error, |i, e| poly.as_mut_slice()[i] = modq::from_i64(e * T as i64));
    poly
}

/// Uniform values modulo t: 2 bytes per candidate, top 5 bits cleared, values not below t rejected.
pub(crate) fn pads(reader: XofReader, count: usize) -> Zeroizing<Vec<u16>> {
    let mut pads = Zeroizing::new(vec![0; count]);
    sample::<2, _>(reader, count, |v| Some(v & 0x7ff).filter(|&v| v < T), |i, v| pads[i] = v as u16);
    pads
}

/// One uniform nonzero value modulo t.
pub(crate) fn rho(reader: XofReader) -> u16 {
    let mut rho = 0;
    sample::<2, _>(reader, 1, |v| Some(v & 0x7ff).filter(|&v| v > 0 && v < T), |_, v| rho = v as u16);
    rho
}

/// Uniform values modulo [`P`]: 8 bytes per candidate, top 3 bits cleared, P itself rejected.
pub(crate) fn lambdas(reader: XofReader, count: usize) -> Zeroizing<Vec<u64>> {
    let mut lambdas = Zeroizing::new(vec![0; count]);
    sample::<8, _>(reader, count, |v| Some(v & P).filter(|&v| v < P), |i, v| lambdas[i] = v);
    lambdas
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
    use tyto_pqc::kmac::Kmac256;

    fn reader(label: u8) -> XofReader {
        Kmac256::new(&[label; 32], b"sampler test").finalize_xof()
    }

    #[test]
    fn ternary_values_are_uniform() {
        let mut counts = [0_u32; 3];
        for label in 0..50 {
            ternary(reader(label))
                .as_slice()
                .iter()
                .for_each(|&v| counts[(modq::centre(v) + 1) as usize] += 1);
        }
        let mean = 50.0 * N as f64 / 3.0;
        // Five deviations of a count with mean 34,133 are 754.
        assert!(counts.iter().all(|&count| (f64::from(count) - mean).abs() < 754.0), "{counts:?}");
    }

    #[test]
    fn errors_have_the_variance_of_the_parameter_set_and_stay_in_range() {
        let (mut sum, mut squares) = (0_i64, 0_i64);
        for label in 0..50 {
            for &v in scaled_errors(reader(label)).as_slice() {
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
        let pads = pads(reader(1), 40_000);
        assert!(pads.iter().all(|&v| u64::from(v) < T));
        assert!((0..T as u16).all(|v| pads.contains(&v)));
        let lambdas = lambdas(reader(2), 4000);
        assert!(lambdas.iter().all(|&v| v < P) && lambdas.iter().any(|&v| v > P / 2));
        assert!((0..=255).map(|label| rho(reader(label))).all(|v| v > 0 && u64::from(v) < T));
    }
}

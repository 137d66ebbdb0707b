//! The client's kernels on every backend, against their definitions.

use crate::backend::{Kernel, with_kernel};
use crate::battery::Rng;
use crate::sampling::{Noise, POLY_ERROR_BYTES};
use crate::{N, NttPoly, PACKED_POLY_BYTES, Poly, Q, forward, forward_swap, inverse_swap, pack, supported};

fn bytes(rng: &mut Rng, count: usize) -> Vec<u8> {
    (0..count).map(|_| rng.below_q() as u8).collect()
}

/// Bit by bit: the ones of the first field less those of the second, times t, plus the centred value.
fn noise_by_bits(noise: Noise, bytes: &[u8], value: u16) -> u64 {
    let bit = |i: u32| i64::from(bytes[i as usize / 8] >> (i % 8) & 1);
    let error: i64 = (0..noise.eta).map(|i| bit(i) - bit(i + noise.eta)).sum();
    let (t, value) = (i64::from(noise.t), i64::from(value));
    let centred = if value > t / 2 { value - t } else { value };
    (t * error + centred).rem_euclid(Q as i64) as u64
}

#[test]
fn noise_is_drawn_as_defined() {
    let mut rng = Rng(21);
    for noise in [Noise { eta: 21, t: 2039 }, Noise { eta: 1, t: 3 }, Noise { eta: 24, t: 32_767 }] {
        let mut inputs = vec![vec![0; POLY_ERROR_BYTES], vec![0xff; POLY_ERROR_BYTES]];
        // All ones of one field, none of the other.
        let field = (1_u64 << noise.eta) - 1;
        for extreme in [field, field << noise.eta] {
            inputs.push((0..N).flat_map(|_| extreme.to_le_bytes()[..6].to_vec()).collect());
        }
        inputs.extend((0..4).map(|_| bytes(&mut rng, POLY_ERROR_BYTES)));
        for input in inputs {
            let mut values = [0; N];
            let edges = [0, 1, noise.t / 2, noise.t / 2 + 1, noise.t - 1];
            for (i, value) in values.iter_mut().enumerate() {
                *value = edges.get(i % 9).copied().unwrap_or((rng.below_q() % u64::from(noise.t)) as u16);
            }
            let input: &[u8; POLY_ERROR_BYTES] = input.as_slice().try_into().unwrap();
            for backend in supported() {
                for values in [None, Some(&values)] {
                    let mut out = [7; N];
                    with_kernel!(backend, kernel => kernel.draw_noise(noise, input, values, &mut out));
                    for (i, (&found, bytes)) in out.iter().zip(input.chunks(6)).enumerate() {
                        let value = values.map_or(0, |values| values[i]);
                        assert_eq!(found, noise_by_bits(noise, bytes, value), "{backend}, coefficient {i}");
                    }
                }
            }
        }
    }
}

#[test]
fn candidates_are_kept_as_defined() {
    let mut rng = Rng(22);
    // Hardly any rejected, half of them, nearly all; lengths around the sixteen at a time, and odd bytes.
    for (mask, bound) in [(0x7ff, 2039), (0x7ff, 1024), (0x7ff, 1), (0xffff, 0xffff), (0x7ff, 0)] {
        for length in [0, 1, 2, 30, 31, 32, 33, 64, 66, 100, 4160] {
            let candidates = bytes(&mut rng, length);
            let pairs = candidates.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]) & mask);
            let good: Vec<_> = pairs.filter(|&value| value < bound).collect();
            for room in [0, 1, 15, 16, 17, 31, 32, 33, 2048] {
                for backend in supported() {
                    let mut out = vec![0xaaaa; room];
                    let kept = with_kernel!(backend, kernel => kernel.keep_below(&candidates, mask, bound, &mut out));
                    assert_eq!(kept, good.len().min(room), "{backend}: {length} bytes, {room} places");
                    assert_eq!(out[..kept], good[..kept], "{backend}: {length} bytes, {room} places");
                }
            }
        }
    }
}

#[test]
fn ternary_candidates_are_kept_as_defined() {
    let mut rng = Rng(23);
    for length in [0, 1, 3, 4, 5, 8, 64, 704] {
        let candidates = bytes(&mut rng, length);
        let pairs = candidates.iter().flat_map(|byte| (0..4).map(move |i| byte >> (2 * i) & 3));
        let good: Vec<_> =
            pairs.filter(|&pair| pair < 3).map(|pair| [Q - 1, 0, 1][usize::from(pair)]).collect();
        for room in [0, 1, 15, 16, 17, 33, N] {
            for backend in supported() {
                let mut out = vec![7; room];
                let kept = with_kernel!(backend, kernel => kernel.keep_ternary(&candidates, &mut out));
                assert_eq!(kept, good.len().min(room), "{backend}: {length} bytes, {room} places");
                assert_eq!(out[..kept], good[..kept], "{backend}: {length} bytes, {room} places");
            }
        }
    }
}

#[test]
fn polynomials_are_packed_and_added_alike_everywhere() {
    let mut rng = Rng(24);
    for case in 0..8 {
        let (mut poly, other) = (rng.poly(), rng.poly());
        for (i, value) in poly.as_mut_slice().iter_mut().enumerate().filter(|(i, _)| i % 7 == case) {
            *value = [0, 1, Q - 1, Q / 2][i % 4];
        }
        let mut expected = [0; PACKED_POLY_BYTES];
        pack::pack_groups(poly.as_slice(), &mut expected);
        let sums: Vec<_> = poly.as_slice().iter().zip(other.as_slice()).map(|(a, b)| (a + b) % Q).collect();
        for backend in supported() {
            let mut packed = [0xaa; PACKED_POLY_BYTES];
            let mut sum = *poly.as_slice();
            with_kernel!(backend, kernel => {
                kernel.pack(poly.as_slice(), &mut packed);
                kernel.add_assign(&mut sum, other.as_slice());
            });
            assert_eq!(packed, expected, "{backend}");
            assert_eq!(sum.as_slice(), sums, "{backend}");
        }
    }
}

#[test]
fn two_products_are_summed_as_one_after_the_other() {
    let mut rng = Rng(26);
    let factors: [NttPoly; 4] = std::array::from_fn(|_| forward(&rng.poly()));
    let mut expected = NttPoly::zero();
    expected.mul_add_assign(&factors[0], &factors[1]);
    expected.mul_add_assign(&factors[2], &factors[3]);
    for backend in supported() {
        let mut out = NttPoly::constant(7);
        let values = factors.each_ref().map(NttPoly::values);
        with_kernel!(backend, kernel => kernel.sum_of_products(out.values_mut(), values));
        assert!(out == expected, "{backend}");
    }
}

#[test]
fn transforms_in_place_are_those_by_copy() {
    let mut rng = Rng(25);
    let (poly, mut a, mut b) = (rng.poly(), Poly::zero(), NttPoly::zero());
    a.as_mut_slice().copy_from_slice(poly.as_slice());
    forward_swap(&mut a, &mut b);
    assert!(b == forward(&poly));
    inverse_swap(&mut b, &mut a);
    assert!(a == poly);
}

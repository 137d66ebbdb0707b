//! The stored form of a polynomial: 41 bits per coefficient, little-endian.
//!
//! Coefficient `i` occupies bits `41 i` to `41 i + 40` of the bit string whose bit `n` is bit `n mod 8` of byte
//! `n / 8`. Eight coefficients fill 41 bytes; within them coefficient `j` begins at bit `j` of byte `5 j`.

use zeroize::Zeroize;

use crate::backend::{Kernel, with_kernel};
use crate::{Error, GROUP_BYTES, LANES, N, PACKED_POLY_BYTES, Poly, Q, Q_BITS, detect};

const MASK: u64 = (1 << Q_BITS) - 1;

/// Packs eight coefficients into 41 bytes.
#[inline]
pub(crate) fn pack_group(group: &[u64; LANES], out: &mut [u8; GROUP_BYTES]) {
    let mut words = [0u64; 6];
    for (j, &value) in group.iter().enumerate() {
        let (word, shift) = (j * Q_BITS as usize / 64, j as u32 * Q_BITS % 64);
        words[word] |= value << shift;
        // The part that passes the word; shifting twice keeps the amount below 64.
        words[word + 1] |= (value >> 1) >> (63 - shift);
    }
    let (whole, last) = out.split_at_mut(5 * 8);
    for (bytes, word) in whole.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    last[0] = words[5] as u8;
}

/// Reads eight coefficients, each below `2^41`, from 41 bytes.
#[inline]
pub(crate) fn unpack_group(bytes: &[u8; GROUP_BYTES]) -> [u64; LANES] {
    let mut words = [0u64; 6];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("a chunk of 8"));
    }
    words[5] = u64::from(bytes[GROUP_BYTES - 1]);
    std::array::from_fn(|j| {
        let (word, shift) = (j * Q_BITS as usize / 64, j as u32 * Q_BITS % 64);
        (words[word] >> shift | (words[word + 1] << 1) << (63 - shift)) & MASK
    })
}

/// Packs the coefficients of `poly`, each below [`Q`].
///
/// # Panics
///
/// If `out` is not [`PACKED_POLY_BYTES`] long.
pub fn pack(poly: &[u64; N], out: &mut [u8]) {
    let out = out.try_into().expect("the bytes of one packed polynomial");
    with_kernel!(detect(), kernel => kernel.pack(poly, out));
}

/// See `Kernel::pack`.
pub(crate) fn pack_groups(poly: &[u64; N], out: &mut [u8; PACKED_POLY_BYTES]) {
    for (group, bytes) in poly.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        pack_group(group, bytes);
    }
}

/// Reads a packed polynomial; every polynomial has exactly one packed form.
///
/// # Errors
///
/// [`Error::PackedLength`] if `bytes` is not [`PACKED_POLY_BYTES`] long, [`Error::CoefficientRange`] if a
/// coefficient is not below [`Q`]. In the second case `out` is left zero.
pub fn unpack(bytes: &[u8], out: &mut Poly) -> Result<(), Error> {
    unpack_values(bytes, out.as_mut_slice())
}

/// [`unpack`] without a domain.
pub(crate) fn unpack_values(bytes: &[u8], out: &mut [u64; N]) -> Result<(), Error> {
    let wrong_length = Error::PackedLength { expected: PACKED_POLY_BYTES, found: bytes.len() };
    let bytes = bytes.try_into().map_err(|_| wrong_length)?;
    if with_kernel!(detect(), kernel => kernel.unpack(bytes, out)) {
        return Ok(());
    }
    let index = out.iter().position(|&x| x >= Q).expect("the kernel found a coefficient that is too large");
    out.zeroize();
    Err(Error::CoefficientRange { index })
}

/// See `Kernel::unpack`.
pub(crate) fn unpack_groups(bytes: &[u8; PACKED_POLY_BYTES], out: &mut [u64; N]) -> bool {
    let mut largest = 0;
    for (bytes, group) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        *group = unpack_group(bytes);
        largest = group.iter().fold(largest, |largest, &x| x.max(largest));
    }
    largest < Q
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, bit by bit.
    fn pack_by_bits(poly: &[u64; N]) -> Vec<u8> {
        let mut out = vec![0; PACKED_POLY_BYTES];
        for bit in 0..N * Q_BITS as usize {
            let (i, b) = (bit / Q_BITS as usize, bit % Q_BITS as usize);
            out[bit / 8] |= ((poly[i] >> b & 1) as u8) << (bit % 8);
        }
        out
    }

    fn packed(poly: &Poly) -> Vec<u8> {
        let mut out = vec![0xAA; PACKED_POLY_BYTES];
        pack(poly.as_slice(), &mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn round_trip(values in proptest::collection::vec(0..Q, N)) {
            let mut poly = Poly::zero();
            poly.as_mut_slice().copy_from_slice(&values);
            let bytes = packed(&poly);
            prop_assert_eq!(&bytes, &pack_by_bits(poly.as_slice()));
            let mut back = Poly::zero();
            unpack(&bytes, &mut back).unwrap();
            prop_assert!(back == poly);
        }
    }

    #[test]
    fn extremes_stay_apart() {
        for i in [0, 1, 6, 7, 8, 1000, N - 1] {
            let mut poly = Poly::zero();
            poly.as_mut_slice()[i] = Q - 1;
            let bytes = packed(&poly);
            assert_eq!(bytes, pack_by_bits(poly.as_slice()));
            let mut back = Poly::zero();
            back.as_mut_slice().fill(Q - 1);
            unpack(&bytes, &mut back).unwrap();
            assert!(back == poly, "coefficient {i}");
        }
    }

    #[test]
    fn refuses_unreduced_coefficients() {
        for bad in [Q, Q + 1, MASK] {
            for index in [0, 7, 8, N - 1] {
                let mut values = [3; N];
                values[index] = bad;
                // The first offender is named, not the last.
                values[N - 1] = if index == 8 { bad } else { values[N - 1] };
                let mut out = Poly::zero();
                assert_eq!(unpack(&pack_by_bits(&values), &mut out), Err(Error::CoefficientRange { index }));
                assert!(out == Poly::zero());
            }
        }
    }

    #[test]
    fn refuses_other_lengths() {
        for found in [0, PACKED_POLY_BYTES - 1, PACKED_POLY_BYTES + 1] {
            let expected = PACKED_POLY_BYTES;
            let error = unpack(&vec![0; found], &mut Poly::zero()).unwrap_err();
            assert_eq!(error, Error::PackedLength { expected, found });
        }
    }
}

//! Integers and strings (FIPS 205 sections 4.4 and 5, and the beginning of algorithm 19).

use super::params::Parameters;

/// Steps of a WOTS+ chain, `w - 1`.
pub(super) const STEPS: usize = 15;

/// `base_2b` (algorithm 4): the first `count` groups of `bits` bits, at most 24.
pub(super) fn base_2b(bytes: &[u8], bits: usize, count: usize) -> Vec<usize> {
    let group = |i: usize| {
        let (start, end) = (i * bits, (i + 1) * bits);
        let window =
            bytes[start / 8..end.div_ceil(8)].iter().fold(0, |all, &byte| all << 8 | usize::from(byte));
        window >> (end.next_multiple_of(8) - end) & ((1 << bits) - 1)
    };
    (0..count).map(group).collect()
}

/// The base-16 digits of a value with their checksum (algorithm 7, steps 1 to 7).
pub(super) fn wots_digits(value: &[u8]) -> Vec<usize> {
    let mut digits = base_2b(value, 4, 2 * value.len());
    let checksum: usize = digits.iter().map(|digit| STEPS - digit).sum();
    // Three digits of four bits, moved to the top of two bytes.
    digits.extend(base_2b(&((checksum as u16) << 4).to_be_bytes(), 4, 3));
    digits
}

/// What `H_msg` selects (algorithm 19, steps 6 to 10): where in the hypertree the FORS key is, and a leaf in each of
/// its trees.
pub(super) struct Selected {
    pub(super) tree: u64,
    pub(super) leaf: u32,
    pub(super) fors_leaves: Vec<usize>,
}

impl Selected {
    pub(super) fn new(parameters: &Parameters, digest: &[u8]) -> Self {
        let Parameters { h_prime, a, k, .. } = *parameters;
        let tree_bits = parameters.h() - h_prime;
        let (message, rest) = digest.split_at((k * a).div_ceil(8));
        let (tree, rest) = rest.split_at(tree_bits.div_ceil(8));
        let integer = |bytes: &[u8]| bytes.iter().fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
        let low = |value: u64, bits: usize| value & (u64::MAX >> (64 - bits));
        Self {
            tree: low(integer(tree), tree_bits),
            leaf: low(integer(&rest[..h_prime.div_ceil(8)]), h_prime) as u32,
            fors_leaves: base_2b(message, a, k),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slhdsa::ParameterSet;

    #[test]
    fn groups_of_bits_come_in_order_from_the_highest() {
        let bytes = [0b1010_0101, 0b1100_0011, 0b1111_0000];
        assert_eq!(base_2b(&bytes, 4, 6), [10, 5, 12, 3, 15, 0]);
        assert_eq!(base_2b(&bytes, 6, 4), [0b10_1001, 0b01_1100, 0b00_1111, 0b11_0000]);
        assert_eq!(base_2b(&bytes, 9, 2), [0b1_0100_1011, 0b1_0000_1111]);
        assert_eq!(base_2b(&bytes, 14, 1), [0b10_1001_0111_0000]);
    }

    #[test]
    fn digits_and_checksum_always_sum_to_the_same() {
        for value in [[0_u8; 16], [0xFF; 16], [0x5A; 16]] {
            let digits = wots_digits(&value);
            let (message, checksum) = digits.split_at(32);
            let stated = checksum.iter().fold(0, |all, digit| all << 4 | digit);
            assert_eq!(message.iter().sum::<usize>() + stated, 32 * STEPS);
        }
    }

    #[test]
    fn the_digest_is_used_to_its_last_bit() {
        /// Column `m` of table 2.
        const DIGEST_BYTES: [usize; 6] = [30, 34, 39, 42, 47, 49];
        for (set, length) in ParameterSet::ALL[6..].iter().zip(DIGEST_BYTES) {
            let parameters = set.parameters();
            let all = Selected::new(&parameters, &vec![0xFF; length]);
            let tree_bits = parameters.h() - parameters.h_prime;
            assert_eq!(u128::from(all.tree), (1 << tree_bits) - 1, "{set}");
            assert_eq!(all.leaf, (1 << parameters.h_prime) - 1);
            assert_eq!(all.fors_leaves, vec![(1 << parameters.a) - 1; parameters.k]);
            let mut one = vec![0; length];
            one[length - 1] = 1;
            assert_eq!(Selected::new(&parameters, &one).leaf, 1);
            let leaf_bytes = parameters.h_prime.div_ceil(8);
            assert!(length <= super::super::hash::MAX_DIGEST_BYTES);
            one[length - 1 - leaf_bytes] = 1;
            assert_eq!(Selected::new(&parameters, &one).tree, 1);
        }
    }
}

//! Arithmetic modulo [`Q`] on single coefficients.
//!
//! Operands must be below [`Q`] unless a function says otherwise; results always are.
//!
//! # Security
//!
//! Straight-line code: neither branches nor addresses depend on operands, except on the exponent of [`pow`].
//! Sums that the bounds keep from overflowing are written `wrapping_*`, so that no build adds a check to them.

use crate::{Q, Q_BITS};

const MASK: u64 = (1 << Q_BITS) - 1;

/// `x - Q` where `x >= Q`, for `x < 2Q`.
#[inline]
pub(crate) const fn canonical(x: u64) -> u64 {
    let d = x.wrapping_sub(Q);
    d.wrapping_add(Q & (d >> 63).wrapping_neg())
}

/// `x * (2^16 - 1)`, which is `x * 2^41` modulo `Q`, for `x < 2^48`.
#[inline]
const fn times_2_41(x: u64) -> u64 {
    (x << 16).wrapping_sub(x)
}

/// Replaces `x` by a number congruent to it and below `2^41 + 2^16 * (x >> 41)`.
#[inline]
const fn fold(x: u64) -> u64 {
    times_2_41(x >> Q_BITS).wrapping_add(x & MASK)
}

#[inline]
const fn fold_u128(x: u128) -> u128 {
    let high = x >> Q_BITS;
    (x & MASK as u128) + ((high << 16) - high)
}

/// `x mod Q` for `x < 2^82`, which covers a product of two reduced operands plus a third.
#[inline]
pub(crate) const fn reduce_product(x: u128) -> u64 {
    // The first fold leaves less than 2^41 + 2^57, the second less than 2^41 + 2^33 < 2Q.
    let once = times_2_41((x >> Q_BITS) as u64).wrapping_add(x as u64 & MASK);
    canonical(fold(once))
}

/// `a + b mod Q`.
#[inline]
pub const fn add(a: u64, b: u64) -> u64 {
    canonical(a.wrapping_add(b))
}

/// `a - b mod Q`.
#[inline]
pub const fn sub(a: u64, b: u64) -> u64 {
    canonical(a.wrapping_add(Q).wrapping_sub(b))
}

/// `-a mod Q`.
#[inline]
pub const fn neg(a: u64) -> u64 {
    canonical(Q.wrapping_sub(a))
}

/// `a * b mod Q`.
#[inline]
pub const fn mul(a: u64, b: u64) -> u64 {
    reduce_product(a as u128 * b as u128)
}

/// `base^exponent mod Q`. The exponent is public: the running time depends on it.
pub const fn pow(base: u64, mut exponent: u64) -> u64 {
    let (mut result, mut square) = (1, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul(result, square);
        }
        square = mul(square, square);
        exponent >>= 1;
    }
    result
}

/// The inverse of `a` modulo the prime [`Q`]; 0 for 0.
pub const fn inv(a: u64) -> u64 {
    pow(a, Q - 2)
}

/// Any signed integer modulo [`Q`].
#[inline]
pub const fn from_i64(x: i64) -> u64 {
    // Q * 2^23 exceeds 2^63, so the sum is never negative, and it is 0 modulo Q.
    reduce_product((x as i128 + ((Q as i128) << 23)) as u128)
}

/// The representative of `x` in `(-Q/2, Q/2]`.
#[inline]
pub const fn centre(x: u64) -> i64 {
    let above = ((Q / 2).wrapping_sub(x) as i64 >> 63) as u64;
    x as i64 - (Q & above) as i64
}

/// Any 128-bit integer modulo [`Q`].
#[inline]
pub const fn reduce_u128(x: u128) -> u64 {
    // Each fold takes off 25 bits: 2^128 -> 2^104 -> 2^79 -> 2^55 -> below 2^41 + 2^30 < 2Q.
    canonical(fold(fold_u128(fold_u128(fold_u128(x))) as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operand() -> impl Strategy<Value = u64> {
        prop_oneof![4 => 0..Q, 1 => Just(0), 1 => Just(1), 1 => Just(Q - 1), 1 => Just(Q / 2), 1 => Just(Q / 2 + 1)]
    }

    proptest! {
        #[test]
        fn agrees_with_wide_integers(a in operand(), b in operand()) {
            let (wide_a, wide_b, q) = (u128::from(a), u128::from(b), u128::from(Q));
            prop_assert_eq!(u128::from(add(a, b)), (wide_a + wide_b) % q);
            prop_assert_eq!(u128::from(sub(a, b)), (wide_a + q - wide_b) % q);
            prop_assert_eq!(u128::from(neg(a)), (q - wide_a) % q);
            prop_assert_eq!(u128::from(mul(a, b)), wide_a * wide_b % q);
        }

        #[test]
        fn reduces_any_integer(x: u128, y: i64) {
            prop_assert_eq!(u128::from(reduce_u128(x)), x % u128::from(Q));
            prop_assert_eq!(i128::from(from_i64(y)), i128::from(y).rem_euclid(i128::from(Q)));
        }

        #[test]
        fn centres(a in operand()) {
            let c = centre(a);
            prop_assert!(-(Q as i64) < 2 * c && 2 * c <= Q as i64);
            prop_assert_eq!(from_i64(c), a);
        }

        #[test]
        fn inverts(a in 1..Q) {
            prop_assert_eq!(mul(a, inv(a)), 1);
        }
    }

    #[test]
    fn reduces_the_extremes() {
        let q = u128::from(Q);
        for x in
            [0, 1, q - 1, q, q + 1, 2 * q - 1, 2 * q, q << 41, (q << 41) - 1, u128::MAX, u128::MAX / q * q]
        {
            assert_eq!(u128::from(reduce_u128(x)), x % q, "{x}");
        }
        for x in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            assert_eq!(i128::from(from_i64(x)), i128::from(x).rem_euclid(i128::from(Q)), "{x}");
        }
        assert_eq!(centre(Q / 2), (Q / 2) as i64);
        assert_eq!(centre(Q / 2 + 1), -((Q / 2) as i64));
        assert_eq!(inv(0), 0);
        assert_eq!(pow(3, Q - 1), 1);
        assert_eq!(pow(5, 0), 1);
    }
}

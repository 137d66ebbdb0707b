//! Where the NTT keeps the value at which root.
//!
//! The transform's order is private to the crate that computes it and may differ between CPUs, so it is asked for
//! once: the polynomial `X` has at each place the root that the place stands for.

use std::sync::OnceLock;

use crate::{N, Poly, Q, forward, modq};

/// Roots of unity whose powers the table holds: the roots of `X^N + 1` are the odd powers of one of order `2N`.
const ORDER: usize = 2 * N;

/// The order of the values, as exponents of one root `w` of order `2N`.
pub(crate) struct Order {
    /// Place `p` holds the value at `w^exponents[p]`.
    exponents: Box<[u16; N]>,
    /// `w^e / N`.
    scaled_powers: Box<[u64]>,
    /// Bit `log2 k`: the `k` roots with one `k`-th power stand together, beginning at a multiple of `k`.
    runs: u16,
}

impl Order {
    /// The order of [`forward`].
    pub(crate) fn of_ntt() -> &'static Self {
        static ORDER: OnceLock<Order> = OnceLock::new();
        ORDER.get_or_init(|| {
            let mut x = Poly::zero();
            x.as_mut_slice()[1] = 1;
            Self::derive(forward(&x).values())
        })
    }

    /// The order in which these are the values of the polynomial `X`.
    ///
    /// # Panics
    ///
    /// If they are not the roots of `X^N + 1`.
    pub(crate) fn derive(roots: &[u64; N]) -> Self {
        let w = roots[0];
        assert_eq!(modq::pow(w, N as u64), Q - 1, "the values of X are roots of X^N + 1");
        let mut powers = Vec::with_capacity(ORDER);
        let mut scaled_powers = vec![0; ORDER].into_boxed_slice();
        let (mut power, n_inverse) = (1, modq::inv(N as u64));
        for (e, scaled) in (0_u16..).zip(scaled_powers.iter_mut()) {
            powers.push((power, e));
            *scaled = modq::mul(power, n_inverse);
            power = modq::mul(power, w);
        }
        powers.sort_unstable();
        let mut exponents = Box::new([0; N]);
        for (exponent, root) in exponents.iter_mut().zip(roots) {
            let at = powers.binary_search_by_key(root, |&(power, _)| power);
            *exponent = powers[at.expect("every root of X^N + 1 is a power of any of them")].1;
        }
        let together = |k: usize| {
            // Two powers of `w` have one `k`-th power if their exponents agree modulo the order of `w^k`.
            let mut runs = exponents.chunks(k);
            runs.all(|run| run.iter().all(|e| (usize::from(*e ^ run[0])).is_multiple_of(ORDER / k)))
        };
        let runs = (0..=N.ilog2()).filter(|&log2| together(1 << log2)).fold(0, |bits, log2| bits | 1 << log2);
        Self { exponents, scaled_powers, runs }
    }

    /// Whether the values at the roots with one `k`-th power stand together.
    pub(crate) fn has_runs_of(&self, k: usize) -> bool {
        self.runs >> k.ilog2() & 1 == 1
    }

    /// Coefficient `index` of a polynomial from its values: `1/N` times the sum, over all roots `x`, of the value
    /// at `x` times `x^-index`. `sums` holds one value for each run of places with one `x^index`.
    pub(crate) fn coefficient(&self, index: usize, sums: &[u64]) -> u64 {
        let leaders = self.exponents.iter().step_by(N / sums.len());
        // 2048 products below 2^82 sum to less than 2^93.
        let total = sums.iter().zip(leaders).fold(0_u128, |total, (&sum, &e)| {
            let power = (index * usize::from(e)).wrapping_neg() % ORDER;
            total + u128::from(sum) * u128::from(self.scaled_powers[power])
        });
        modq::reduce_u128(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Rng;

    #[test]
    fn values_give_back_every_coefficient() {
        let order = Order::of_ntt();
        let p = Rng(20).poly();
        let values = forward(&p);
        for (index, &coefficient) in p.as_slice().iter().enumerate() {
            assert_eq!(order.coefficient(index, values.values()), coefficient, "coefficient {index}");
        }
    }

    #[test]
    fn the_runs_are_those_of_a_bit_reversed_order_and_no_others_of_a_natural_one() {
        let mut x = Poly::zero();
        x.as_mut_slice()[1] = 1;
        let mut roots = *forward(&x).values();
        // The exponents of 1 modulo 2N / k in one run: the order that a textbook's transform leaves.
        let w = roots[0];
        let reversed = |p: usize| p.reverse_bits() >> (usize::BITS - N.ilog2());
        for (p, root) in roots.iter_mut().enumerate() {
            *root = modq::pow(w, 2 * reversed(p) as u64 + 1);
        }
        assert_eq!(Order::derive(&roots).runs, 0b1111_1111_1111);
        for (p, root) in roots.iter_mut().enumerate() {
            *root = modq::pow(w, 2 * p as u64 + 1);
        }
        // Single roots and all of them together stand anywhere.
        assert_eq!(Order::derive(&roots).runs, 0b1000_0000_0001);
    }
}

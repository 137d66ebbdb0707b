//! Single coefficients of a product: what a verification needs.
//!
//! With a stride `k`, only the coefficients at multiples of `k` are scores. They are those of a polynomial `g` with
//! `g(x^k)` being, up to the factor `k`, the sum of the product's values over all roots with one `k`-th power. So
//! the products are added up per such coset before anything is reduced, and a coefficient is an inner product of
//! the `N/k` sums with fixed roots: there is no inverse transform.

use crate::backend::{Kernel, with_kernel};
use crate::order::Order;
use crate::packed::MAX_POLYNOMIALS;
use crate::{Backend, GROUP_BYTES, GROUPS, LANES, N, NttPoly, PackedBlock, PackedQuery, match_blocks, modq};

/// The product of a block and a query, as far as its coefficients at the multiples of a stride need it. Reused, so
/// that none of its methods allocates.
pub struct StridedProduct {
    stride: usize,
    /// How many of the values count: one per coset if the cosets stand together, or else all.
    terms: usize,
    values: NttPoly,
}

impl Default for StridedProduct {
    fn default() -> Self {
        Self::new()
    }
}

impl StridedProduct {
    /// The product of nothing.
    pub fn new() -> Self {
        Self { stride: 1, terms: N, values: NttPoly::zero() }
    }

    /// Makes it the product `sum_c block_c * query_c`, the same on every backend.
    ///
    /// # Panics
    ///
    /// If `stride` is not a power of two up to `N`, if block and query differ in their number of polynomials, or
    /// if the CPU cannot run `backend`.
    pub fn multiply(&mut self, backend: Backend, block: &PackedBlock, query: &PackedQuery, stride: usize) {
        self.multiply_in(Order::of_ntt(), backend, block, query, stride);
    }

    fn multiply_in(
        &mut self,
        order: &Order,
        backend: Backend,
        block: &PackedBlock,
        query: &PackedQuery,
        stride: usize,
    ) {
        assert!(stride.is_power_of_two() && stride <= N, "a stride of {stride}");
        assert_eq!(block.polynomials(), query.polynomials(), "polynomials of block and query");
        self.stride = stride;
        if stride < LANES || !order.has_runs_of(stride) {
            self.terms = N;
            match_blocks(backend, &[block], &[query], std::slice::from_mut(&mut self.values));
            return;
        }
        self.terms = N / stride;
        let sums = &mut self.values.values_mut()[..self.terms];
        with_kernel!(backend, kernel => sum_cosets(kernel, block, query, sums));
    }

    /// Coefficient `i * stride` of the product.
    ///
    /// # Panics
    ///
    /// If `i` is not below `N / stride`.
    pub fn coefficient(&self, i: usize) -> u64 {
        self.coefficient_in(Order::of_ntt(), i)
    }

    fn coefficient_in(&self, order: &Order, i: usize) -> u64 {
        assert!(i < N / self.stride, "coefficient {i} of {}", N / self.stride);
        order.coefficient(i * self.stride, &self.values.values()[..self.terms])
    }
}

/// The sums over cosets that stand together and consist of whole groups. Their groups lie one after the other, so
/// that a coset is to the kernel one group of more polynomials.
fn sum_cosets(kernel: impl Kernel, block: &PackedBlock, query: &PackedQuery, sums: &mut [u64]) {
    let groups = GROUPS / sums.len();
    for (coset, sum) in sums.iter_mut().enumerate() {
        *sum = 0;
        let products = groups * query.polynomials();
        for first in (0..products).step_by(MAX_POLYNOMIALS) {
            let at = coset * products + first;
            let lanes = query.products(at, MAX_POLYNOMIALS.min(products - first));
            let bytes = block.bytes_from(0, at);
            let mut sums = [0; LANES];
            kernel.match_group([bytes], [lanes], lanes.len() * GROUP_BYTES, [[&mut sums]]);
            *sum = sums.into_iter().fold(*sum, modq::add);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::battery::{Rng, match_block};
    use crate::{Poly, Q, forward, inverse};

    /// One polynomial, an odd number, and more products in one coset than the kernel sums at once.
    const COUNTS: [usize; 4] = [1, 2, 5, 9];

    struct Operands {
        block: PackedBlock,
        query: PackedQuery,
        /// All coefficients of the product, by the inverse transform.
        expected: Poly,
    }

    /// Random polynomials, or the largest values everywhere.
    fn operands(backend: Backend, rng: &mut Rng, count: usize, largest: bool) -> Operands {
        let (mut block, mut query) = (PackedBlock::new(count), PackedQuery::new(count));
        let mut value = || if largest { NttPoly::constant(Q - 1) } else { forward(&rng.poly()) };
        for c in 0..count {
            block.set(c, &value());
            query.set(c, &value());
        }
        let mut product = NttPoly::zero();
        match_block(backend, &block, &query, &mut product);
        Operands { block, query, expected: inverse(&product) }
    }

    /// In the battery of every backend.
    pub(crate) fn gives_the_coefficients_of_the_inverse_transform(backend: Backend) {
        let mut rng = Rng(21);
        let mut product = StridedProduct::new();
        for count in COUNTS {
            for largest in [false, true] {
                let operands = operands(backend, &mut rng, count, largest);
                for stride in (0..=N.ilog2()).map(|log2| 1 << log2) {
                    product.multiply(backend, &operands.block, &operands.query, stride);
                    for (i, expected) in operands.expected.as_slice().iter().step_by(stride).enumerate() {
                        let found = product.coefficient(i);
                        assert_eq!(found, *expected, "{count} polynomials, coefficient {i} * {stride}");
                    }
                }
            }
        }
    }

    /// The values of a polynomial as a CPU with another order would have them.
    fn rearranged(p: &NttPoly, places: &[usize]) -> NttPoly {
        let mut out = NttPoly::zero();
        for (value, &place) in out.values_mut().iter_mut().zip(places) {
            *value = p.values()[place];
        }
        out
    }

    #[test]
    fn any_order_of_the_values_gives_the_same_coefficients() {
        let mut rng = Rng(22);
        let mut x = Poly::zero();
        x.as_mut_slice()[1] = 1;
        let mut shuffled: Vec<usize> = (0..N).collect();
        for i in (1..N).rev() {
            shuffled.swap(i, rng.below_q() as usize % (i + 1));
        }
        // Cosets apart altogether; apart within their groups of eight; the other way round.
        let within_eights = (0..N).map(|p| p ^ (p / 8 % 8)).collect();
        let backwards = (0..N).rev().collect();
        for places in [shuffled, within_eights, backwards] {
            let order = Order::derive(rearranged(&forward(&x), &places).values());
            for backend in crate::supported() {
                let Operands { mut block, mut query, expected } = operands(backend, &mut rng, 3, false);
                for c in 0..3 {
                    block.set(c, &rearranged(&block.get(c), &places));
                    query.set(c, &rearranged(&query.get(c), &places));
                }
                let mut product = StridedProduct::new();
                for stride in (0..=N.ilog2()).map(|log2| 1 << log2) {
                    product.multiply_in(&order, backend, &block, &query, stride);
                    for (i, expected) in expected.as_slice().iter().step_by(stride).enumerate() {
                        let found = product.coefficient_in(&order, i);
                        assert_eq!(found, *expected, "{backend}, coefficient {i} * {stride}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "coefficient 16 of 16")]
    fn a_coefficient_past_the_last_is_refused() {
        let mut product = StridedProduct::new();
        product.multiply(Backend::Portable, &PackedBlock::new(1), &PackedQuery::new(1), 128);
        product.coefficient(16);
    }

    #[test]
    #[should_panic(expected = "a stride of 3")]
    fn a_stride_that_does_not_divide_is_refused() {
        let (block, query) = (PackedBlock::new(1), PackedQuery::new(1));
        StridedProduct::new().multiply(Backend::Portable, &block, &query, 3);
    }
}

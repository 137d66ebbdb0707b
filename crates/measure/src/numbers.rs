//! Polynomials that are the same in every run.

use tyto_kernels::{Poly, Q};

/// A linear congruential generator: test data only.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn poly(&mut self) -> Poly {
        let mut poly = Poly::zero();
        poly.as_mut_slice().fill_with(|| {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 20) % Q
        });
        poly
    }

    pub(crate) fn polys(&mut self, count: usize) -> Vec<Poly> {
        (0..count).map(|_| self.poly()).collect()
    }
}

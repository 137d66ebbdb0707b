//! Polynomials in the coefficient and in the NTT domain.

use std::fmt;

use zeroize::Zeroize;

use crate::backend::{Kernel, with_kernel};
use crate::{LANES, N, Q, detect, modq};

#[repr(C, align(64))]
struct Aligned([u64; N]);

/// What the two domains share.
macro_rules! ring_element {
    ($name:ident, $text:literal) => {
        impl $name {
            /// The zero polynomial.
            pub fn zero() -> Self {
                Self(Box::new(Aligned([0; N])))
            }

            /// Adds `other` modulo `Q`.
            pub fn add_assign(&mut self, other: &Self) {
                with_kernel!(detect(), kernel => kernel.add_assign(&mut self.0.0, &other.0.0));
            }

            /// Subtracts `other` modulo `Q`.
            pub fn sub_assign(&mut self, other: &Self) {
                for (a, b) in self.0.0.iter_mut().zip(&other.0.0) {
                    *a = modq::sub(*a, *b);
                }
            }

            /// Overwrites `self`, without an allocation.
            pub fn copy_from(&mut self, other: &Self) {
                self.0.0.copy_from_slice(&other.0.0);
            }
        }

        impl Clone for $name {
            // From heap to heap: a copy on the stack could outlive a secret.
            fn clone(&self) -> Self {
                let mut copy = Self::zero();
                copy.copy_from(self);
                copy
            }
        }

        impl PartialEq for $name {
            /// Looks at every coefficient whatever it finds.
            fn eq(&self, other: &Self) -> bool {
                self.0.0.iter().zip(&other.0.0).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
            }
        }

        impl Eq for $name {}

        impl Zeroize for $name {
            fn zeroize(&mut self) {
                self.0.0.zeroize();
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::zero()
            }
        }

        impl fmt::Debug for $name {
            /// Never shows coefficients.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }
    };
}

/// A polynomial of `R_q` by its coefficients, each below [`Q`]; 16 KiB on the heap, 64-byte aligned.
///
/// # Security
///
/// It does not erase itself when dropped, since most polynomials are public: whoever holds a secret one wraps
/// it in `zeroize::Zeroizing`.
pub struct Poly(Box<Aligned>);

ring_element!(Poly, "Poly(..)");

impl Poly {
    /// The coefficients, constant term first.
    pub fn as_slice(&self) -> &[u64; N] {
        &self.0.0
    }

    /// The coefficients for writing; the writer keeps each below [`Q`].
    pub fn as_mut_slice(&mut self) -> &mut [u64; N] {
        &mut self.0.0
    }

    /// Exchanges the numbers of the two, which then mean something else.
    pub(crate) fn swap(&mut self, other: &mut NttPoly) {
        std::mem::swap(&mut self.0, &mut other.0);
    }

    /// `X^i * self`: what passes `X^N` comes back negated.
    ///
    /// # Panics
    ///
    /// If `i >= N`.
    #[must_use]
    pub fn shift(&self, i: usize) -> Self {
        assert!(i < N, "a shift by {i} of a polynomial of {N} coefficients");
        let mut out = Self::zero();
        let (kept, wrapped) = self.0.0.split_at(N - i);
        out.0.0[i..].copy_from_slice(kept);
        for (o, w) in out.0.0.iter_mut().zip(wrapped) {
            *o = modq::neg(*w);
        }
        out
    }
}

/// A polynomial of `R_q` by its values in the NTT domain, where products are pointwise.
///
/// The order of the values is private to this crate and may differ between CPUs: it is never stored or sent.
///
/// # Security
///
/// As for [`Poly`], erasing it is up to its owner.
pub struct NttPoly(Box<Aligned>);

ring_element!(NttPoly, "NttPoly(..)");

impl NttPoly {
    /// The constant polynomial `c` (below [`Q`]): its value is `c` everywhere.
    pub fn constant(c: u64) -> Self {
        assert!(c < Q, "a constant is below the modulus");
        let mut out = Self::zero();
        out.0.0.fill(c);
        out
    }

    pub(crate) fn values(&self) -> &[u64; N] {
        &self.0.0
    }

    pub(crate) fn values_mut(&mut self) -> &mut [u64; N] {
        &mut self.0.0
    }

    /// One group of values.
    pub(crate) fn group_mut(&mut self, group: usize) -> &mut [u64; LANES] {
        &mut self.0.0.as_chunks_mut().0[group]
    }

    /// `self *= a`.
    pub fn mul_assign(&mut self, a: &Self) {
        with_kernel!(detect(), kernel => kernel.mul_assign(&mut self.0.0, &a.0.0));
    }

    /// `self = a * b + c * d`.
    pub fn assign_sum_of_products(&mut self, factors: [&Self; 4]) {
        let factors = factors.map(|factor| &factor.0.0);
        with_kernel!(detect(), kernel => kernel.sum_of_products(&mut self.0.0, factors));
    }

    /// `self += a * b`.
    pub fn mul_add_assign(&mut self, a: &Self, b: &Self) {
        with_kernel!(detect(), kernel => kernel.mul_add_assign(&mut self.0.0, &a.0.0, &b.0.0));
    }

    /// `self += a * c` for a number `c` below [`Q`].
    pub fn mul_scalar_add_assign(&mut self, a: &Self, c: u64) {
        assert!(c < Q, "a constant is below the modulus");
        with_kernel!(detect(), kernel => kernel.mul_scalar_add_assign(&mut self.0.0, &a.0.0, c));
    }
}

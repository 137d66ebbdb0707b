//! The negacyclic NTT, from the crate `tfhe-ntt`, which picks the best code for the CPU by itself.

use std::sync::OnceLock;

use tfhe_ntt::prime64::Plan;

use crate::{Error, N, NttPoly, Poly, Q, pack};

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| Plan::try_new(N, Q).expect("Q is a prime congruent to 1 modulo 2N"))
}

/// The NTT of `p`.
pub fn forward(p: &Poly) -> NttPoly {
    let mut out = NttPoly::zero();
    forward_into(p, &mut out);
    out
}

/// The NTT of `p`, without an allocation.
pub fn forward_into(p: &Poly, out: &mut NttPoly) {
    let values = out.values_mut();
    values.copy_from_slice(p.as_slice());
    plan().fwd(values);
}

/// The NTT of a packed polynomial, without an allocation and without its coefficients anywhere else.
///
/// # Errors
///
/// As for [`pack::unpack`].
pub fn forward_packed(bytes: &[u8], out: &mut NttPoly) -> Result<(), Error> {
    let values = out.values_mut();
    pack::unpack_values(bytes, values)?;
    plan().fwd(values);
    Ok(())
}

/// The polynomial whose NTT is `p`.
pub fn inverse(p: &NttPoly) -> Poly {
    let mut out = Poly::zero();
    inverse_into(p, &mut out);
    out
}

/// The polynomial whose NTT is `p`, without an allocation.
pub fn inverse_into(p: &NttPoly, out: &mut Poly) {
    let coefficients = out.as_mut_slice();
    coefficients.copy_from_slice(p.values());
    // The plan's inverse leaves a factor N, which `normalize` removes.
    plan().inv(coefficients);
    plan().normalize(coefficients);
}

/// Turns `p` into its NTT, in `out`, without a copy: the two change places, and `p` is left with what was in `out`.
pub fn forward_swap(p: &mut Poly, out: &mut NttPoly) {
    p.swap(out);
    plan().fwd(out.values_mut());
}

/// Turns `p` into the polynomial whose NTT it is, in `out`, without a copy: the two change places, and `p` is left with
/// what was in `out`.
pub fn inverse_swap(p: &mut NttPoly, out: &mut Poly) {
    out.swap(p);
    plan().inv(out.as_mut_slice());
    plan().normalize(out.as_mut_slice());
}

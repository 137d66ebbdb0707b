//! Polynomials that many others are multiplied by, packed to spare memory and the way from it.

use crate::backend::{Kernel, with_kernel};
use crate::pack::{self, unpack_group};
use crate::{GROUP_BYTES, LANES, N, NttPoly, PACKED_POLY_BYTES, detect, modq};

/// Bytes after the last polynomial that a load of its last group may touch.
const PADDING_BYTES: usize = 64 - GROUP_BYTES;

/// Polynomials in NTT form, 41 bits per value, one after the other.
///
/// The form is this CPU's own: it is never stored or sent.
#[derive(Clone)]
pub struct PackedPolys(Vec<u8>);

impl PackedPolys {
    /// Packs polynomials.
    pub fn new<'a>(polys: impl IntoIterator<Item = &'a NttPoly>) -> Self {
        let mut bytes = Vec::new();
        for poly in polys {
            let start = bytes.len();
            bytes.resize(start + PACKED_POLY_BYTES, 0);
            pack::pack(poly.values(), &mut bytes[start..]);
        }
        bytes.resize(bytes.len() + PADDING_BYTES, 0);
        Self(bytes)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len() / PACKED_POLY_BYTES
    }

    /// Reads polynomial `index`.
    ///
    /// # Panics
    ///
    /// If there is no such polynomial.
    pub fn read(&self, index: usize, out: &mut NttPoly) {
        let bytes = self.at(index).first_chunk().expect("a whole polynomial");
        let below_q = with_kernel!(detect(), kernel => kernel.unpack(bytes, out.values_mut()));
        assert!(below_q, "the values were packed here");
    }

    /// The bytes from polynomial `index` on.
    fn at(&self, index: usize) -> &[u8] {
        assert!(index < self.count(), "polynomial {index} of {}", self.count());
        &self.0[index * PACKED_POLY_BYTES..]
    }
}

/// `sum += message * weights[index]`, then `message += masks[index] * secret`: what a message adds to a hint, and the
/// message hidden. Asks for the polynomials that come next in memory, too.
///
/// # Panics
///
/// If there is no such polynomial.
pub fn weigh_and_hide(
    index: usize,
    weights: &PackedPolys,
    sum: &mut NttPoly,
    masks: &PackedPolys,
    secret: &NttPoly,
    message: &mut NttPoly,
) {
    let (weights, masks) = (weights.at(index), masks.at(index));
    with_kernel!(detect(), kernel => {
        kernel.weigh_and_hide(weights, sum.values_mut(), masks, secret.values(), message.values_mut());
    });
}

/// The meaning of [`weigh_and_hide`]; both packed polynomials are followed by more bytes.
pub(crate) fn weigh_and_hide_portable(
    weights: &[u8],
    sum: &mut [u64; N],
    masks: &[u8],
    secret: &[u64; N],
    message: &mut [u64; N],
) {
    let packed = weights.as_chunks::<GROUP_BYTES>().0.iter().zip(masks.as_chunks::<GROUP_BYTES>().0);
    let sums = sum.as_chunks_mut::<LANES>().0.iter_mut().zip(message.as_chunks_mut::<LANES>().0);
    for (((weights, masks), (sum, message)), secret) in packed.zip(sums).zip(secret.as_chunks::<LANES>().0) {
        let (weights, masks) = (unpack_group(weights), unpack_group(masks));
        for i in 0..LANES {
            let weighed = u128::from(message[i]) * u128::from(weights[i]) + u128::from(sum[i]);
            let hidden = u128::from(masks[i]) * u128::from(secret[i]) + u128::from(message[i]);
            sum[i] = modq::reduce_product(weighed);
            message[i] = modq::reduce_product(hidden);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Rng;
    use crate::{Poly, forward, supported};

    fn ntt(rng: &mut Rng, extreme: bool) -> NttPoly {
        let mut poly = rng.poly();
        if extreme {
            poly.as_mut_slice().iter_mut().for_each(|x| *x = if *x % 2 == 0 { 0 } else { crate::Q - 1 });
        }
        // Any values below Q are a polynomial's.
        let mut out = NttPoly::zero();
        out.values_mut().copy_from_slice(poly.as_slice());
        out
    }

    #[test]
    fn every_backend_weighs_and_hides_as_plain_products_do() {
        let mut rng = Rng(31);
        let polys: Vec<_> = (0..3).map(|i| ntt(&mut rng, i == 1)).collect();
        let others: Vec<_> = (0..3).map(|i| ntt(&mut rng, i > 0)).collect();
        let (weights, masks) = (PackedPolys::new(&polys), PackedPolys::new(&others));
        assert_eq!(weights.count(), 3);
        for index in 0..3 {
            for extreme in [false, true] {
                let (sum, secret, message) =
                    (ntt(&mut rng, extreme), ntt(&mut rng, extreme), ntt(&mut rng, extreme));
                let (mut weighed, mut hidden) = (sum.clone(), message.clone());
                weighed.mul_add_assign(&message, &polys[index]);
                hidden.mul_add_assign(&others[index], &secret);
                for backend in supported() {
                    let (mut found_sum, mut found) = (sum.clone(), message.clone());
                    with_kernel!(backend, kernel => kernel.weigh_and_hide(
                        weights.at(index), found_sum.values_mut(),
                        masks.at(index), secret.values(), found.values_mut(),
                    ));
                    assert!(found_sum == weighed && found == hidden, "{backend}, polynomial {index}");
                }
            }
        }
    }

    #[test]
    fn packed_polynomials_come_back() {
        let mut rng = Rng(32);
        let polys: Vec<_> = [rng.poly(), Poly::zero(), rng.poly()].iter().map(forward).collect();
        let packed = PackedPolys::new(&polys);
        let mut out = NttPoly::zero();
        for (index, poly) in polys.iter().enumerate() {
            packed.read(index, &mut out);
            assert!(out == *poly);
        }
        assert_eq!(PackedPolys::new([]).count(), 0);
    }

    #[test]
    #[should_panic(expected = "polynomial 1 of 1")]
    fn there_are_no_more_than_were_packed() {
        PackedPolys::new([&NttPoly::zero()]).read(1, &mut NttPoly::zero());
    }
}

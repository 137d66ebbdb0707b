//! Compressed replies: the top bits of each score coefficient.
//!
//! The server multiplies by `t^-1 mod q`, which moves the message to the top, and keeps `reply_bits` bits, rounded
//! to nearest. Coefficients that are not scores are never sent.

use crate::Error;
use crate::layout::Layout;
use crate::params::T;
use std::sync::OnceLock;
use tyto_kernels::{Poly, modq, round_coefficient, round_reply};

/// `t^-1 mod q`.
pub fn t_inverse() -> u64 {
    static INVERSE: OnceLock<u64> = OnceLock::new();
    *INVERSE.get_or_init(|| modq::inv(T))
}

/// Compresses the score coefficients of `r`, one per slot.
pub fn compress(layout: &Layout, r: &Poly) -> Vec<u16> {
    let mut out = Vec::with_capacity(layout.slots());
    round_reply(r, layout.stride(), u32::from(layout.reply_bits()), t_inverse(), &mut out);
    out
}

/// Compresses a single score coefficient, below q.
pub fn compress_coefficient(layout: &Layout, coefficient: u64) -> u16 {
    round_coefficient(coefficient, u32::from(layout.reply_bits()), t_inverse())
}

/// Packs one coefficient per slot, `reply_bits` each, little-endian: coefficient `i` occupies the bits from
/// `i * reply_bits` of the little-endian bit string.
pub fn pack(layout: &Layout, coefficients: &[u16]) -> Vec<u8> {
    let bits = u32::from(layout.reply_bits());
    let mut out = Vec::with_capacity(layout.reply_bytes());
    let (mut word, mut filled) = (0_u64, 0);
    for &coefficient in coefficients {
        word |= u64::from(coefficient) << filled;
        filled += bits;
        while filled >= 8 {
            out.push(word as u8);
            word >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(word as u8);
    }
    out
}

/// Unpacks the coefficients of a whole block.
///
/// # Errors
/// [`Error::Length`] if the bytes are not exactly those of one block's reply, [`Error::ReplyPadding`].
pub fn unpack(layout: &Layout, bytes: &[u8]) -> Result<Vec<u16>, Error> {
    if bytes.len() != layout.reply_bytes() {
        return Err(Error::Length {
            what: "block reply",
            found: bytes.len(),
            expected: layout.reply_bytes(),
        });
    }
    let bits = u32::from(layout.reply_bits());
    let mut out = Vec::with_capacity(layout.slots());
    let mut rest = bytes;
    if bits == 14 {
        // Four at a time, as long as there are that many.
        for group in bytes.as_chunks::<7>().0 {
            let mut word = [0; 8];
            word[..7].copy_from_slice(group);
            let word = u64::from_le_bytes(word);
            out.extend_from_slice(&[0, 14, 28, 42].map(|at| (word >> at) as u16 & 0x3fff));
        }
        rest = bytes.as_chunks::<7>().1;
    }
    let (mut word, mut filled, mut bytes) = (0_u64, 0, rest.iter());
    for _ in out.len()..layout.slots() {
        while filled < bits {
            word |= u64::from(*bytes.next().expect("the length was checked")) << filled;
            filled += 8;
        }
        out.push((word & ((1 << bits) - 1)) as u16);
        word >>= bits;
        filled -= bits;
    }
    // One reply has one form: the bits that fill up the last byte are zero.
    if word == 0 { Ok(out) } else { Err(Error::ReplyPadding) }
}

/// Checks a single coefficient as it comes in a verification answer.
///
/// # Errors
/// [`Error::ReplyWidth`].
pub fn coefficient(layout: &Layout, value: u32) -> Result<u16, Error> {
    if value < 1 << layout.reply_bits() { Ok(value as u16) } else { Err(Error::ReplyWidth(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParameterSet;

    #[test]
    fn packing_round_trips_at_both_widths_and_every_slot_count() {
        for (d, k) in [(128, 1), (128, 2), (128, 128), (1536, 1), (2048, 2048)] {
            let layout = Layout::new(ParameterSet::Exact41, d, k).unwrap();
            let mask = (1_u32 << layout.reply_bits()) - 1;
            let values: Vec<u16> =
                (0..layout.slots() as u32).map(|i| (i.wrapping_mul(40503) & mask) as u16).collect();
            let packed = pack(&layout, &values);
            assert_eq!(packed.len(), layout.reply_bytes());
            assert_eq!(unpack(&layout, &packed).unwrap(), values);
            assert!(unpack(&layout, &packed[1..]).is_err());
            let spare = 8 * packed.len() - layout.slots() * usize::from(layout.reply_bits());
            if spare > 0 {
                let mut padded = packed;
                *padded.last_mut().unwrap() |= 1 << 7;
                assert_eq!(unpack(&layout, &padded), Err(Error::ReplyPadding));
            }
        }
    }

    #[test]
    fn coefficients_wider_than_the_reply_are_refused() {
        let layout = Layout::new(ParameterSet::Exact41, 128, 1).unwrap();
        assert_eq!(coefficient(&layout, (1 << 14) - 1), Ok((1 << 14) - 1));
        assert_eq!(coefficient(&layout, 1 << 14), Err(Error::ReplyWidth(1 << 14)));
    }
}

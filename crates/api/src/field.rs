//! Checks of single fields.

use crate::Error;
use crate::limits::{MAX_SLOT, TAG_BYTES};
use bytes::Bytes;
use tyto_attest::MAX_TEXT_BYTES;

pub(crate) fn fixed<const L: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; L], Error> {
    bytes.try_into().map_err(|_| Error::Length { field, found_bytes: bytes.len(), expected_bytes: L })
}

pub(crate) fn tag(field: &'static str, bytes: &[u8]) -> Result<[u8; TAG_BYTES], Error> {
    fixed(field, bytes)
}

/// Bytes that are neither empty nor over the limit.
pub(crate) fn bounded(field: &'static str, bytes: Bytes, max_bytes: usize) -> Result<Bytes, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty { field });
    }
    if bytes.len() > max_bytes {
        return Err(Error::TooLong { field, found_bytes: bytes.len(), max_bytes });
    }
    Ok(bytes)
}

/// A text of one line.
pub(crate) fn line(field: &'static str, text: String) -> Result<String, Error> {
    if text.len() > MAX_TEXT_BYTES {
        let (found_bytes, max_bytes) = (text.len(), MAX_TEXT_BYTES);
        return Err(Error::TooLong { field, found_bytes, max_bytes });
    }
    if text.chars().any(is_deceptive) {
        return Err(Error::ControlCharacters { field });
    }
    Ok(text)
}

/// Whether a character is not seen itself or changes the order in which others are seen. The joiners U+200C and U+200D
/// are none: several languages are spelt with them.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Error> {
    value.ok_or(Error::Missing { field })
}

pub(crate) fn at_most(field: &'static str, found: usize, max: usize) -> Result<(), Error> {
    if found > max { Err(Error::TooMany { field, found, max }) } else { Ok(()) }
}

pub(crate) fn not_zero(field: &'static str, value: u64, max: u64) -> Result<u64, Error> {
    if (1..=max).contains(&value) { Ok(value) } else { Err(Error::OutOfRange { field, value, min: 1, max }) }
}

pub(crate) fn slot(field: &'static str, value: u32) -> Result<u16, Error> {
    if value > MAX_SLOT {
        return Err(Error::OutOfRange { field, value: value.into(), min: 0, max: MAX_SLOT.into() });
    }
    Ok(value as u16)
}

pub(crate) fn width16(field: &'static str, value: u32) -> Result<u16, Error> {
    let max = u16::MAX.into();
    value.try_into().map_err(|_| Error::OutOfRange { field, value: value.into(), min: 0, max })
}

/// The wished page size, or the largest one without a wish.
pub(crate) fn page_size(wish: u32, max: usize) -> Result<usize, Error> {
    match wish as usize {
        0 => Ok(max),
        wish if wish <= max => Ok(wish),
        _ => Err(Error::OutOfRange { field: "page_size", value: wish.into(), min: 0, max: max as u64 }),
    }
}

/// Converts every element, stopping at the first that is refused.
pub(crate) fn all<A, B>(values: Vec<A>) -> Result<Vec<B>, Error>
where
    B: TryFrom<A, Error = Error>,
{
    values.into_iter().map(B::try_from).collect()
}

pub(crate) fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_it_says() {
        for honest in ["", "a label", "straße", "می\u{200c}خواهم", "日本.pdf"] {
            assert_eq!(line("label", honest.to_owned()).as_deref(), Ok(honest));
        }
        for hidden in
            ["a\nb", "\u{7f}", "gpj.\u{202e}exe", "\u{2066}a\u{2069}", "pay\u{200b}pal", "\u{feff}a"]
        {
            let refused = line("label", hidden.to_owned());
            assert_eq!(refused, Err(Error::ControlCharacters { field: "label" }), "{hidden:?}");
        }
    }
}

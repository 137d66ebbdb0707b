//! Hexadecimal digits of secrets, without a table and without a branch on a digit's value.

/// Writes two lower-case digits for each byte.
pub(crate) fn encode(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        out.push(char::from(digit(byte >> 4)));
        out.push(char::from(digit(byte & 15)));
    }
}

/// Reads two lower-case digits for each byte of `out`. False if the length is wrong or something is no digit; where is
/// not told.
pub(crate) fn decode(text: &[u8], out: &mut [u8]) -> bool {
    if text.len() != 2 * out.len() {
        return false;
    }
    let mut wrong = 0;
    for (byte, digits) in out.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (value(digits[0]), value(digits[1]));
        wrong |= (high | low) >> 4;
        *byte = ((high << 4) | (low & 15)) as u8;
    }
    wrong == 0
}

/// `0..=9` and `a..=f`.
fn digit(nibble: u8) -> u8 {
    // 0xff where the nibble is over 9: those lie 39 further on.
    let letter = 9_u8.wrapping_sub(nibble) >> 7;
    nibble + b'0' + letter * 39
}

/// The value of a digit; 16 or more for what is none.
fn value(digit: u8) -> u32 {
    let digit = i32::from(digit);
    // All ones where the digit lies within a range, zero elsewhere.
    let within = |low: i32, high: i32| ((low - 1 - digit) & (digit - high - 1)) >> 31;
    let (number, letter) = (within(0x30, 0x39), within(0x61, 0x66));
    ((number & (digit - 0x30)) | (letter & (digit - 0x61 + 10)) | (!(number | letter) & 16)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_goes_there_and_back_and_nothing_else_is_a_digit() {
        for byte in 0..=255 {
            let mut text = String::new();
            encode(&[byte], &mut text);
            assert_eq!(text, format!("{byte:02x}"));
            let mut back = [0];
            assert!(decode(text.as_bytes(), &mut back));
            assert_eq!(back, [byte]);
            let is_digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            assert_eq!(decode(&[byte, b'0'], &mut back), is_digit, "{byte}");
            assert_eq!(decode(&[b'0', byte], &mut back), is_digit, "{byte}");
        }
        assert!(!decode(b"000", &mut [0]));
    }
}

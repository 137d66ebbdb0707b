//! Deterministic CBOR (RFC 8949 section 4.2.1), as far as attestations and the audit log need it.
//!
//! Integers, byte strings, text strings, arrays, maps, tags, `false`, `true` and `null`. Floating point
//! numbers, other simple values and indefinite lengths do not exist here. Reading goes in two steps:
//! [`first_item`] accepts one deterministic item and says where it ends, then a [`Reader`] takes it apart.

use crate::error::{CborProblem, Error, FieldProblem, Part};

/// Deepest nesting of arrays, maps and tags.
pub const MAX_DEPTH: usize = 8;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

const FALSE: u64 = 20;
const NULL: u64 = 22;

/// Writes items one after the other. The caller gives map keys in ascending order.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An unsigned integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        self.head(UNSIGNED, value)
    }

    /// An integer of either sign.
    pub fn int(&mut self, value: i64) -> &mut Self {
        // A negative integer n is stored as -1 - n, which is its bitwise complement.
        if value < 0 { self.head(NEGATIVE, !value as u64) } else { self.uint(value as u64) }
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.head(BYTES, value.len() as u64).0.extend_from_slice(value);
        self
    }

    /// A text string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.head(TEXT, value.len() as u64).0.extend_from_slice(value.as_bytes());
        self
    }

    /// The head of an array of so many items.
    pub fn array(&mut self, items: usize) -> &mut Self {
        self.head(ARRAY, items as u64)
    }

    /// The head of a map of so many entries.
    pub fn map(&mut self, entries: usize) -> &mut Self {
        self.head(MAP, entries as u64)
    }

    /// The head of a tag.
    pub fn tag(&mut self, number: u64) -> &mut Self {
        self.head(TAG, number)
    }

    /// `null`.
    pub fn null(&mut self) -> &mut Self {
        self.head(SIMPLE, NULL)
    }

    /// Takes an item that is encoded already.
    pub fn encoded(&mut self, item: &[u8]) -> &mut Self {
        self.0.extend_from_slice(item);
        self
    }

    /// What was written; the writer is empty then.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    fn head(&mut self, major: u8, argument: u64) -> &mut Self {
        let be = argument.to_be_bytes();
        let (info, tail) = match argument {
            0..=23 => (argument as u8, &be[8..]),
            24..=0xff => (24, &be[7..]),
            0x100..=0xffff => (25, &be[6..]),
            0x1_0000..=0xffff_ffff => (26, &be[4..]),
            _ => (27, &be[..]),
        };
        self.0.push(major << 5 | info);
        self.0.extend_from_slice(tail);
        self
    }
}

/// A problem and the offset of the item that has it.
pub type Located = (usize, CborProblem);

/// Accepts exactly one deterministically encoded item.
pub(crate) fn check(part: Part, input: &[u8]) -> Result<(), Error> {
    let end = first_item(input).map_err(|(at_byte, problem)| Error::Cbor { part, at_byte, problem })?;
    if end == input.len() { Ok(()) } else { Err(Error::TrailingBytes { part, at_byte: end }) }
}

/// Accepts a deterministically encoded item at the beginning. Returns where it ends.
///
/// # Errors
/// What is wrong with it, and where.
pub fn first_item(input: &[u8]) -> Result<usize, Located> {
    let mut reader = Reader::new(input);
    reader.skip(0)?;
    Ok(reader.at)
}

/// Takes an item apart that [`first_item`] has accepted.
#[derive(Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of an item.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Takes an unsigned integer.
    pub fn uint(&mut self) -> Result<u64, FieldProblem> {
        self.expect(UNSIGNED)
    }

    /// Takes an integer of either sign.
    pub fn int(&mut self) -> Result<i64, FieldProblem> {
        let (value, sign) = match self.peek() {
            Some(NEGATIVE) => (self.expect(NEGATIVE)?, -1),
            _ => (self.uint()?, 0),
        };
        let magnitude = i64::try_from(value)
            .map_err(|_| FieldProblem::OutOfRange { max: i64::MAX as u64, actual: value })?;
        Ok(magnitude ^ sign)
    }

    /// Takes a byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], FieldProblem> {
        let length = self.expect(BYTES)?;
        self.take(length).map_err(|_| FieldProblem::WrongType)
    }

    /// Takes a byte string of this length.
    pub fn bytes_exact<const L: usize>(&mut self) -> Result<[u8; L], FieldProblem> {
        let bytes = self.bytes()?;
        let wrong = FieldProblem::WrongLength { expected: L, actual: bytes.len() };
        bytes.try_into().map_err(|_| wrong)
    }

    /// Takes a text string.
    pub fn text(&mut self) -> Result<&'a str, FieldProblem> {
        let length = self.expect(TEXT)?;
        let bytes = self.take(length).map_err(|_| FieldProblem::WrongType)?;
        core::str::from_utf8(bytes).map_err(|_| FieldProblem::WrongType)
    }

    /// Takes the head of an array: how many items follow.
    pub fn array(&mut self) -> Result<u64, FieldProblem> {
        self.expect(ARRAY)
    }

    /// Takes the head of a map: how many entries follow.
    pub fn map(&mut self) -> Result<u64, FieldProblem> {
        self.expect(MAP)
    }

    /// Takes the head of a tag: its number.
    pub fn tag(&mut self) -> Result<u64, FieldProblem> {
        self.expect(TAG)
    }

    /// Steps over a `null` and says whether there was one.
    pub fn skip_null(&mut self) -> bool {
        let is_null = self.input.get(self.at) == Some(&(SIMPLE << 5 | NULL as u8));
        self.at += usize::from(is_null);
        is_null
    }

    /// Whether the next item is this integer.
    pub(crate) fn next_is_int(&self, value: i64) -> bool {
        Reader { input: self.input, at: self.at }.int() == Ok(value)
    }

    /// Steps over any item.
    pub(crate) fn skip_item(&mut self) -> Option<()> {
        self.skip(0).ok()
    }

    /// Steps over a text string and says whether there was one.
    pub(crate) fn skip_text(&mut self) -> bool {
        self.peek() == Some(TEXT) && self.text().is_ok()
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).map(|b| b >> 5)
    }

    fn expect(&mut self, major: u8) -> Result<u64, FieldProblem> {
        if self.peek() != Some(major) {
            return Err(FieldProblem::WrongType);
        }
        self.head().map(|(_, argument)| argument).map_err(|_| FieldProblem::WrongType)
    }

    /// Steps over one item and everything in it.
    fn skip(&mut self, depth: usize) -> Result<(), Located> {
        let start = self.at;
        let (major, argument) = self.head()?;
        if major >= ARRAY && major != SIMPLE && depth == MAX_DEPTH {
            return Err((start, CborProblem::TooDeep { max_depth: MAX_DEPTH }));
        }
        match major {
            BYTES => self.take(argument).map(drop),
            TEXT => {
                let bytes = self.take(argument)?;
                core::str::from_utf8(bytes).map(drop).map_err(|_| (start, CborProblem::InvalidUtf8))
            }
            // A count cannot cost more steps than the input has bytes: each item takes at least one.
            ARRAY => (0..argument).try_for_each(|_| self.skip(depth + 1)),
            MAP => self.skip_entries(argument, depth + 1),
            TAG => self.skip(depth + 1),
            _ => Ok(()),
        }
    }

    /// Steps over the entries of a map, whose encoded keys must ascend bytewise.
    fn skip_entries(&mut self, entries: u64, depth: usize) -> Result<(), Located> {
        let mut previous: &[u8] = &[];
        for _ in 0..entries {
            let start = self.at;
            self.skip(depth)?;
            let key = &self.input[start..self.at];
            if key == previous {
                return Err((start, CborProblem::DuplicateKey));
            }
            if key < previous {
                return Err((start, CborProblem::UnsortedKeys));
            }
            previous = key;
            self.skip(depth)?;
        }
        Ok(())
    }

    /// The major type and the argument of the next item, in their only permitted form.
    fn head(&mut self) -> Result<(u8, u64), Located> {
        let start = self.at;
        let initial = self.take(1)?[0];
        let (major, info) = (initial >> 5, initial & 0x1f);
        if major == SIMPLE {
            let known = (FALSE..=NULL).contains(&u64::from(info));
            return if known {
                Ok((major, u64::from(info)))
            } else {
                Err((start, CborProblem::Unsupported { initial_byte: initial }))
            };
        }
        let (tail_bytes, least) = match info {
            0..=23 => return Ok((major, u64::from(info))),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            31 if (BYTES..=MAP).contains(&major) => return Err((start, CborProblem::IndefiniteLength)),
            _ => return Err((start, CborProblem::Unsupported { initial_byte: initial })),
        };
        let argument = self.take(tail_bytes)?.iter().fold(0, |value, &b| value << 8 | u64::from(b));
        if argument < least { Err((start, CborProblem::NotShortest)) } else { Ok((major, argument)) }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Located> {
        let rest = &self.input[self.at..];
        let taken = usize::try_from(count).ok().and_then(|n| rest.get(..n));
        let taken = taken.ok_or((self.input.len(), CborProblem::Truncated))?;
        self.at += taken.len();
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8949 appendix A, the integers.
    #[test]
    fn integers_have_their_shortest_form() {
        let cases: [(i64, &[u8]); 15] = [
            (0, &[0x00]),
            (1, &[0x01]),
            (10, &[0x0a]),
            (23, &[0x17]),
            (24, &[0x18, 0x18]),
            (100, &[0x18, 0x64]),
            (255, &[0x18, 0xff]),
            (256, &[0x19, 0x01, 0x00]),
            (1000, &[0x19, 0x03, 0xe8]),
            (1_000_000, &[0x1a, 0x00, 0x0f, 0x42, 0x40]),
            (1_000_000_000_000, &[0x1b, 0x00, 0x00, 0x00, 0xe8, 0xd4, 0xa5, 0x10, 0x00]),
            (-1, &[0x20]),
            (-10, &[0x29]),
            (-49, &[0x38, 0x30]),
            (i64::MIN, &[0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ];
        for (value, encoded) in cases {
            assert_eq!(Writer::default().int(value).finish(), encoded);
            assert_eq!(first_item(encoded), Ok(encoded.len()));
            assert_eq!(Reader::new(encoded).int(), Ok(value));
        }
        let largest = Writer::default().uint(u64::MAX).finish();
        assert_eq!(Reader::new(&largest).uint(), Ok(u64::MAX));
        assert!(matches!(Reader::new(&largest).int(), Err(FieldProblem::OutOfRange { .. })));
    }

    #[test]
    fn what_is_not_deterministic_is_refused() {
        let cases: [(&[u8], Located); 25] = [
            (&[], (0, CborProblem::Truncated)),
            (&[0x18], (1, CborProblem::Truncated)),
            (&[0x42, 0x01], (2, CborProblem::Truncated)),
            (&[0x82, 0x01], (2, CborProblem::Truncated)),
            (&[0xa1, 0x01], (2, CborProblem::Truncated)),
            (&[0xc1], (1, CborProblem::Truncated)),
            (&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], (9, CborProblem::Truncated)),
            (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], (9, CborProblem::Truncated)),
            (&[0x18, 0x17], (0, CborProblem::NotShortest)),
            (&[0x19, 0x00, 0xff], (0, CborProblem::NotShortest)),
            (&[0x1a, 0x00, 0x00, 0xff, 0xff], (0, CborProblem::NotShortest)),
            (&[0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], (0, CborProblem::NotShortest)),
            (&[0x81, 0x58, 0x01, 0x00], (1, CborProblem::NotShortest)),
            (&[0x5f, 0xff], (0, CborProblem::IndefiniteLength)),
            (&[0x7f, 0xff], (0, CborProblem::IndefiniteLength)),
            (&[0x9f, 0xff], (0, CborProblem::IndefiniteLength)),
            (&[0xbf, 0xff], (0, CborProblem::IndefiniteLength)),
            (&[0xff], (0, CborProblem::Unsupported { initial_byte: 0xff })),
            (&[0xf7], (0, CborProblem::Unsupported { initial_byte: 0xf7 })),
            (&[0xf9, 0x00, 0x00], (0, CborProblem::Unsupported { initial_byte: 0xf9 })),
            (&[0x1c], (0, CborProblem::Unsupported { initial_byte: 0x1c })),
            (&[0x62, 0xc3, 0x28], (0, CborProblem::InvalidUtf8)),
            (&[0xa2, 0x02, 0x00, 0x01, 0x00], (3, CborProblem::UnsortedKeys)),
            (&[0xa2, 0x01, 0x00, 0x01, 0x00], (3, CborProblem::DuplicateKey)),
            (
                &[0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x80],
                (8, CborProblem::TooDeep { max_depth: MAX_DEPTH }),
            ),
        ];
        for (input, problem) in cases {
            assert_eq!(first_item(input), Err(problem), "{input:02x?}");
        }
        let part = Part::Envelope;
        assert_eq!(check(part, &[0x00, 0x00]), Err(Error::TrailingBytes { part, at_byte: 1 }));
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut w = Writer::default();
        w.tag(18).array(5).bytes(&[7; 300]).text("tytö").map(2);
        w.uint(1).null().text("a").int(-49);
        w.uint(1 << 40).null();
        let bytes = w.finish();
        assert_eq!(first_item(&bytes), Ok(bytes.len()));
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.tag(), reader.array()), (Ok(18), Ok(5)));
        assert_eq!(reader.bytes(), Ok(&[7; 300][..]));
        assert_eq!(reader.text(), Ok("tytö"));
        assert_eq!((reader.map(), reader.uint()), (Ok(2), Ok(1)));
        assert_eq!(reader.uint(), Err(FieldProblem::WrongType));
        assert!(reader.skip_null());
        assert!(!reader.skip_null());
        assert_eq!((reader.text(), reader.int(), reader.uint()), (Ok("a"), Ok(-49), Ok(1 << 40)));
        assert!(reader.skip_null());
        assert_eq!(reader.uint(), Err(FieldProblem::WrongType), "past the end");
    }
}

//! Reader for `.npy` files (NEP 1 and `numpy.lib.format`), versions 1.0 to 3.0.
//!
//! Written by hand: the header is a dictionary of three keys, and a reader for all of Python's literals
//! would reserve what the file states before any of our limits is checked.

use std::io::{self, Read};

use zeroize::Zeroizing;

use super::{Embeddings, MAX_NPY_HEADER_BYTES, RawRows, check_shape};
use crate::Error;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Most of an unexpected element type that an error quotes, in characters.
const MAX_QUOTED_CHARS: usize = 40;

/// Reads a two-dimensional array of little-endian `f2`, `f4` or `f8` in C order: one embedding per row.
///
/// Memory grows with what is really read, so a header that promises too much reserves nothing.
///
/// # Errors
/// What was found and what is accepted, if the file is anything else; the first row that is not whole or
/// not finite.
pub fn read_npy(reader: impl Read) -> Result<Embeddings, Error> {
    read_raw_npy(reader)?.into_embeddings()
}

/// The same, but rows may hold what is not finite.
pub fn read_raw_npy(mut reader: impl Read) -> Result<RawRows, Error> {
    let header = read_header(&mut reader)?;
    let (rows, dimension) = (header.rows, header.dimension as usize);
    let mut bytes = Zeroizing::new(vec![0; dimension * header.element.bytes()]);
    let mut values = Zeroizing::new(Vec::new());
    for row in 0..rows {
        reader.read_exact(&mut bytes).map_err(|error| truncated(error, Some(row), rows))?;
        values.extend(header.element.decode(&bytes));
    }
    match reader.read_exact(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => RawRows::new(dimension, values),
        Err(error) => Err(error.into()),
        Ok(()) => Err(Error::TrailingBytes { rows }),
    }
}

fn truncated(error: io::Error, row: Option<u64>, rows: u64) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Truncated { row, rows },
        _ => error.into(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Element {
    F2,
    F4,
    F8,
}

impl Element {
    const fn bytes(self) -> usize {
        match self {
            Self::F2 => 2,
            Self::F4 => 4,
            Self::F8 => 8,
        }
    }

    /// The `f32` nearest to each element. An `f8` beyond the range of `f32` becomes infinite, which
    /// [`Embeddings::new`] then refuses.
    fn decode(self, bytes: &[u8]) -> impl Iterator<Item = f32> {
        bytes.chunks_exact(self.bytes()).map(move |element| match *element {
            [a, b] => f32_from_half(u16::from_le_bytes([a, b])),
            [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
            [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
            _ => unreachable!("chunks are 2, 4 or 8 bytes"),
        })
    }
}

/// An IEEE 754 binary16 as `f32`, exactly.
fn f32_from_half(half: u16) -> f32 {
    let sign = if half >> 15 == 0 { 1.0 } else { -1.0 };
    let fraction = f32::from(half & 0x3ff) / 1024.0;
    let magnitude = match i32::from(half >> 10 & 0x1f) {
        0 => fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1.0 + fraction) * 2f32.powi(exponent - 15),
    };
    sign * magnitude
}

#[derive(Debug, PartialEq)]
struct Header {
    element: Element,
    rows: u64,
    dimension: u64,
}

fn read_header(reader: &mut impl Read) -> Result<Header, Error> {
    let mut read = |bytes: &mut [u8]| reader.read_exact(bytes).map_err(|error| truncated(error, None, 0));
    let mut magic = [0; 6];
    read(&mut magic)?;
    if magic != *MAGIC {
        return Err(Error::NpyMagic);
    }
    let mut version = [0; 2];
    read(&mut version)?;
    let header_bytes = match version {
        [1, 0] => {
            let mut length = [0; 2];
            read(&mut length)?;
            u32::from(u16::from_le_bytes(length))
        }
        [2 | 3, 0] => {
            let mut length = [0; 4];
            read(&mut length)?;
            u32::from_le_bytes(length)
        }
        [major, minor] => return Err(Error::NpyVersion { major, minor }),
    };
    if header_bytes > MAX_NPY_HEADER_BYTES {
        return Err(Error::NpyHeaderLength { found_bytes: header_bytes });
    }
    let mut text = vec![0; header_bytes as usize];
    read(&mut text)?;
    Parser { text: &text, at: 0 }.header()
}

/// A strict reader of the one dictionary that a header may be: the keys `descr`, `fortran_order` and
/// `shape`, each once, in any order.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn header(mut self) -> Result<Header, Error> {
        let (mut element, mut fortran, mut shape) = (None, None, None);
        self.expect(b"{", "'{'")?;
        while !self.take(b"}") {
            let key_at = self.at;
            let key = self.string("a quoted key")?;
            self.expect(b":", "':'")?;
            match key {
                b"descr" if element.is_none() => element = Some(self.element()?),
                b"fortran_order" if fortran.is_none() => fortran = Some(self.boolean()?),
                b"shape" if shape.is_none() => shape = Some(self.tuple()?),
                _ => return Err(expected(key_at, "one each of 'descr', 'fortran_order', 'shape'")),
            }
            if !self.take(b",") {
                self.expect(b"}", "',' or '}'")?;
                break;
            }
        }
        self.skip_space();
        if self.at != self.text.len() {
            return Err(expected(self.at, "the end of the header"));
        }
        let missing = || expected(self.at, "one each of 'descr', 'fortran_order', 'shape'");
        let element = element.ok_or_else(missing)?;
        if fortran.ok_or_else(missing)? {
            return Err(Error::NpyFortranOrder);
        }
        match *shape.ok_or_else(missing)? {
            [rows, dimension] if rows > 0 && dimension > 0 => {
                check_shape(rows, dimension)?;
                Ok(Header { element, rows, dimension })
            }
            ref found => Err(Error::NpyShape { found: found.to_vec() }),
        }
    }

    fn element(&mut self) -> Result<Element, Error> {
        self.skip_space();
        let start = self.at;
        if self.peek() == Some(b'[') {
            return Err(Error::NpyElementType { found: quote(&self.text[start..]) });
        }
        match self.string("an element type")? {
            b"<f2" => Ok(Element::F2),
            b"<f4" => Ok(Element::F4),
            b"<f8" => Ok(Element::F8),
            _ => Err(Error::NpyElementType { found: quote(&self.text[start..self.at]) }),
        }
    }

    fn boolean(&mut self) -> Result<bool, Error> {
        if self.take(b"True") {
            return Ok(true);
        }
        self.expect(b"False", "True or False").map(|()| false)
    }

    /// A tuple of whole numbers: `()`, `(3,)`, `(3, 4)`, `(3, 4,)`.
    fn tuple(&mut self) -> Result<Vec<u64>, Error> {
        self.expect(b"(", "'('")?;
        let mut axes = Vec::new();
        while !self.take(b")") {
            axes.push(self.number()?);
            if !self.take(b",") {
                self.expect(b")", "',' or ')'")?;
                break;
            }
        }
        Ok(axes)
    }

    fn number(&mut self) -> Result<u64, Error> {
        self.skip_space();
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        digits.parse().map_err(|_| expected(start, "a whole number below 2^64"))
    }

    /// A string in either kind of quotes, without escapes: none of the accepted keys and types needs one.
    fn string(&mut self, what: &'static str) -> Result<&'a [u8], Error> {
        self.skip_space();
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"'));
        let quote = quote.ok_or_else(|| expected(self.at, what))?;
        let rest = &self.text[self.at + 1..];
        let length = rest.iter().position(|&byte| byte == quote || byte == b'\\');
        let length = length.filter(|&at| rest[at] == quote).ok_or_else(|| expected(self.at, what))?;
        self.at += length + 2;
        Ok(&rest[..length])
    }

    fn expect(&mut self, token: &[u8], what: &'static str) -> Result<(), Error> {
        if self.take(token) { Ok(()) } else { Err(expected(self.at, what)) }
    }

    fn take(&mut self, token: &[u8]) -> bool {
        self.skip_space();
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n')) {
            self.at += 1;
        }
    }
}

fn expected(offset: usize, expected: &'static str) -> Error {
    Error::NpyHeader { offset, expected }
}

/// The start of `text`, fit to be printed.
fn quote(text: &[u8]) -> String {
    let printable = |&byte: &u8| if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '?' };
    text.iter().map(printable).take(MAX_QUOTED_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }   \n";

    fn file(version: [u8; 2], header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(version);
        if version == [1, 0] {
            bytes.extend((header.len() as u16).to_le_bytes());
        } else {
            bytes.extend((header.len() as u32).to_le_bytes());
        }
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn f4(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn error(header: &str) -> String {
        read_npy(&file([1, 0], header, &f4(&[1.0; 4]))[..]).unwrap_err().to_string()
    }

    #[test]
    fn every_version_and_width_gives_the_same_rows() {
        let values = [1.0f32, -0.5, 0.25, 1024.0];
        let halves: Vec<u8> =
            [0x3c00u16, 0xb800, 0x3400, 0x6400].iter().flat_map(|half| half.to_le_bytes()).collect();
        let doubles: Vec<u8> = values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
        for version in [[1, 0], [2, 0], [3, 0]] {
            for (descr, data) in [("<f2", &halves), ("<f4", &f4(&values)), ("<f8", &doubles)] {
                let rows = read_npy(&file(version, &PLAIN.replace("<f4", descr), data)[..]).unwrap();
                assert_eq!((rows.len(), rows.dimension()), (2, 2));
                assert_eq!(rows.row(0), &values[..2]);
                assert_eq!(rows.row(1), &values[2..]);
            }
        }
    }

    #[test]
    fn halves_are_exact() {
        assert!((f32_from_half(0x0001) - 2f32.powi(-24)).abs() < f32::EPSILON * 2f32.powi(-24));
        assert_eq!(f32_from_half(0x7bff).to_bits(), 65504f32.to_bits());
        assert_eq!(f32_from_half(0x8000).to_bits(), (-0f32).to_bits());
        assert_eq!(f32_from_half(0xfc00).to_bits(), f32::NEG_INFINITY.to_bits());
        assert!(f32_from_half(0x7c01).is_nan());
    }

    #[test]
    fn the_header_may_be_written_in_other_ways() {
        let other = "{\"shape\":(2,2,),'fortran_order':False,'descr':'<f4'}";
        assert_eq!(read_npy(&file([3, 0], other, &f4(&[1.0; 4]))[..]).unwrap().len(), 2);
    }

    #[test]
    fn what_is_not_accepted_is_named() {
        let cases = [
            (PLAIN.replace("<f4", ">f4"), "type '>f4' found; '<f2', '<f4' and '<f8'"),
            (PLAIN.replace("<f4", "|u1"), "type '|u1' found"),
            (PLAIN.replace("'<f4'", "[('x', '<f4')]"), "type [('x', '<f4')]"),
            (PLAIN.replace("False", "True"), "Fortran order found; C order is accepted"),
            (PLAIN.replace("(2, 2)", "(4,)"), "shape [4] found; (rows, dimension)"),
            (PLAIN.replace("(2, 2)", "()"), "shape [] found"),
            (PLAIN.replace("(2, 2)", "(2, 1, 2)"), "shape [2, 1, 2] found"),
            (PLAIN.replace("(2, 2)", "(0, 2)"), "shape [0, 2] found"),
            (PLAIN.replace("(2, 2)", "(2, 4097)"), "dimension 4097 found; at most 4096"),
            (PLAIN.replace("(2, 2)", "(2, 99999999999999999999)"), "expected a whole number below 2^64"),
            (PLAIN.replace("(2, 2)", "(2, -2)"), "expected a whole number"),
            (PLAIN.replace("(2, 2)", "[2, 2]"), "expected '('"),
            (PLAIN.replace("'shape'", "'descr'"), "expected one each of"),
            (PLAIN.replace("'shape': (2, 2), ", ""), "expected one each of"),
            (PLAIN.replace('}', "} + 1"), "expected the end of the header"),
            (PLAIN.replace("'descr'", "descr"), "expected a quoted key"),
            (String::new(), "byte 0: expected '{'"),
        ];
        for (header, message) in cases {
            let found = error(&header);
            assert!(found.contains(message), "{header:?} gave {found:?}, not {message:?}");
        }
        assert!(matches!(read_npy(&b"PK\x03\x04......"[..]), Err(Error::NpyMagic)));
        let version = read_npy(&file([4, 0], PLAIN, &[])[..]).unwrap_err();
        assert_eq!(version.to_string(), ".npy format version 4.0 found; 1.0, 2.0 and 3.0 are accepted");
    }

    #[test]
    fn a_header_that_promises_too_much_reserves_nothing() {
        let mut long = MAGIC.to_vec();
        long.extend([2, 0, 0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(read_npy(&long[..]), Err(Error::NpyHeaderLength { found_bytes: u32::MAX })));
        // The largest array that the limits allow, of which the file holds one row.
        let huge = PLAIN.replace("(2, 2)", "(524288, 4096)");
        let bytes = file([1, 0], &huge, &f4(&[0.5; 4096]));
        assert!(matches!(read_npy(&bytes[..]), Err(Error::Truncated { row: Some(1), rows: 524_288 })));
    }

    #[test]
    fn every_truncation_and_every_extension_is_an_error() {
        let whole = file([1, 0], PLAIN, &f4(&[1.0; 4]));
        assert!(read_npy(&whole[..]).is_ok());
        for length in 0..whole.len() {
            assert!(matches!(read_npy(&whole[..length]), Err(Error::Truncated { .. })), "{length} bytes");
        }
        let last = read_npy(&whole[..whole.len() - 1]).unwrap_err();
        assert_eq!(last.to_string(), "the file is truncated: it ends in row 1 of 2");
        let longer = [&whole[..], &[0]].concat();
        assert!(matches!(read_npy(&longer[..]), Err(Error::TrailingBytes { rows: 2 })));
    }

    #[test]
    fn rows_that_are_not_finite_are_named() {
        for bad in [f32::NAN, f32::INFINITY] {
            let bytes = file([1, 0], PLAIN, &f4(&[1.0, 1.0, 1.0, bad]));
            assert!(matches!(read_npy(&bytes[..]), Err(Error::NotFinite { row: 1, coordinate: 1 })));
        }
        let doubles: Vec<u8> = [1.0, 1e300, 0.0, 0.0f64].iter().flat_map(|v| v.to_le_bytes()).collect();
        let bytes = file([1, 0], &PLAIN.replace("<f4", "<f8"), &doubles);
        assert!(matches!(read_npy(&bytes[..]), Err(Error::NotFinite { row: 0, coordinate: 1 })));
    }
}

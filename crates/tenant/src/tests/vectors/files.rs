//! The files of the golden vectors: a writer of JSON, and lists of sealed objects.

use std::fmt::Write as _;
use std::path::PathBuf;
use tyto_kernels::Poly;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::segment::write_polynomials;

/// Just what the files need of JSON.
pub(super) enum Json {
    Text(String),
    Number(i64),
    Real(f64),
    /// On one line.
    Row(Vec<i64>),
    List(Vec<Json>),
    Map(Vec<(&'static str, Json)>),
}

pub(super) fn map<const L: usize>(entries: [(&'static str, Json); L]) -> Json {
    Json::Map(entries.into())
}

pub(super) fn text(text: &impl ToString) -> Json {
    Json::Text(text.to_string())
}

pub(super) fn number(number: usize) -> Json {
    Json::Number(number as i64)
}

pub(super) fn row<T: Copy + Into<i64>>(values: &[T]) -> Json {
    Json::Row(values.iter().map(|&v| v.into()).collect())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

pub(super) fn hex(bytes: &[u8]) -> Json {
    Json::Text(to_hex(bytes))
}

impl Json {
    fn write(&self, indent: usize, out: &mut String) {
        match self {
            Self::Text(text) => write!(out, "\"{}\"", text.escape_default()).unwrap(),
            Self::Number(number) => write!(out, "{number}").unwrap(),
            Self::Real(real) => write!(out, "{real:.3}").unwrap(),
            Self::Row(values) => write!(out, "{values:?}").unwrap(),
            Self::List(values) => {
                Self::lines(values, indent, out, ['[', ']'], |value, out| value.write(indent + 1, out));
            }
            Self::Map(entries) => Self::lines(entries, indent, out, ['{', '}'], |(name, value), out| {
                write!(out, "\"{name}\": ").unwrap();
                value.write(indent + 1, out);
            }),
        }
    }

    fn lines<T>(
        values: &[T],
        indent: usize,
        out: &mut String,
        brackets: [char; 2],
        write_one: impl Fn(&T, &mut String),
    ) {
        out.push(brackets[0]);
        for (i, value) in values.iter().enumerate() {
            write!(out, "{}\n{}", if i == 0 { "" } else { "," }, "  ".repeat(indent + 1)).unwrap();
            write_one(value, out);
        }
        write!(out, "\n{}{}", "  ".repeat(indent), brackets[1]).unwrap();
    }
}

fn regenerate() -> bool {
    std::env::var_os("TYTO_REGENERATE_VECTORS").is_some_and(|value| value == "1")
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/exact41")).join(name)
}

/// Compares a file with what it must be.
pub(super) fn check_file(name: &str, expected: &Json) {
    let mut expected_text = String::new();
    expected.write(0, &mut expected_text);
    expected_text.push('\n');
    if regenerate() {
        std::fs::write(path(name), &expected_text).unwrap();
    }
    let found = std::fs::read_to_string(path(name)).unwrap();
    for (i, (found, expected)) in found.lines().zip(expected_text.lines()).enumerate() {
        assert_eq!(found, expected, "{name}, line {}", i + 1);
    }
    assert_eq!(found.len(), expected_text.len(), "{name}: length");
}

/// Sealed objects, kept in a file: each line a name and hexadecimal digits.
pub(super) struct Sealed {
    file: String,
    kept: Vec<(String, Vec<u8>)>,
    taken: usize,
}

impl Sealed {
    pub(super) fn read(file: String) -> Self {
        let kept = if regenerate() { String::new() } else { std::fs::read_to_string(path(&file)).unwrap() };
        let line = |line: &str| {
            let (name, bytes) = line.split_once(' ').unwrap();
            (name.to_owned(), from_hex(bytes))
        };
        Self { kept: kept.lines().map(line).collect(), file, taken: 0 }
    }

    /// The kept object, or the fresh one when everything is made anew.
    pub(super) fn take(&mut self, name: &str, fresh: &[u8]) -> Vec<u8> {
        if regenerate() {
            self.kept.push((name.to_owned(), fresh.to_vec()));
        }
        let (kept_name, bytes) = &self.kept[self.taken];
        assert_eq!((kept_name.as_str(), bytes.len()), (name, fresh.len()), "{}", self.file);
        self.taken += 1;
        bytes.clone()
    }

    pub(super) fn finish(self) {
        assert_eq!(self.taken, self.kept.len(), "{}: objects", self.file);
        if regenerate() {
            let line = |(name, bytes): &(String, Vec<u8>)| format!("{name} {}\n", to_hex(bytes));
            std::fs::write(path(&self.file), self.kept.iter().map(line).collect::<String>()).unwrap();
        }
    }
}

/// Digest of the packed polynomials, and the ends of the first and of the last.
pub(super) fn polynomials(polynomials: &[Poly]) -> Json {
    let mut packed = Vec::new();
    write_polynomials(polynomials, &mut packed);
    let values = |values: &[u64]| Json::Row(values.iter().map(|&v| v as i64).collect());
    let (first, last) = (polynomials[0].as_slice(), polynomials[polynomials.len() - 1].as_slice());
    map([
        ("sha3_256", hex(&sha3_256(&[&packed]))),
        ("first", values(&first[..4])),
        ("last", values(&last[tyto_kernels::N - 4..])),
    ])
}

/// Digest of values of two bytes each, and the first of them.
pub(super) fn pads(values: &[u16]) -> Json {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    map([("sha3_256", hex(&sha3_256(&[&bytes]))), ("first", row(&values[..values.len().min(4)]))])
}

pub(super) fn lambdas(values: &[u64]) -> Json {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    map([("sha3_256", hex(&sha3_256(&[&bytes]))), ("first", text(&values[0]))])
}

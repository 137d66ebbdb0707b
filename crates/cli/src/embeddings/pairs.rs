//! Pairs of rows to compare 1:1, as verification protocols list them.

use std::io::Read;

use super::csv::records;
use crate::Error;

/// Most pairs in one file.
pub const MAX_PAIRS: usize = 1 << 24;
/// Most folds of a protocol.
const MAX_FOLDS: u32 = 1000;

/// A pair of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Row of the template.
    pub a: usize,
    /// Row of the probe.
    pub b: usize,
    /// Whether both show one subject.
    pub is_mated: bool,
    /// The part of the protocol that the pair belongs to, if it has parts.
    pub fold: Option<u32>,
}

/// Reads CSV with the columns `row_a,row_b,same[,fold]`: rows from 0, `same` one of `0`, `1`, `false`, `true`. A
/// first line that does not start with a number is a heading.
///
/// # Errors
/// The first line that is something else, or that names a row from `rows` on.
pub fn read_pairs(reader: impl Read, rows: usize) -> Result<Vec<Pair>, Error> {
    let mut lines = records(reader);
    let mut pairs = Vec::new();
    lines.advance()?;
    while let Some(fields) = lines.current() {
        let line = lines.line();
        let text: Vec<&str> =
            fields.iter().map(|field| std::str::from_utf8(field).unwrap_or_default()).collect();
        let is_heading = line == 1 && text[0].parse::<u64>().is_err();
        if !is_heading {
            if pairs.len() == MAX_PAIRS {
                return Err(Error::TooManyPairs);
            }
            pairs.push(pair(&text, rows).ok_or(Error::BadPair { line, rows })?);
        }
        lines.advance()?;
    }
    if pairs.is_empty() { Err(Error::NoPairs) } else { Ok(pairs) }
}

fn pair(fields: &[&str], rows: usize) -> Option<Pair> {
    let (&[a, b, same], fold) = (fields.first_chunk()?, &fields[3..]);
    let row = |field: &str| field.parse().ok().filter(|&row: &usize| row < rows);
    let is_mated = match same {
        "1" | "true" | "True" => true,
        "0" | "false" | "False" => false,
        _ => return None,
    };
    let fold = match fold {
        [] => None,
        [fold] => Some(fold.parse().ok().filter(|&fold: &u32| fold < MAX_FOLDS)?),
        _ => return None,
    };
    Some(Pair { a: row(a)?, b: row(b)?, is_mated, fold })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_with_or_without_heading_and_folds() {
        let pairs = read_pairs("row_a,row_b,same,fold\n3,4,1,0\n0, 9 ,false,9\n".as_bytes(), 10).unwrap();
        assert_eq!(
            pairs,
            [
                Pair { a: 3, b: 4, is_mated: true, fold: Some(0) },
                Pair { a: 0, b: 9, is_mated: false, fold: Some(9) }
            ]
        );
        assert_eq!(read_pairs("3,4,1".as_bytes(), 10).unwrap()[0].fold, None);
    }

    #[test]
    fn the_line_that_is_no_pair_is_named() {
        for text in
            ["0,1,1\n0,10,1\n", "0,1,1\n0,1\n", "0,1,1\n0,1,2\n", "0,1,1\nx,1,1\n", "0,1,1\n0,1,1,0,0\n"]
        {
            let found = read_pairs(text.as_bytes(), 10);
            assert!(matches!(found, Err(Error::BadPair { line: 2, rows: 10 })), "{text:?}: {found:?}");
        }
        assert!(matches!(read_pairs("row_a,row_b,same\n".as_bytes(), 10), Err(Error::NoPairs)));
    }
}

//! The keys whose attestations are believed.

use std::collections::BTreeMap;

use tyto_pqc::mldsa::{KEY_ID_BYTES, VERIFYING_KEY_BYTES, VerifyingKey};

use crate::error::{Error, KeyLineProblem, hex};

/// Most keys in one list.
pub const MAX_TRUSTED_KEYS: usize = 256;

const HEADER: &str = "tyto-trusted-keys v1";
const ML_DSA_65: &str = "ml-dsa-65";

/// A set of trusted keys, found by key id.
///
/// Its text form is the line `tyto-trusted-keys v1`, then one line per key: algorithm, key id and key
/// between single spaces, both in lower-case hexadecimal. Empty lines and lines that begin with `#` are
/// comments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys(BTreeMap<[u8; KEY_ID_BYTES], VerifyingKey>);

impl TrustedKeys {
    /// The empty set, which trusts nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key. Returns whether it is new.
    pub fn insert(&mut self, key: VerifyingKey) -> bool {
        self.0.insert(key.key_id(), key).is_none()
    }

    /// The key with this id.
    pub fn get(&self, key_id: &[u8; KEY_ID_BYTES]) -> Option<&VerifyingKey> {
        self.0.get(key_id)
    }

    /// The keys in ascending order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8; KEY_ID_BYTES], &VerifyingKey)> {
        self.0.iter()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`Error::TrustedKeys`] with the first line that is wrong. One wrong line makes the whole list wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut keys = Self::new();
        for (index, line) in text.lines().enumerate() {
            let accepted = if index == 0 { parse_header(line) } else { keys.parse_line(line) };
            accepted.map_err(|problem| Error::TrustedKeys { line: index + 1, problem })?;
        }
        if text.is_empty() {
            return Err(Error::TrustedKeys { line: 1, problem: KeyLineProblem::Header });
        }
        Ok(keys)
    }

    /// Writes the text form, keys in ascending order of their ids.
    pub fn to_text(&self) -> String {
        let lines = self.iter().map(|(id, key)| format!("{ML_DSA_65} {} {}\n", hex(id), hex(key.as_bytes())));
        std::iter::once(format!("{HEADER}\n")).chain(lines).collect()
    }

    fn parse_line(&mut self, line: &str) -> Result<(), KeyLineProblem> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if self.len() == MAX_TRUSTED_KEYS {
            return Err(KeyLineProblem::TooMany { max_keys: MAX_TRUSTED_KEYS });
        }
        let mut fields = line.split(' ');
        let (Some(algorithm), Some(key_id), Some(key), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(KeyLineProblem::Shape);
        };
        if algorithm != ML_DSA_65 {
            return Err(KeyLineProblem::Algorithm);
        }
        let key_id = unhex(key_id, KEY_ID_BYTES)?;
        let key = unhex(key, VERIFYING_KEY_BYTES)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| KeyLineProblem::Hexadecimal)?;
        if key.key_id()[..] != key_id {
            return Err(KeyLineProblem::KeyId);
        }
        if self.insert(key) { Ok(()) } else { Err(KeyLineProblem::Duplicate) }
    }
}

impl FromIterator<VerifyingKey> for TrustedKeys {
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key.key_id(), key)).collect())
    }
}

fn parse_header(line: &str) -> Result<(), KeyLineProblem> {
    if line == HEADER { Ok(()) } else { Err(KeyLineProblem::Header) }
}

/// Lower-case hexadecimal of exactly `length_bytes` bytes.
fn unhex(digits: &str, length_bytes: usize) -> Result<Vec<u8>, KeyLineProblem> {
    if digits.len() != 2 * length_bytes {
        return Err(KeyLineProblem::Hexadecimal);
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(KeyLineProblem::Hexadecimal),
    };
    digits.as_bytes().chunks(2).map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

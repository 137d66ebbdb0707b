//! By whose keys, and as of when, evidence is judged.

use std::path::{Path, PathBuf};

use tyto_client::attest::{KeyId, MAX_TRUST_ROOT_BYTES, TrustRoot};

use crate::connection::read_limited;
use crate::output::hex;
use crate::shown::Fields;
use crate::{Error, time};

/// The options of commands that judge evidence.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TrustArgs {
    /// The trust root: the keys whose word is taken.
    #[arg(long, value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// The id of the root key that must have signed the trust root; else the file is trusted for what it says.
    #[arg(long, value_name = "ID", value_parser = key_id, requires = "roots")]
    pub root_key: Option<KeyId>,
    /// A time at which the evidence is known to have existed, such as 2026-11-22T14:05:00Z, or `none` if no such time
    /// is known [default: now].
    #[arg(long, value_name = "TIME", value_parser = at, requires = "roots")]
    pub at: Option<At>,
}

/// When evidence is known to have existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Then, in milliseconds since 1970.
    Time(u64),
    /// Nobody knows.
    Unknown,
}

impl TrustArgs {
    /// The trust root, if one was named.
    ///
    /// # Errors
    /// [`Error::TrustRoot`], [`Error::InFile`].
    pub fn open(&self) -> Result<Option<TrustRoot>, Error> {
        self.roots.as_deref().map(|path| open(path, self.root_key.as_ref())).transpose()
    }

    /// The time to judge by, in milliseconds since 1970.
    pub fn at_unix_ms(&self) -> Option<u64> {
        match self.at {
            Some(At::Time(unix_ms)) => Some(unix_ms),
            Some(At::Unknown) => None,
            None => Some(time::now_unix_ms()),
        }
    }
}

/// Reads a trust root.
///
/// # Errors
/// [`Error::TrustRoot`], [`Error::InFile`].
pub fn open(path: &Path, root_key: Option<&KeyId>) -> Result<TrustRoot, Error> {
    let bytes = read(path)?;
    TrustRoot::open(&bytes, root_key).map_err(|source| Error::TrustRoot { path: path.to_owned(), source })
}

/// Reads the bytes of a trust root.
///
/// # Errors
/// [`Error::InFile`].
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_limited(path, MAX_TRUST_ROOT_BYTES as u64).map_err(Error::in_file(path))
}

/// Parses a key id.
///
/// # Errors
/// What is wrong, in words.
pub fn key_id(text: &str) -> Result<KeyId, String> {
    unhex(text).ok_or_else(|| "expected 64 lower-case hexadecimal digits".to_owned())
}

/// Bytes as their lower-case hexadecimal digits say.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digits = text.as_bytes().as_chunks::<2>().0;
    for (byte, pair) in bytes.iter_mut().zip(digits) {
        let pair = str::from_utf8(pair).ok();
        *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or_default();
    }
    // Whatever was no digit comes back as another one.
    (hex(&bytes) == text).then_some(bytes)
}

/// What identifies a trust root, in results.
pub fn trust_root(roots: &TrustRoot) -> Fields {
    Fields::new()
        .with("name", roots.name.as_str())
        .with("version", roots.version)
        .bytes("root_key", &roots.root_key().key_id())
}

fn at(text: &str) -> Result<At, String> {
    if text == "none" { Ok(At::Unknown) } else { time::parse(text).map(At::Time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_have_64_digits() {
        let id: KeyId = std::array::from_fn(|i| i as u8);
        assert_eq!(key_id(&hex(&id)), Ok(id));
        for text in [String::new(), hex(&id[1..]), hex(&id) + "00", hex(&id).to_uppercase(), "+1".repeat(32)]
        {
            assert!(key_id(&text).is_err(), "{text}");
        }
    }
}

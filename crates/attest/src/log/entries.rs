//! Bundles of entries: what stands beside the tiles of level 0 (C2SP tlog-tiles).

use super::LogError;

/// Longest entry: its length is stored in two bytes.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// The entries under one tile of level 0, each with its length before it as two bytes, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryBundle;

impl EntryBundle {
    /// Appends an entry to a bundle: `bytes` of a partial bundle are the beginning of those of a fuller one.
    ///
    /// # Errors
    /// [`LogError::EntryTooLarge`].
    pub fn append(bytes: &mut Vec<u8>, entry: &[u8]) -> Result<(), LogError> {
        let length = u16::try_from(entry.len())
            .map_err(|_| LogError::EntryTooLarge { max_bytes: MAX_ENTRY_BYTES, actual_bytes: entry.len() })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
        Ok(())
    }

    /// The entries of a bundle that has `width` of them.
    ///
    /// # Errors
    /// [`LogError::MalformedEntries`].
    pub fn entries(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, LogError> {
        let (entries, is_whole) = Self::readable(bytes, width);
        if is_whole { Ok(entries) } else { Err(LogError::MalformedEntries { entries: entries.len() }) }
    }

    /// The entries of a bundle up to where it breaks off, and whether it is just what it ought to be.
    pub(super) fn readable(bytes: &[u8], width: u16) -> (Vec<&[u8]>, bool) {
        let mut entries = Vec::with_capacity(usize::from(width));
        let mut rest = bytes;
        while entries.len() < usize::from(width) {
            let entry = rest
                .split_first_chunk::<2>()
                .and_then(|(length, tail)| tail.split_at_checked(usize::from(u16::from_be_bytes(*length))));
            let Some((entry, tail)) = entry else { return (entries, false) };
            entries.push(entry);
            rest = tail;
        }
        (entries, rest.is_empty())
    }
}

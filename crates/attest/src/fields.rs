//! Maps with the keys 1, 2, 3, ..., of which every entry is there: the form of all payloads.

use crate::cbor::{self, Reader, Writer};
use crate::error::{Error, FieldProblem, Part};

/// Longest text, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 256;

/// Reads the entries of a map in the order of their keys.
pub(crate) struct Fields<'a, 'r> {
    part: Part,
    reader: &'r mut Reader<'a>,
    entries: u64,
    key: u64,
}

impl<'a, 'r> Fields<'a, 'r> {
    /// Reads the head of a map. `name` is what errors call the map as a whole.
    pub(crate) fn open(part: Part, name: &'static str, reader: &'r mut Reader<'a>) -> Result<Self, Error> {
        let entries = reader.map().map_err(|problem| Error::Field { part, field: name, problem })?;
        Ok(Self { part, reader, entries, key: 0 })
    }

    /// Checks the number of entries: once the version is known, which says how many there are.
    pub(crate) fn expect(&self, name: &'static str, expected: usize) -> Result<(), Error> {
        crate::cose::length(expected, self.entries).map_err(|problem| self.error(name, problem))
    }

    /// The value under the next key.
    pub(crate) fn next<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, FieldProblem>,
    ) -> Result<T, Error> {
        self.open_next(name)?;
        read(self.reader).map_err(|problem| self.error(name, problem))
    }

    /// The reader at the value under the next key.
    pub(crate) fn nested(&mut self, name: &'static str) -> Result<&mut Reader<'a>, Error> {
        self.open_next(name)?;
        Ok(self.reader)
    }

    pub(crate) fn error(&self, field: &'static str, problem: FieldProblem) -> Error {
        Error::Field { part: self.part, field, problem }
    }

    fn open_next(&mut self, name: &'static str) -> Result<(), Error> {
        self.key += 1;
        if self.reader.uint() == Ok(self.key) { Ok(()) } else { Err(self.error(name, FieldProblem::Missing)) }
    }
}

/// A reader of one payload that is deterministic CBOR.
pub(crate) fn payload(part: Part, bytes: &[u8]) -> Result<Reader<'_>, Error> {
    cbor::check(part, bytes)?;
    Ok(Reader::new(bytes))
}

/// A line of text, as [`check_text`] has it.
pub(crate) fn text(reader: &mut Reader<'_>) -> Result<String, FieldProblem> {
    let text = reader.text()?;
    check_text(text)?;
    Ok(text.to_owned())
}

/// Accepts a line: at most [`MAX_TEXT_BYTES`] bytes and no control character.
///
/// # Errors
/// [`FieldProblem::TooLong`] or [`FieldProblem::ControlCharacter`].
pub fn check_text(text: &str) -> Result<(), FieldProblem> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(FieldProblem::TooLong { max_bytes: MAX_TEXT_BYTES, actual_bytes: text.len() });
    }
    if text.chars().any(char::is_control) {
        return Err(FieldProblem::ControlCharacter);
    }
    Ok(())
}

/// Checks texts before they are written.
pub(crate) fn check_texts(part: Part, texts: &[(&'static str, Option<&str>)]) -> Result<(), Error> {
    texts.iter().try_for_each(|(field, text)| {
        check_text(text.unwrap_or_default()).map_err(|problem| Error::Field { part, field, problem })
    })
}

/// An unsigned integer of a type narrower than the encoding's.
pub(crate) fn uint<T: TryFrom<u64>>(reader: &mut Reader<'_>) -> Result<T, FieldProblem> {
    let value = reader.uint()?;
    let max = u64::MAX >> (64 - 8 * size_of::<T>());
    T::try_from(value).map_err(|_| FieldProblem::OutOfRange { max, actual: value })
}

pub(crate) fn or_null<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, FieldProblem>,
) -> Result<Option<T>, FieldProblem> {
    if reader.skip_null() { Ok(None) } else { read(reader).map(Some) }
}

/// Writes the entries of a map under the keys 1, 2, 3, ...
pub(crate) struct FieldWriter<'w> {
    writer: &'w mut Writer,
    key: u64,
}

impl<'w> FieldWriter<'w> {
    pub(crate) fn open(writer: &'w mut Writer, entries: usize) -> Self {
        writer.map(entries);
        Self { writer, key: 0 }
    }

    /// Writes the next key and gives the writer for its value.
    pub(crate) fn next(&mut self) -> &mut Writer {
        self.key += 1;
        self.writer.uint(self.key)
    }

    pub(crate) fn text_or_null(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.next().text(text),
            None => self.next().null(),
        };
    }

    pub(crate) fn bytes_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.next().bytes(bytes),
            None => self.next().null(),
        };
    }

    pub(crate) fn uint_or_null(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.next().uint(value),
            None => self.next().null(),
        };
    }
}

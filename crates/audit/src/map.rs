//! Maps with the keys 1, 2, 3, ..., of which every entry is there, as attestations have them.

use tyto_attest::cbor::{Reader, Writer, first_item};
use tyto_attest::{FieldProblem, check_text};

use crate::Error;

/// Accepts exactly one deterministic item of limited length.
pub(crate) fn open(bytes: &[u8], max_bytes: usize) -> Result<Reader<'_>, Error> {
    if bytes.len() > max_bytes {
        return Err(Error::TooLarge { actual_bytes: bytes.len(), max_bytes });
    }
    let end = first_item(bytes).map_err(|(at_byte, problem)| Error::Cbor { at_byte, problem })?;
    if end == bytes.len() { Ok(Reader::new(bytes)) } else { Err(Error::TrailingBytes { at_byte: end }) }
}

/// What makes an error of what is wrong with a field.
pub(crate) fn field(field: &'static str) -> impl Fn(FieldProblem) -> Error {
    move |problem| Error::Field { field, problem }
}

/// Reads the entries of a map in the order of their keys.
pub(crate) struct Entries<'a, 'r> {
    reader: &'r mut Reader<'a>,
    key: u64,
}

impl<'a, 'r> Entries<'a, 'r> {
    pub(crate) fn open(reader: &'r mut Reader<'a>, name: &'static str) -> Result<(Self, u64), Error> {
        let entries = reader.map().map_err(field(name))?;
        Ok((Self { reader, key: 0 }, entries))
    }

    /// A map of so many entries.
    pub(crate) fn expect(
        reader: &'r mut Reader<'a>,
        name: &'static str,
        entries: usize,
    ) -> Result<Self, Error> {
        let (map, actual) = Self::open(reader, name)?;
        length(name, entries, actual)?;
        Ok(map)
    }

    /// The value under the next key.
    pub(crate) fn next<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, FieldProblem>,
    ) -> Result<T, Error> {
        read(self.nested(name)?).map_err(field(name))
    }

    /// The value under the next key, or `None` where it is null.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, FieldProblem>,
    ) -> Result<Option<T>, Error> {
        let reader = self.nested(name)?;
        if reader.skip_null() { Ok(None) } else { read(reader).map(Some).map_err(field(name)) }
    }

    /// The reader at the value under the next key.
    pub(crate) fn nested(&mut self, name: &'static str) -> Result<&mut Reader<'a>, Error> {
        self.key += 1;
        if self.reader.uint() == Ok(self.key) {
            Ok(self.reader)
        } else {
            Err(field(name)(FieldProblem::Missing))
        }
    }
}

/// Compares a number of items or entries with the only permitted one.
pub(crate) fn length(name: &'static str, expected: usize, actual: u64) -> Result<(), Error> {
    if actual == expected as u64 {
        return Ok(());
    }
    let actual = usize::try_from(actual).unwrap_or(usize::MAX);
    Err(field(name)(FieldProblem::WrongLength { expected, actual }))
}

/// A line of text.
pub(crate) fn line(reader: &mut Reader<'_>) -> Result<String, FieldProblem> {
    let text = reader.text()?;
    check_text(text)?;
    Ok(text.to_owned())
}

/// Writes the entries of a map under the keys 1, 2, 3, ...
pub(crate) struct EntryWriter<'w> {
    writer: &'w mut Writer,
    key: u64,
}

impl<'w> EntryWriter<'w> {
    pub(crate) fn open(writer: &'w mut Writer, entries: usize) -> Self {
        writer.map(entries);
        Self { writer, key: 0 }
    }

    /// Writes the next key and gives the writer for its value.
    pub(crate) fn next(&mut self) -> &mut Writer {
        self.key += 1;
        self.writer.uint(self.key)
    }

    pub(crate) fn uint_or_null(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.next().uint(value),
            None => self.next().null(),
        };
    }

    pub(crate) fn bytes_or_null(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.next().bytes(value),
            None => self.next().null(),
        };
    }

    pub(crate) fn text_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.next().text(value),
            None => self.next().null(),
        };
    }
}

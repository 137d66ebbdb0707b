//! Fields in their order, shown as JSON or as indented lines.

use std::fmt::Write as _;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::output::hex;
use crate::time;

/// Fields with their names. Those whose names end in `_unix_ms` are times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(&'static str, Value)>);

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Nothing.
    None,
    /// Yes or no.
    Bool(bool),
    /// A number from 0.
    Number(u64),
    /// A number of either sign.
    Signed(i64),
    /// Some text.
    Text(String),
    /// Several of the same.
    List(Vec<Value>),
    /// Fields of its own.
    Fields(Fields),
}

impl Fields {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds bytes, in hexadecimal.
    #[must_use]
    pub fn bytes(self, name: &'static str, bytes: &[u8]) -> Self {
        self.with(name, hex(bytes))
    }

    /// Adds bytes that may be absent.
    #[must_use]
    pub fn bytes_or_none(self, name: &'static str, bytes: Option<&[u8]>) -> Self {
        self.with(name, bytes.map(hex))
    }

    /// Adds all fields of another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The lines for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    fn write(&self, out: &mut String, indent: usize) {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.0 {
            let _ = write!(out, "{:indent$}{name:width$} ", "");
            value.write(out, indent + 2, name.ends_with("_unix_ms"));
        }
    }
}

impl Value {
    /// The value and a line end; what takes more than one line goes on with the next.
    fn write(&self, out: &mut String, indent: usize, is_time: bool) {
        let _ = match self {
            Self::None => writeln!(out, " -"),
            Self::Bool(value) => writeln!(out, " {}", if *value { "yes" } else { "no" }),
            Self::Number(time) if is_time => writeln!(out, " {time} ({})", time::utc(*time)),
            Self::Number(number) => writeln!(out, " {number}"),
            Self::Signed(number) => writeln!(out, " {number}"),
            Self::Text(text) => writeln!(out, " {text}"),
            Self::List(items) if items.is_empty() => writeln!(out, " none"),
            Self::List(items) => {
                end_line(out);
                for item in items {
                    let _ = write!(out, "{:indent$}-", "");
                    item.write(out, indent + 2, false);
                }
                Ok(())
            }
            Self::Fields(fields) => {
                end_line(out);
                fields.write(out, indent);
                Ok(())
            }
        };
    }
}

/// Ends a line whose value is on the next ones: the padding after the name is not needed.
fn end_line(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Signed(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Fields(fields)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_json_and_lines() {
        let inner = Fields::new().bytes("id", &[1, 0xab]).bytes_or_none("salt", None);
        let fields = Fields::new()
            .with("seen_unix_ms", 1000_u64)
            .with("is", true)
            .with("log", inner)
            .with("names", Value::from_iter(["a", "b"]))
            .with("others", Value::List(vec![]));
        assert_eq!(
            serde_json::to_string(&fields).unwrap(),
            r#"{"seen_unix_ms":1000,"is":true,"log":{"id":"01ab","salt":null},"names":["a","b"],"others":[]}"#
        );
        assert_eq!(
            fields.text(),
            "seen_unix_ms  1000 (1970-01-01T00:00:01Z)\nis            yes\nlog\n  id    01ab\n  \
             salt  -\nnames\n  - a\n  - b\nothers        none\n"
        );
    }
}

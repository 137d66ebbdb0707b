//! Identifiers: 16 raw bytes each, shown as hexadecimal.

use crate::Error;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Bytes of an identifier.
            pub const BYTES: usize = 16;

            /// Parses raw bytes.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
                let found = bytes.len();
                Ok(Self(bytes.try_into().map_err(|_| Error::Length { what: $what, found, expected: 16 })?))
            }

            /// Parses 32 hexadecimal digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                if text.len() != 32 || !text.is_ascii() {
                    return None;
                }
                let mut bytes = [0; 16];
                for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                }
                Some(Self(bytes))
            }

            /// The raw bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id!(
    /// A gallery; chosen at random by the tenant.
    GalleryId,
    "gallery id"
);
id!(
    /// A block of a gallery; contains fresh OS randomness of the process that provisioned it.
    BlockId,
    "block id"
);
id!(
    /// An upload, and the segment of blocks that it becomes.
    UploadId,
    "upload id"
);
id!(
    /// A ticket; chosen at random by the tenant.
    TicketId,
    "ticket id"
);
id!(
    /// The public id of a tenant key.
    KeyId,
    "key id"
);
id!(
    /// A keyed pseudonym of a subject: what the server knows a subject by.
    Pseudonym,
    "subject pseudonym"
);

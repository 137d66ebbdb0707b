//! What public keys have in common: a name by which they are referred to, under which they are shown.

/// Length of a key id.
pub const KEY_ID_BYTES: usize = 32;

/// `SHA3-256("tyto/v1/" || name in lower case || "-key" || key)`.
pub(crate) fn key_id(algorithm: &str, key: &[u8]) -> [u8; KEY_ID_BYTES] {
    crate::digest::sha3_256(&[b"tyto/v1/", algorithm.to_ascii_lowercase().as_bytes(), b"-key", key])
}

/// The key id of a public key, by which it is also shown, and equality of set and bytes. The type has a `set` and
/// `as_bytes`.
macro_rules! named_public_key {
    ($key:ident) => {
        impl $key {
            /// `SHA3-256("tyto/v1/" || name in lower case || "-key" || key)`: names the key wherever something refers to
            /// it.
            pub fn key_id(&self) -> [u8; $crate::key_id::KEY_ID_BYTES] {
                $crate::key_id::key_id(self.set.name(), self.as_bytes())
            }
        }

        impl PartialEq for $key {
            fn eq(&self, other: &Self) -> bool {
                (self.set, self.as_bytes()) == (other.set, other.as_bytes())
            }
        }

        impl Eq for $key {}

        impl core::fmt::Debug for $key {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($key), "({} "), self.set)?;
                self.key_id()[..8].iter().try_for_each(|b| write!(f, "{b:02x}"))?;
                f.write_str(")")
            }
        }
    };
}
pub(crate) use named_public_key;

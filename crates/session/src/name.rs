//! Names and ids.

use core::fmt;

use crate::Error;

/// Longest name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 255;

/// The name of a service, a server, a credential or a principal: 1 to [`MAX_NAME_BYTES`] bytes of UTF-8 without control
/// characters. Names are equal if their bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Takes `name`.
    ///
    /// # Errors
    /// [`Error::Name`] if it is empty, too long or has a control character.
    pub fn new(name: &str) -> Result<Self, Error> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(Error::Name { actual_bytes: name.len() });
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Length of the id.
            pub const BYTES: usize = $bytes;

            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

id!(
    /// Names a session. The server draws it; it is not secret.
    SessionId, 16
);
id!(
    /// Names an RPC within its session. The client draws it; it is not secret.
    RpcId, 16
);
id!(
    /// Names a store of admissions, from when it last began with nothing. It is drawn, and not secret.
    StoreEpoch, 16
);
id!(
    /// Names a public key: [`tyto_pqc::mldsa::VerifyingKey::key_id`].
    KeyId, 32
);

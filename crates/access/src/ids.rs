//! Identifiers: random bytes, shown as lower-case hexadecimal digits.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Bytes of an identifier.
            pub const BYTES: usize = $bytes;

            /// Parses hexadecimal digits, two for each byte.
            pub fn from_hex(text: &str) -> Option<Self> {
                if text.len() != 2 * $bytes || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                let mut bytes = [0; $bytes];
                for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                }
                Some(Self(bytes))
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
    /// A tenant.
    TenantId,
    16
);
id!(
    /// Who calls: a person, a service, a device.
    PrincipalId,
    16
);
id!(
    /// A grant.
    GrantId,
    16
);
id!(
    /// The part of an API key that is not secret.
    ApiKeyId,
    8
);

impl TenantId {
    /// The tenant that every server has: of what was stored before there were tenants, and of callers without a
    /// credential where none is required.
    pub const BUILT_IN: Self = Self([0; 16]);
}

impl PrincipalId {
    /// Whoever calls without a credential where none is required.
    pub const LOCAL: Self = Self([0; 16]);
}

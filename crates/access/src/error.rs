//! Why a call is denied.

use tyto_scheme::GalleryId;

/// Why a text is no API key. Says nothing about whether there is such a key.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyTextError {
    /// It has not the form of one.
    #[error("this is no API key: one has the form tyto_<id>_<secret>")]
    Form,
    /// It has the form of one, and a character of it is wrong.
    #[error("the API key has a typing error: its checksum does not match")]
    Checksum,
}

/// Why a call is denied: what is said to the caller, and what the audit records.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// The call has no credential.
    #[error("this call needs a credential")]
    NoCredential,
    /// The credential is of a kind that is not known, or not readable.
    #[error("the credential is of no known form")]
    CredentialForm,
    /// The credential is no API key.
    #[error(transparent)]
    KeyText(#[from] KeyTextError),
    /// There is no such credential, or its secret is wrong: which of the two is not told.
    #[error("there is no such credential")]
    UnknownCredential,
    /// The credential was revoked.
    #[error("the credential was revoked")]
    Revoked,
    /// The credential expired.
    #[error("the credential expired")]
    Expired,
    /// The credential is older than the server allows.
    #[error("the credential is older than {max_days} days: rotate it")]
    TooOld {
        /// The limit.
        max_days: u32,
    },
    /// The credential was not used for longer than the server allows.
    #[error("the credential was not used for {max_days} days, and is deactivated")]
    Unused {
        /// The limit.
        max_days: u32,
    },
    /// The principal is disabled.
    #[error("the principal is disabled")]
    PrincipalDisabled,
    /// The tenant is disabled.
    #[error("the tenant is disabled")]
    TenantDisabled,
    /// None of the caller's roles may make this call.
    #[error("none of the caller's roles may make this call")]
    Role,
    /// The caller's grants are for other galleries.
    #[error("the caller has no grant for gallery {0}")]
    Gallery(GalleryId),
    /// The caller's grants are for single galleries, and the call is about the tenant.
    #[error("the caller's grants are for single galleries")]
    WholeTenant,
    /// The call is not in the table of rights.
    #[error("nobody may make this call")]
    UnknownMethod,
}

impl Denial {
    /// Whether another credential is needed, rather than another right.
    pub fn is_about_the_credential(&self) -> bool {
        !matches!(self, Self::Role | Self::Gallery(_) | Self::WholeTenant | Self::UnknownMethod)
    }
}

//! Who may do what: tenants, principals, roles, grants, API keys, and the one table of rights.
//!
//! A call is *authenticated* once ([`Directory::authenticate`] for an API key, [`Directory::of_subject`] for an identity
//! that somebody else vouches for): that gives a [`Caller`]. It is *authorised* each time before anything is read or
//! computed ([`Directory::authorise`]), from the table ([`policy::TABLE`]) and the caller's grants as they are at that
//! moment: a revocation takes effect with the next call, and with the next message of a stream.
//!
//! Nothing here does I/O; the time is an argument, in milliseconds since 1970.

mod api_key;
mod caller;
mod directory;
mod error;
mod hex;
mod ids;
pub mod policy;
mod role;

pub use api_key::{ApiKey, KeyCheck, Verifier};
pub use caller::{Caller, CertificateSubject, CredentialName};
pub use directory::{
    Directory, Grant, KeyRules, PrincipalRecord, Records, StoredKey, SubjectKind, SubjectRecord, TenantRecord,
};
pub use error::{Denial, KeyTextError};
pub use ids::{ApiKeyId, GrantId, PrincipalId, TenantId};
pub use role::{Role, Roles};

/// Most bytes of the name of a tenant or a principal, in UTF-8.
pub const MAX_NAME_BYTES: usize = 128;
/// Most bytes of a subject or an issuer that somebody else vouches for.
pub const MAX_SUBJECT_BYTES: usize = 512;

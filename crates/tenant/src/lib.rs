//! The secret side of the scoring scheme: everything that needs the tenant key.
//!
//! | module | holds |
//! |---|---|
//! | [`key`], [`keyring`] | the tenant key and the file that keeps it |
//! | [`passphrase`] | files that a passphrase seals |
//! | [`template`] | templates under the range invariant, and the quantiser |
//! | [`gallery`] | a gallery opened with the key: derived keys, masks, descriptor |
//! | [`record`], [`slotmap`], [`manifest`] | what the tenant vouches for |
//! | [`block`] | provisioning, enrolment by pad, removal |
//! | [`probe`] | whole queries and tickets |
//! | [`decrypt`] | decryption and both score checks |
//!
//! No I/O happens here, and nothing of this crate is linked into the server. Secrets are zeroised on drop and never
//! appear in `Debug` or errors.

pub mod block;
pub mod decrypt;
mod derive;
mod error;
pub mod gallery;
pub mod key;
pub mod keyring;
pub mod manifest;
pub mod passphrase;
pub mod probe;
pub mod record;
mod sample;
mod sealed;
pub mod slotmap;
pub mod template;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use gallery::{Gallery, Metric};
pub use key::TenantKey;
pub use slotmap::SubjectId;
pub use template::{Quantiser, Template};
pub use tyto_kernels::{in_parallel, split};

//! The public side of the scoring scheme: what both tenant and server know.
//!
//! Two-key shared-mask RLWE over `Z_q[X]/(X^2048 + 1)`, secret-key, depth one, exact. This crate holds the
//! parameter sets with their proved noise bound, the layout of templates in polynomials, the public masks, the
//! bytes of everything that is uploaded, and the arithmetic that a server does on them. It holds no secrets and
//! does no I/O. The formats are described byte by byte in `docs/formats.md`.

pub mod bound;
pub mod delta;
mod error;
pub mod ids;
pub mod layout;
pub mod mask;
pub mod params;
pub mod query;
pub mod reply;
pub mod segment;
mod wire;

pub use delta::Delta;
pub use error::Error;
pub use ids::{BlockId, GalleryId, KeyId, Pseudonym, TicketId, UploadId};
pub use layout::Layout;
pub use mask::{GalleryParameters, MaskSeed, Masks};
pub use params::ParameterSet;

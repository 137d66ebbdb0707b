//! The audit log: who did what, when, from where, and what became of it. No I/O: the clock is an argument, and bytes come
//! and go in memory.
//!
//! A [`Chain`] numbers [`Record`]s and hashes each with the one before it; what comes out is appended to segments, files
//! in which records lie one after the other. Now and then the chain's length and last hash go as an
//! [`AuditAnchor`] into the transparency log of the server, where nobody can take them back. A [`Verifier`] goes
//! through the segments of a chain, with whatever anchors there are, and names the first bad record and what is wrong
//! with it: altered, missing, repeated, moved, cut off.
//!
//! The byte-exact format and the order of checks are in `docs/formats/audit.md`; golden files are in `vectors/audit`.
//!
//! # Security
//! The chain keeps no secret: whoever can write its files can write all of it anew, and only an anchor from elsewhere
//! shows that. Records after the newest anchor are protected against nothing but accidents.

mod chain;
mod error;
mod map;
mod record;
mod segment;
mod verify;

pub use chain::{Chain, HASH_BYTES, Hash, Resumed};
pub use error::{Error, Fault, Problem};
pub use record::{Call, Decision, Event, MAX_RECORD_BYTES, RECORD_VERSION, Record};
pub use segment::{Header, MAX_HEADER_BYTES, SEGMENT_VERSION};
pub use tyto_attest::AuditAnchor;
pub use verify::{Summary, Verifier};

//! The gRPC interface: generated types, and their conversion to and from types that hold only what is valid.
//!
//! Generated types appear in the signatures of service handlers and of client calls and nowhere else: each has a
//! domain type in [`admin`], [`attest`], [`gallery`] or [`matching`] with `TryFrom` in one direction, where lengths and numbers are
//! checked against [`limits`], and `From` in the other. What needs a gallery's layout to be checked (slots, deltas,
//! polynomials) is checked by whoever knows the gallery.

pub mod admin;
pub mod attest;
pub mod content;
mod error;
mod field;
pub mod gallery;
pub mod limits;
pub mod matching;
mod methods;

pub use error::Error;
pub use methods::{Method, methods};

/// The code generated from `proto/`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated code; the documentation is in the .proto files and carried over where the generator does so"
)]
pub mod proto {
    /// Package `tyto.admin`.
    pub mod admin {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("tyto.admin.v1");
        }
    }
    /// Package `tyto.attest`.
    pub mod attest {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("tyto.attest.v1");
        }
    }
    /// Package `tyto.gallery`.
    pub mod gallery {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("tyto.gallery.v1");
        }
    }
    /// Package `tyto.matching`.
    pub mod matching {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("tyto.matching.v1");
        }
    }
    /// Package `tyto.session`.
    pub mod session {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("tyto.session.v1");
        }
    }
    /// The descriptors of all packages, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("descriptors");
}

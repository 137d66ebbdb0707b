//! ML-KEM, ML-DSA, SLH-DSA, SHA3, KMAC, HMAC, HKDF, AES streams, authenticated encryption and OS randomness behind
//! typed secrets.
//!
//! This is the only crate of the workspace that calls a cryptographic library directly for these
//! primitives; the others see the types below. It does no I/O except asking the operating system for
//! random bytes. Keys are read and written as `SubjectPublicKeyInfo` and PKCS#8 with the identifiers of RFC 9881 (ML-DSA),
//! RFC 9909 (SLH-DSA) and RFC 9935 (ML-KEM).
//!
//! | module | primitive | standard |
//! |---|---|---|
//! | [`random`] | operating system's generator | |
//! | [`digest`] | SHA3-256 | FIPS 202 |
//! | [`kmac`] | KMAC256 | NIST SP 800-185 section 4 |
//! | [`hmac`] | HMAC with SHA3-256 | RFC 2104 |
//! | [`hkdf`] | HKDF with SHA3-256 | RFC 5869 |
//! | [`aead`] | AES-256-GCM-SIV, random nonces | RFC 8452 |
//! | [`gcm`] | AES-256-GCM, counted nonces | NIST SP 800-38D |
//! | [`stream`] | AES-256 in counter mode | FIPS 197, NIST SP 800-38A section 6.5 |
//! | [`mlkem`] | ML-KEM-768, -1024 | FIPS 203 |
//! | [`mldsa`] | ML-DSA | FIPS 204 |
//! | [`slhdsa`] | SLH-DSA | FIPS 205 |

pub mod aead;
pub mod digest;
mod error;
pub mod gcm;
pub mod hkdf;
pub mod hmac;
mod key_id;
mod key_info;
pub mod kmac;
pub mod mldsa;
pub mod mlkem;
pub mod random;
mod secret;
mod self_test;
pub mod slhdsa;
mod stack;
pub mod stream;

pub use error::Error;
pub use pkcs8::ObjectIdentifier;
pub use secret::Secret32;
pub use self_test::self_test;

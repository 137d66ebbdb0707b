//! The command line of Tyto.

pub mod embeddings;
pub mod error;
pub mod evaluation;

pub use error::Error;

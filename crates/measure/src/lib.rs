//! What Tyto's benches and `tyto bench` measure, and how.
//!
//! Machines are shared and noisy: an absolute time proves nothing, the ratio of two times that were taken in turn
//! within one run does. Every workload checks its result before it is timed.

pub mod engine;
mod error;
pub mod gallery;
pub mod kernel;
pub mod machine;
mod numbers;
pub mod report;
mod run;
pub mod tenant;
pub mod timing;

pub use error::Error;
pub use machine::Machine;
pub use report::Report;
pub use run::{Control, MIN_GALLERY_BYTES, Options, run};

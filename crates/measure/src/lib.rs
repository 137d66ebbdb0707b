//! What Tyto's benches and `tyto bench` measure, and how.
//!
//! Machines are shared and noisy: an absolute time proves nothing, the ratio of two times that were taken in turn
//! within one run does.

pub mod gallery;
pub mod timing;

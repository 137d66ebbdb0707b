//! A real server on a free loopback port, spoken to with the generated client. Sealed things are random bytes (the
//! server cannot open them anyway), polynomials are random below q, and answers are compared with products computed
//! here.

mod access;
mod galleries;
mod keys;
mod matching;
mod process;
mod refusals;
mod shutdown;
mod support;

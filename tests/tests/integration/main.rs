//! The end-to-end tests, in one binary: each further one would link all of Tyto once more.
//!
//! A new test file is a module here. `cargo test -p tyto-tests --test integration restart` runs one module;
//! what several of them share lies in the library of this package (`tests/src`).

mod attest;
mod audit;
mod canary;
mod cli;
mod client_cache;
mod concurrency;
mod crate_graph;
mod dishonest;
mod dishonest_client;
mod faces;
mod logged_changes;
mod restart;
mod scale;
mod sealed;
mod smoke;

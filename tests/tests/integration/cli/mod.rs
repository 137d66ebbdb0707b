//! The command line against a real server, as its users run it.

mod attestations;
mod bad_input;
mod bench;
mod evaluate;
mod galleries;
mod keyring;
mod logs;
mod replays;
mod roots;
pub(crate) mod tyto;

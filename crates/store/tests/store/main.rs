//! The store as its users see it: on a real directory, across restarts and crashes.

mod access;
mod crash;
mod deletion;
mod galleries;
mod log;
mod log_crash;
mod log_kept;
mod mutations;
mod reads;
mod support;
mod throughput;
mod tickets;
mod uploads;

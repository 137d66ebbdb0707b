//! The audit log's format and its verification.

mod cases;
mod golden;
mod round_trip;
mod sample;
mod tampering;

//! Attestations from the outside: what is accepted, what is refused and why, and the golden files.

mod broken;
mod cosignatures;
mod decisions;
mod evidence;
mod flips;
mod golden;
mod key_list;
mod log;
mod properties;
mod raw;
mod roots;
mod round_trip;
mod sample;
mod world;

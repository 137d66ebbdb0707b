//! Benchmarks of Tyto: `cargo bench -p tyto-benches`. Each asserts its result before it is timed.

/// Whether the benches only show that they work: `cargo test` runs them with small data and few rounds, and nothing
/// that they print then is a measurement. Only `cargo bench` passes `--bench`.
pub fn smoke() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}

//! Benchmarks of Tyto: `cargo bench -p tyto-benches`. Each asserts its result before it is timed.

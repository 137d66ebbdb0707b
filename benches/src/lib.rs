//! Benchmarks of Tyto.

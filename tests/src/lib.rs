//! End-to-end tests of Tyto.

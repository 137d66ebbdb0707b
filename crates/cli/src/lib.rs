//! The command line of Tyto.

//! Who may do what, at a server that requires credentials.

mod cast;
mod matrix;
mod revocation;

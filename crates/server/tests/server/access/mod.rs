//! Who may do what, at a server that requires credentials.

mod admin;
mod cast;
mod matrix;
mod revocation;

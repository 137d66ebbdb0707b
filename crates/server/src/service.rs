//! What the server does, in domain types: no protobuf, no gRPC.

pub(crate) mod admin;
pub(crate) mod attest;
pub(crate) mod attestation;
pub(crate) mod change;
pub(crate) mod galleries;
pub(crate) mod identify;
pub(crate) mod mutation;
pub(crate) mod parts;
pub(crate) mod provision;
pub(crate) mod records;
pub(crate) mod tickets;
pub(crate) mod verify;

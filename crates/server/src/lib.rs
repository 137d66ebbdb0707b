//! The Tyto server: configuration, services, telemetry, shutdown.
//!
//! It holds ciphertexts, public masks, sealed records that it cannot open, and its own signing key; it cannot read
//! a template, a probe or a score. [`Server::start`] runs it inside a process that has a tokio runtime (tests, the
//! demo), [`run_main`] is the binary `tytod`.
//!
//! Handlers (`grpc`) parse messages with `tyto_api` and call the services (`service`), which know galleries, store
//! and attestations and no protobuf. `status` is the one place where errors become gRPC statuses.

mod access;
mod admin;
mod app;
mod arrival;
mod audit;
mod background;
mod command;
mod config;
mod connection;
mod error;
#[cfg(test)]
mod fixture;
mod galleries;
mod grpc;
mod histogram;
mod load;
mod log;
mod metrics;
mod passes;
mod places;
mod process;
mod residence;
mod server;
mod service;
mod sessions;
mod signing;
mod site;
mod status;
mod vault;
mod work;

pub use command::run_main;
pub use config::{
    AccessConfig, AuditConfig, AuditMode, Config, IdentificationConfig, KeysConfig, LimitConfig, LogConfig,
    LogFormat, ProcessConfig, TicketConfig, TransparencyConfig,
};
pub use error::Error;
pub use server::{RunningServer, Server};

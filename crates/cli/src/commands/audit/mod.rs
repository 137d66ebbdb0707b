//! `tyto audit`: the audit log of a server, offline.

mod anchors;
mod directory;
mod export;
mod ocsf;
#[cfg(test)]
mod tests;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use tyto_audit::Fault;
use tyto_client::attest::Error as AttestError;

use super::log;
use crate::shown::Fields;
use crate::{Error, Exit};

/// The commands of the audit log.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Go through all records, and compare them with anchors from the transparency log. Names the first bad record. Needs
    /// no network.
    Verify(verify::Args),
    /// Write records as JSON lines with the field names of OCSF.
    Export(export::Args),
}

/// Runs a command of the audit log.
///
/// # Errors
/// [`Error::InFile`] around [`Error::AuditRejected`]; [`Error::TrustRoot`], [`Error::Write`].
pub fn run(command: &Command) -> Result<Exit, Error> {
    match command {
        Command::Verify(args) => verify::run(args),
        Command::Export(args) => export::run(args),
    }
}

/// Why an audit log is rejected.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// A record is not what was written, or not there.
    #[error("{fault}")]
    Records {
        /// The segment that was being read; none at the end.
        segment: Option<PathBuf>,
        /// The record, and what is wrong there.
        fault: Fault,
    },
    /// A bundle with an anchor does not hold.
    #[error("{}: check `{}` failed: {source}", .bundle.display(), .source.check())]
    Anchor {
        /// The bundle.
        bundle: PathBuf,
        /// Why.
        source: AttestError,
    },
    /// A bundle is about something else.
    #[error("{}: no anchor of an audit log", .bundle.display())]
    NoAnchor {
        /// The bundle.
        bundle: PathBuf,
    },
    /// The transparency log does not hold.
    #[error("the transparency log: {0}")]
    Log(log::Rejection),
}

impl Rejection {
    fn shown(&self) -> Fields {
        let (part, record, check) = match self {
            Self::Records { fault, .. } => ("records", Some(fault.record), fault.problem.check()),
            Self::Anchor { source, .. } => ("anchor", None, source.check()),
            Self::NoAnchor { .. } => ("anchor", None, "kind"),
            Self::Log(rejection) => ("log", None, rejection.check()),
        };
        let segment = match self {
            Self::Records { segment: Some(segment), .. } => Some(segment.display().to_string()),
            _ => None,
        };
        Fields::new()
            .with("part", part)
            .with("record", record)
            .with("segment", segment)
            .with("check", check)
            .with("message", self.to_string())
    }
}

/// Why a command ended early.
enum Stopped {
    /// The audit log is not what it ought to be.
    Rejected(Box<Rejection>),
    /// It could not be read, or the result not be written.
    Failed(Error),
}

impl From<Rejection> for Stopped {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(Box::new(rejection))
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

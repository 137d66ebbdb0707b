//! How the process ends.

use std::process::ExitCode;

use tyto_client::tenant;

use crate::Error;

/// The exit codes, for scripts. `docs/cli.md` and `tyto --help` list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for verification a match, for identification a candidate for every probe.
    Success = 0,
    /// The answer is no: below the threshold, no candidate, or scores of an evaluation or a measurement that differ.
    No = 1,
    /// Wrong usage, or input that cannot be used; nothing was changed.
    BadInput = 2,
    /// An answer, or evidence such as an attestation, failed its check and was refused.
    Refused = 3,
    /// The server could not be reached, did not answer in time, or did not do what it was asked.
    Unavailable = 4,
    /// Not found, there already, full, or changed by somebody else at the same time.
    Conflict = 5,
    /// No passphrase or a wrong one; no keyring, or one without the key that is needed.
    Keyring = 6,
    /// This machine: a file could not be written, or the state directory is damaged.
    Local = 7,
    /// Interrupted (128 + SIGINT).
    Interrupted = 130,
}

/// The list of exit codes that `tyto --help` ends with.
pub const HELP: &str = "\
Exit codes:
  0    done; verify: match; identify: every probe has a candidate
  1    the answer is no: below the threshold, no candidate, evaluate or bench found a wrong score
  2    wrong usage or input that cannot be used; nothing was changed
  3    an answer or evidence failed its check and was refused: dishonest or broken server
  4    the server could not be reached, did not answer in time, or did not do what it was asked
  5    not found, there already, full, or changed by somebody else at the same time
  6    no passphrase or a wrong one; no keyring, signing key or credential, or not the one that is needed
  7    a local file could not be written, or the state directory is damaged
  130  interrupted";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The exit code of an error.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::InFile { source, .. } | Error::ReceiptPending { source, .. } => Self::of(source),
            Error::Client(error) => of_client(error),
            Error::Attestation(tyto_client::attest::Error::TrustedKeys { .. }) => Self::BadInput,
            Error::Attestation(_)
            | Error::OtherAudience { .. }
            | Error::LogRejected(_)
            | Error::AuditRejected(_)
            | Error::ReplayDiffers { .. }
            | Error::NoAttestation => Self::Refused,
            Error::Keyring { source, .. } | Error::SigningKey { source, .. } => match &**source {
                tyto_client::Error::FileExists { .. } => Self::Conflict,
                _ => Self::Keyring,
            },
            Error::NoKeyring { .. }
            | Error::NoSigningKey { .. }
            | Error::NoPassphrase { .. }
            | Error::PassphraseLength { .. }
            | Error::PassphrasesDiffer
            | Error::ReadPassphrase(_) => Self::Keyring,
            Error::TrialGallery | Error::KeyListed { .. } | Error::KeyNotListed { .. } => Self::Conflict,
            Error::Write { .. } | Error::Task => Self::Local,
            Error::Interrupted | Error::Measure(tyto_measure::Error::Interrupted) => Self::Interrupted,
            Error::Measure(tyto_measure::Error::WrongResult { .. }) => Self::No,
            Error::Measure(tyto_measure::Error::Tenant(error)) => of_tenant(error),
            Error::Tytod { .. } | Error::Health(_) | Error::NotCovered { .. } => Self::Unavailable,
            // What remains was wrong on the command line or in a file that it names.
            _ => Self::BadInput,
        }
    }
}

fn of_client(error: &tyto_client::Error) -> Exit {
    use tyto_client::Error as E;
    if error.is_refusal() {
        return Exit::Refused;
    }
    match error {
        E::Enrolment { source, .. } => of_client(source),
        E::Tenant(error) => of_tenant(error),
        E::Endpoint { .. }
        | E::Credential(_)
        | E::CredentialExposed { .. }
        | E::Audience { .. }
        | E::NotSealed
        | E::QueryTooLarge { .. }
        | E::TooManyTickets { .. } => {
            Exit::BadInput
        }
        E::ForeignKey { .. }
        | E::Rpc { code: tonic::Code::Unauthenticated | tonic::Code::PermissionDenied, .. } => Exit::Keyring,
        E::NameTaken { .. }
        | E::UnknownGallery { .. }
        | E::AmbiguousName { .. }
        | E::UnknownSubject
        | E::UnknownTicket(_)
        | E::GalleryFull { .. }
        | E::FileExists { .. }
        | E::Contention { .. }
        | E::NoLongerReplayable { .. }
        // Proxies rewrite codes; these are worth telling apart where they do not.
        | E::Rpc { code: tonic::Code::NotFound | tonic::Code::AlreadyExists | tonic::Code::Aborted, .. } => {
            Exit::Conflict
        }
        E::Connect { .. } | E::Timeout { .. } | E::Rpc { .. } | E::Session(_) => Exit::Unavailable,
        _ => Exit::Local,
    }
}

fn of_tenant(error: &tenant::Error) -> Exit {
    use tenant::Error as E;
    match error {
        E::Dimension { .. }
        | E::NotFinite { .. }
        | E::Zero
        | E::Norm { .. }
        | E::Range { .. }
        | E::MaximumNorm
        | E::SubjectLength { .. }
        | E::NameLength { .. } => Exit::BadInput,
        E::OtherKey | E::Passphrase | E::SealedFile { .. } | E::KeyringEntry(_) => Exit::Keyring,
        _ => Exit::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::PathBuf;
    use tyto_client::Error as E;
    use tyto_client::attest::{Error as A, KeyLineProblem, Part};
    use tyto_client::scheme::{BlockId, GalleryId, KeyId};

    fn rpc(code: tonic::Code) -> Error {
        E::Rpc { call: "Verify", code, message: String::new() }.into()
    }

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        let (gallery, block, path) = (GalleryId([1; 16]), BlockId([2; 16]), PathBuf::from("x"));
        let enrolment = |source: E| E::Enrolment { acknowledged: 1, uncertain: 2, source: Box::new(source) };
        let cases: Vec<(Error, Exit)> = vec![
            (Error::ZeroRow { row: 3 }, Exit::BadInput),
            (Error::in_file("a.npy")(Error::NpyMagic), Exit::BadInput),
            (Error::NotConfirmed, Exit::BadInput),
            (E::Tenant(tenant::Error::Zero).into(), Exit::BadInput),
            (E::Endpoint { endpoint: "x".into() }.into(), Exit::BadInput),
            (
                Error::in_file("keys")(A::TrustedKeys { line: 1, problem: KeyLineProblem::Header }.into()),
                Exit::BadInput,
            ),
            (
                Error::TrustRoot {
                    path: path.clone(),
                    source: A::InvalidSignature { part: Part::TrustRoot },
                },
                Exit::BadInput,
            ),
            (A::InvalidSignature { part: Part::Envelope }.into(), Exit::Refused),
            (E::RolledBack { gallery, found: 1, known: 2 }.into(), Exit::Refused),
            (E::Tenant(tenant::Error::CheckVector(block)).into(), Exit::Refused),
            (enrolment(E::SubjectDenied).into(), Exit::Refused),
            (E::Connect { endpoint: "x".into(), reason: "refused".into() }.into(), Exit::Unavailable),
            (enrolment(E::Timeout { call: "Enrol", seconds: 60 }).into(), Exit::Unavailable),
            (rpc(tonic::Code::Unavailable), Exit::Unavailable),
            (rpc(tonic::Code::Internal), Exit::Unavailable),
            (rpc(tonic::Code::NotFound), Exit::Conflict),
            (E::UnknownGallery { name: "x".into() }.into(), Exit::Conflict),
            (E::UnknownSubject.into(), Exit::Conflict),
            (E::NameTaken { gallery }.into(), Exit::Conflict),
            (E::ForeignKey { gallery, key: KeyId([3; 16]) }.into(), Exit::Keyring),
            (
                Error::Keyring { path: path.clone(), source: E::Tenant(tenant::Error::Passphrase).into() },
                Exit::Keyring,
            ),
            (
                Error::Keyring { path: path.clone(), source: E::FileExists { path: path.clone() }.into() },
                Exit::Conflict,
            ),
            (Error::NoKeyring { path: path.clone() }, Exit::Keyring),
            (Error::Write { path: path.clone(), source: io::ErrorKind::StorageFull.into() }, Exit::Local),
            (E::StateFile { path }.into(), Exit::Local),
            (Error::Interrupted, Exit::Interrupted),
        ];
        for (error, exit) in cases {
            assert_eq!(Exit::of(&error), exit, "{error:?}");
        }
    }

    #[test]
    fn help_lists_every_code() {
        use Exit::*;
        for exit in [Success, No, BadInput, Refused, Unavailable, Conflict, Keyring, Local, Interrupted] {
            let code = (exit as u8).to_string();
            assert!(HELP.lines().any(|line| line.split_whitespace().next() == Some(&*code)), "{code}");
        }
    }
}

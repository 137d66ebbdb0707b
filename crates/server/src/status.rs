//! What a caller gets to see of an error: a status and one sentence that names the field and the limit, if the fault
//! is the caller's; otherwise a fixed sentence, and the detail goes to the log.

use crate::Error;
use tonic::{Code, Status};
use tyto_store::Fault;

/// Who has to do something about an error.
enum Blame {
    /// The caller, who is told what.
    Caller(Code),
    /// Nobody in particular: the same call may succeed later.
    Later,
    /// The operator or the authors.
    Ours,
}

fn blame(error: &Error) -> Blame {
    use Blame::{Caller, Later, Ours};
    match error {
        Error::Denied(denial) if denial.is_about_the_credential() => Caller(Code::Unauthenticated),
        Error::Denied(_) => Caller(Code::PermissionDenied),
        Error::Request(_)
        | Error::Field { .. }
        | Error::PastTime { .. }
        | Error::MessageUndecodable
        | Error::StreamOrder(_)
        | Error::TicketContent(_)
        | Error::Records(_)
        | Error::Entries { .. } => Caller(Code::InvalidArgument),
        Error::UnknownGallery(_)
        | Error::UnknownTenant(_)
        | Error::UnknownPrincipal(_)
        | Error::UnknownApiKey(_)
        | Error::UnknownGrant(_)
        | Error::UnknownSubject
        | Error::UnknownTicket(_)
        | Error::UnknownEntry
        | Error::UnknownCheckpoint { .. }
        | Error::TicketExpired(_) => Caller(Code::NotFound),
        Error::TicketKind(_)
        | Error::KeyReplaced(_)
        | Error::TenantHasAdmin(_)
        | Error::TicketUsed(_)
        | Error::TicketSpent(_)
        | Error::AnswerTooLarge { .. }
        | Error::TooManyTemplates { .. } => Caller(Code::FailedPrecondition),
        Error::TooManyGalleries { .. }
        | Error::TooManyRights { .. }
        | Error::ResidentBytes { .. }
        | Error::TooManyIdentifications { .. }
        | Error::GalleryShare { .. }
        | Error::TooManyVerifications { .. }
        | Error::LogQueueFull { .. } => Caller(Code::ResourceExhausted),
        Error::MessageTooLarge { .. } => Caller(Code::OutOfRange),
        Error::StreamIdle { .. } | Error::StreamSlow { .. } => Caller(Code::DeadlineExceeded),
        Error::Engine(error) => engine(error),
        Error::Store(error) => store(error),
        Error::Draining
        | Error::Broken(_)
        | Error::NoCheckpoint
        | Error::LogUnavailable
        | Error::AuditUnavailable => Later,
        _ => Ours,
    }
}

fn engine(error: &tyto_engine::Error) -> Blame {
    use tyto_engine::Error as E;
    match error {
        E::UnknownBlock(_) => Blame::Caller(Code::NotFound),
        E::DuplicateBlock(_) | E::SlotUsed { .. } | E::SlotEmpty { .. } | E::EntryIndex { .. } => {
            Blame::Caller(Code::FailedPrecondition)
        }
        E::TooLarge { .. } | E::Scheme(_) => Blame::Caller(Code::InvalidArgument),
        _ => Blame::Ours,
    }
}

fn store(error: &tyto_store::Error) -> Blame {
    use tyto_store::Error as E;
    match (error, error.fault()) {
        (E::GalleryExists(_) | E::GalleryDeleted(_) | E::TicketExists(_) | E::NameTaken(_), _) => {
            Blame::Caller(Code::AlreadyExists)
        }
        (E::Limit { .. } | E::OutboxFull { .. }, _) => Blame::Caller(Code::ResourceExhausted),
        (_, Fault::NotFound) => Blame::Caller(Code::NotFound),
        (_, Fault::Conflict) => Blame::Caller(Code::FailedPrecondition),
        (_, Fault::Caller) => Blame::Caller(Code::InvalidArgument),
        _ => Blame::Ours,
    }
}

/// The status code of an error.
pub(crate) fn code(error: &Error) -> Code {
    match blame(error) {
        Blame::Caller(code) => code,
        Blame::Later => Code::Unavailable,
        Blame::Ours => Code::Internal,
    }
}

/// The status of an error; logs what the caller does not get to see.
pub(crate) fn status(method: &'static str, error: &Error) -> Status {
    match blame(error) {
        Blame::Caller(code) => Status::new(code, error.to_string()),
        Blame::Later => {
            tracing::info!(method, error = %chain(error), "call broken off");
            Status::unavailable("the server cannot answer now")
        }
        Blame::Ours => {
            tracing::error!(method, error = %chain(error), "call failed");
            Status::internal("the server failed; its log says why")
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_see_their_own_faults_and_no_others() {
        let theirs = Error::Request(tyto_api::Error::Missing { field: "manifest" });
        let seen = status("Enrol", &theirs);
        assert_eq!((seen.code(), seen.message()), (Code::InvalidArgument, "manifest is missing"));
        let ours = Error::PrivateFile {
            action: "read",
            path: "/secret/place".into(),
            source: std::io::Error::other("disk on fire"),
        };
        let seen = status("Verify", &ours);
        assert_eq!(seen.code(), Code::Internal);
        assert!(!seen.message().contains("secret") && !seen.message().contains("fire"));
        assert_eq!(chain(&ours), "cannot read /secret/place: disk on fire");
    }
}

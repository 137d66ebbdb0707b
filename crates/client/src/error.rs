use crate::state::hex;
use std::io;
use std::path::{Path, PathBuf};
use tyto_attest::{Operation, Purpose};
use tyto_scheme::{BlockId, GalleryId, KeyId, TicketId};

/// Why a call failed. None of this is ever told to a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no sealed session with the server (server, or someone between).
    #[error("there is no sealed session with the server")]
    Session(#[source] tyto_sealed::Error),

    // --- the caller's
    /// The endpoint is not a URL that this client can connect to.
    #[error("the endpoint `{endpoint}` is not of the form http://host:port")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// The credential is no API key, or was mistyped.
    #[error(transparent)]
    Credential(#[from] tyto_access::KeyTextError),
    /// Others may read the file with the credential.
    #[error("{path} has mode {mode:o}: it holds a credential, and must be its owner's alone (chmod 600)", path = path.display())]
    CredentialExposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is no session without servers that are trusted for it.
    #[error("no servers are trusted for sealed sessions")]
    NotSealed,
    /// The audience is too long or has control characters.
    #[error("an audience has at most {max_bytes} bytes and no control characters")]
    Audience {
        /// The limit.
        max_bytes: usize,
    },
    /// Trusted keys are set, and attestations are switched off: nothing would be held against the keys.
    #[error("there are trusted keys, but attestations are switched off")]
    AttestationsOff,
    /// A gallery of this name exists under this keyring.
    #[error("there is a gallery of this name already: {gallery}")]
    NameTaken {
        /// It.
        gallery: GalleryId,
    },
    /// No gallery has this name or id.
    #[error("there is no gallery `{name}` under this keyring")]
    UnknownGallery {
        /// What was looked for.
        name: String,
    },
    /// More than one gallery has this name.
    #[error("{count} galleries are called `{name}`: use the id")]
    AmbiguousName {
        /// What was looked for.
        name: String,
        /// How many have the name.
        count: usize,
    },
    /// The gallery was made under a key that is not in the keyring.
    #[error("gallery {gallery} belongs to tenant key {key}, which is not in the keyring")]
    ForeignKey {
        /// The gallery.
        gallery: GalleryId,
        /// Its key.
        key: KeyId,
    },
    /// The subject has no template in the gallery, by the tenant's own records.
    #[error("the subject is not enrolled in this gallery")]
    UnknownSubject,
    /// A whole query does not fit into one message; use tickets.
    #[error("a whole query of this gallery has {bytes} bytes, the limit is {max_bytes}: use tickets")]
    QueryTooLarge {
        /// Bytes of the query.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// More tickets than are kept at once.
    #[error("{found} tickets are too many, the limit is {max}")]
    TooManyTickets {
        /// Wished.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// The ticket was not issued by this process, or it was used or has expired.
    #[error("ticket {0} is not one that waits for its use")]
    UnknownTicket(TicketId),
    /// The manifest would not fit into one message.
    #[error("the gallery is full: {blocks} blocks are the limit")]
    GalleryFull {
        /// The limit.
        blocks: usize,
    },
    /// A template that was compared has been removed since, or its block is gone.
    #[error("no longer replayable: the template in slot {slot} of block {block} was removed since")]
    NoLongerReplayable {
        /// The block.
        block: BlockId,
        /// The first slot whose template is gone.
        slot: u16,
    },
    /// A decision was to be signed about an answer that came without an attestation.
    #[error("the answer carries no attestation that a decision could rest on")]
    NoAttestation,
    /// A key file is there already and would be overwritten.
    #[error("{path} exists already")]
    FileExists {
        /// The file.
        path: PathBuf,
    },

    // --- this machine's
    /// A file of the state directory or a keyring could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the state directory is not what this client wrote.
    #[error("{path} is damaged or of an unknown version")]
    StateFile {
        /// The file.
        path: PathBuf,
    },
    /// A background task of this process ended early.
    #[error("a background task ended early")]
    Task,

    // --- the network's, or the server's in words
    /// The server could not be reached.
    #[error("cannot connect to {endpoint}: {reason}")]
    Connect {
        /// Where.
        endpoint: String,
        /// Why, by the transport.
        reason: String,
    },
    /// The server refused a call or the connection broke.
    #[error("{call}: {code:?}: {message}")]
    Rpc {
        /// The call.
        call: &'static str,
        /// The gRPC status code. Proxies rewrite codes: it explains, it proves nothing.
        code: tonic::Code,
        /// What the server said, without control characters.
        message: String,
    },
    /// No answer in time.
    #[error("{call}: no answer within {seconds} s")]
    Timeout {
        /// The call.
        call: &'static str,
        /// The limit.
        seconds: u64,
    },
    /// The server lists more galleries than are taken.
    #[error("the server lists more than {max} galleries")]
    TooManyGalleries {
        /// The limit.
        max: usize,
    },
    /// Others kept changing the gallery first.
    #[error("the gallery kept being changed by others, gave up after {attempts} attempts")]
    Contention {
        /// Attempts.
        attempts: u32,
    },
    /// An enrolment that ended before its end.
    #[error("enrolment stopped after {acknowledged} templates ({uncertain} more may be enrolled): {source}")]
    Enrolment {
        /// The first so many templates are enrolled, durably.
        acknowledged: u64,
        /// So many after them were sent and not acknowledged; the next synchronisation shows whether they arrived.
        uncertain: u64,
        /// Why it stopped.
        source: Box<Error>,
    },

    // --- answers that are refused
    /// The manifest is older than one that was seen before.
    #[error("gallery {gallery} was rolled back: manifest {found} came, {known} was seen before")]
    RolledBack {
        /// The gallery.
        gallery: GalleryId,
        /// The version that came.
        found: u64,
        /// The version that was seen.
        known: u64,
    },
    /// Two manifests of one version.
    #[error("gallery {gallery} was forked: there are two manifests of version {version}")]
    Forked {
        /// The gallery.
        gallery: GalleryId,
        /// The version.
        version: u64,
    },
    /// The server described another gallery than was asked for, or other parameters than before.
    #[error("gallery {gallery}: the server's description is not that of this gallery")]
    OtherGallery {
        /// The gallery that was asked for.
        gallery: GalleryId,
    },
    /// The answer names a version without the manifest that would prove it.
    #[error("the manifest of version {version} is missing from the answer")]
    MissingManifest {
        /// The version.
        version: u64,
    },
    /// A block of the manifest is not in the answer.
    #[error("block {0} is missing from the answer")]
    MissingBlock(BlockId),
    /// A block came at another version than the manifest lists.
    #[error("block {block}: version {found} came, the manifest lists {listed}")]
    StaleBlock {
        /// The block.
        block: BlockId,
        /// The version that came.
        found: u64,
        /// The version of the manifest.
        listed: u64,
    },
    /// The answer has a block that the manifest does not list.
    #[error("block {0} is not in the manifest")]
    UnknownBlock(BlockId),
    /// A block or slot came twice in one answer.
    #[error("block {0} came twice in one answer")]
    AnsweredTwice(BlockId),
    /// The record of a block did not come and is not known.
    #[error("block {0}: its record is missing from the answer")]
    MissingRecord(BlockId),
    /// A block's record is not the one of the manifest.
    #[error("block {0}: the record is not the one that the manifest lists")]
    OtherRecord(BlockId),
    /// Slot-map entries do not continue those that are known.
    #[error("block {block}: entries come from number {found}, {known} are known")]
    EntryGap {
        /// The block.
        block: BlockId,
        /// Index of the first entry that came.
        found: u32,
        /// Entries known.
        known: u32,
    },
    /// A template of the subject was left out.
    #[error("block {block}: slot {slot} of the subject was not answered")]
    MissingSlot {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// A score that is not of a template of the subject, as far as the tenant's records say.
    #[error("block {block}: slot {slot} was answered but is not known to be the subject's")]
    UnconfirmedSlot {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// The server denies a subject that the tenant's own records list.
    #[error("the server denies a subject that is enrolled by the tenant's records")]
    SubjectDenied,
    /// A message where none of its kind belongs, or the end of an answer before its end.
    #[error("{call}: the answer is incomplete or out of order")]
    OutOfOrder {
        /// The call.
        call: &'static str,
    },
    /// The server says that it did something else than it was told.
    #[error("{call}: the server acknowledges manifest {found} instead of {expected}")]
    Acknowledgement {
        /// The call.
        call: &'static str,
        /// The version in the answer.
        found: u64,
        /// The version that was sent.
        expected: u64,
    },
    /// An attestation was asked for, trusted keys are set, and none came.
    #[error("the answer carries no attestation")]
    AttestationMissing,
    /// The attestation holds, but is not about this request and this answer.
    #[error("the attestation of this {operation} does not match: {field}")]
    AttestationMismatch {
        /// What was done.
        operation: Operation,
        /// The field of the statement that differs.
        field: &'static str,
    },
    /// A change of a gallery was acknowledged, and the answer has not the entry that the log must have of it. The change
    /// is made.
    #[error("{call}: the change was made, and the answer has no entry of the log")]
    EntryMissing {
        /// The call.
        call: &'static str,
    },
    /// What the server says that the log has of a change is not about what was sent. The change is made.
    #[error("{call}: the change was made, and the log's entry of it does not match: {field}")]
    EntryMismatch {
        /// The call.
        call: &'static str,
        /// The field of the statement that differs.
        field: &'static str,
    },
    /// What the server attested is not the document that it was asked to attest.
    #[error("the attestation of this document does not match: {field}")]
    DocumentMismatch {
        /// The field of the statement that differs.
        field: &'static str,
    },
    /// The log has fewer entries than were seen before.
    #[error("the log was rolled back: a checkpoint of {found} entries came, one of {known} was seen before")]
    LogRolledBack {
        /// Entries seen.
        known: u64,
        /// Entries that came.
        found: u64,
    },
    /// Two checkpoints of one log of which neither extends the other.
    #[error(
        "the log was forked: its {found} entries do not go together with the {known} that were seen before"
    )]
    LogForked {
        /// Entries of the one.
        known: u64,
        /// Entries of the other.
        found: u64,
    },
    /// A checkpoint of another log than the server's.
    #[error("the checkpoint is one of another log")]
    OtherLog,
    /// The server names another log than it did before, and no trust root has the new one: what was seen of the old one
    /// says nothing about it.
    #[error(
        "the server's log was replaced: it was {} and is {}{}",
        hex(.known),
        hex(.found),
        remedy(.file.as_deref())
    )]
    LogReplaced {
        /// The log before.
        known: [u8; 32],
        /// The one that is named now.
        found: [u8; 32],
        /// The file that says so, if there is a state directory. Whoever knows that the log was rightly begun anew
        /// deletes it.
        file: Option<PathBuf>,
    },
    /// The server does not list a key that it signs with.
    #[error("a key for the purpose `{}` is in no list", purpose.name())]
    UnlistedKey {
        /// What it is for.
        purpose: Purpose,
    },
    /// The attestation itself does not hold.
    #[error("attestation: {0}")]
    Attestation(#[from] tyto_attest::Error),
    /// A message that breaks the rules of the interface.
    #[error("the answer breaks the interface: {0}")]
    Message(#[from] tyto_api::Error),
    /// The secret side refused: a vector, a file, an answer that fails its check.
    #[error(transparent)]
    Tenant(#[from] tyto_tenant::Error),
}

impl Error {
    /// Whether an answer of the server was refused because it fails a check: then the server, or somebody on the way,
    /// is broken or dishonest.
    pub fn is_refusal(&self) -> bool {
        use tyto_tenant::Error as Secret;
        match self {
            Self::Tenant(error) => matches!(
                error,
                Secret::Sealed { .. }
                    | Secret::SealedVersion { .. }
                    | Secret::SlotMap { .. }
                    | Secret::Version { .. }
                    | Secret::AnsweredTwice(_)
                    | Secret::QuerySpent
                    | Secret::Slots(_)
                    | Secret::CheckVector(_)
                    | Secret::CheckQuery { .. }
                    | Secret::NotEnrolled { .. }
                    | Secret::DeltaTag { .. }
                    | Secret::TicketTag(_)
                    | Secret::Scheme(_)
            ),
            Self::Enrolment { source, .. } => source.is_refusal(),
            Self::RolledBack { .. }
            | Self::Forked { .. }
            | Self::OtherGallery { .. }
            | Self::MissingManifest { .. }
            | Self::MissingBlock(_)
            | Self::StaleBlock { .. }
            | Self::UnknownBlock(_)
            | Self::AnsweredTwice(_)
            | Self::MissingRecord(_)
            | Self::OtherRecord(_)
            | Self::EntryGap { .. }
            | Self::MissingSlot { .. }
            | Self::UnconfirmedSlot { .. }
            | Self::SubjectDenied
            | Self::OutOfOrder { .. }
            | Self::Acknowledgement { .. }
            | Self::AttestationMissing
            | Self::AttestationMismatch { .. }
            | Self::DocumentMismatch { .. }
            | Self::EntryMissing { .. }
            | Self::EntryMismatch { .. }
            | Self::LogRolledBack { .. }
            | Self::LogForked { .. }
            | Self::OtherLog
            | Self::LogReplaced { .. }
            | Self::UnlistedKey { .. }
            | Self::Attestation(_)
            | Self::Message(_) => true,
            _ => false,
        }
    }

    /// Whether something was signed with a key that is not known: the server may have changed its keys.
    pub(crate) fn is_missing_key(&self) -> bool {
        matches!(self, Self::UnlistedKey { .. } | Self::Attestation(tyto_attest::Error::UnknownKey { .. }))
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

fn remedy(file: Option<&Path>) -> String {
    file.map_or_else(String::new, |file| format!("; if that is right, delete {}", file.display()))
}

impl From<tokio::task::JoinError> for Error {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Task
    }
}

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use tyto_access::{ApiKeyId, Denial, GrantId, PrincipalId, TenantId};
use tyto_scheme::{BlockId, GalleryId, TicketId};

/// What can go wrong, at start and in calls. `status` says what a caller gets to see of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration file cannot be read (operator).
    #[error("cannot read the configuration {path}")]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file has a syntax error, an unknown key or a value of the wrong type (operator).
    #[error("the configuration is wrong")]
    ParseConfig(#[source] Box<toml::de::Error>),
    /// A value of the configuration is out of range (operator).
    #[error("configuration: {key} is {value}, not between {min} and {max}")]
    ConfigValue {
        /// The key.
        key: &'static str,
        /// Its value.
        value: u64,
        /// The least value.
        min: u64,
        /// The greatest value.
        max: u64,
    },
    /// The issuer has control characters (operator).
    #[error("configuration: issuer has control characters")]
    ConfigIssuer,
    /// The server would be open to others than this machine's users, without asking who they are (operator).
    #[error("configuration: {address} is no loopback address, and access.required is false")]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// A name in the configuration of sealed sessions has control characters (operator).
    #[error("configuration: session.audience or session.name has control characters")]
    ConfigSessionName,
    /// Sealed sessions cannot be set up (bug or environment).
    #[error("sealed sessions cannot be set up")]
    Sessions(#[from] tyto_session::Error),
    /// The log filter is wrong (operator).
    #[error("configuration: log.filter {0:?} is not a filter")]
    LogFilter(String),
    /// An address cannot be listened on (operator or environment).
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A private file of the data directory, such as a signing key, cannot be read or written (environment).
    #[error("cannot {action} {path}")]
    PrivateFile {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file with this server's name among those on the same database is damaged (operator).
    #[error("node-id in the data directory does not have 16 bytes")]
    NodeId,
    /// The file with this server's key for credentials is damaged (operator).
    #[error("access-key in the data directory does not have 32 bytes")]
    AccessKey,
    /// Wrapped keys are demanded, and no key-encryption key is configured (operator).
    #[error("keys.wrapped is set, and [keys] names no passphrase")]
    KeysPlain,
    /// The data directory has a keystore, and no key-encryption key is configured (operator).
    #[error("the keys of the data directory are wrapped: [keys] must say where the passphrase is")]
    KeysWrapped,
    /// More than one key-encryption key is configured (operator).
    #[error("configuration: [keys] names more than one passphrase")]
    ConfigKeys,
    /// The keystore cannot be opened or changed.
    #[error(transparent)]
    Keystore(#[from] tyto_keystore::Error),
    /// A key of one purpose was asked for as one of another (bug).
    #[error("the {0} key is of another algorithm")]
    KeyPurpose(tyto_keystore::Purpose),
    /// The log says that a key went out of use which is to sign again (operator or peer).
    #[error("the log says that key {key} went out of use: the keys were rolled back", key = hex(key_id))]
    RetiredKey {
        /// The key.
        key_id: [u8; 32],
    },
    /// A file cannot be made (operator or environment).
    #[error("cannot write {path}", path = path.display())]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The transport failed (environment).
    #[error("the transport failed")]
    Transport(#[from] tonic::transport::Error),
    /// The runtime cannot be made, or signals cannot be received (environment).
    #[error("cannot {action}")]
    Runtime {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The interface's description is not what reflection expects (bug).
    #[error("the interface's description is broken")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A gallery cannot be brought into memory (storage).
    #[error("gallery {gallery} cannot be loaded")]
    Load {
        /// The gallery.
        gallery: GalleryId,
        /// Why.
        source: Box<Self>,
    },
    /// The stored galleries need more memory than they may have (operator).
    #[error(
        "the galleries need {needed_bytes} bytes of memory, limits.resident_bytes allows {allowed_bytes}: \
         set it higher, or run on a machine with more memory"
    )]
    LoadTooLarge {
        /// Bytes that the blocks of all galleries take.
        needed_bytes: u64,
        /// The limit.
        allowed_bytes: u64,
    },
    /// What is stored of a block does not fit together (storage).
    #[error("block {0} is not in its segment where its row says")]
    BlockPlace(BlockId),

    /// The caller may not do this (caller).
    #[error(transparent)]
    Denied(#[from] Denial),
    /// A message is wrong (caller).
    #[error(transparent)]
    Request(#[from] tyto_api::Error),
    /// A field does not fit the gallery (caller).
    #[error("{field}: {source}")]
    Field {
        /// The field.
        field: &'static str,
        /// Why.
        source: tyto_scheme::Error,
    },
    /// A message of a stream is over the limit (caller).
    #[error("a message has more than {max_bytes} bytes, the limit")]
    MessageTooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// A message of a stream does not decode (caller).
    #[error("a message is not one of this call")]
    MessageUndecodable,
    /// A stream breaks its order: header first, then chunks, then what ends it (caller).
    #[error("stream: {0}")]
    StreamOrder(&'static str),
    /// The caller kept a request stream silent for too long (caller).
    #[error("stream: nothing arrived for {idle_s} seconds")]
    StreamIdle {
        /// The limit in seconds.
        idle_s: u64,
    },
    /// There is no such tenant (caller).
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    /// The caller's tenant has no such principal (caller).
    #[error("there is no principal {0}")]
    UnknownPrincipal(PrincipalId),
    /// The caller's tenant has no such API key (caller).
    #[error("there is no API key {0}")]
    UnknownApiKey(ApiKeyId),
    /// The caller's tenant has no such grant (caller).
    #[error("there is no grant {0}")]
    UnknownGrant(GrantId),
    /// The key was revoked, or replaced before (caller).
    #[error("API key {0} was revoked or replaced before: a key is replaced once")]
    KeyReplaced(ApiKeyId),
    /// The tenant can help itself (caller).
    #[error("tenant {0} has an admin who can call")]
    TenantHasAdmin(TenantId),
    /// There are as many as there may be (caller).
    #[error("there are {max} {what}, the limit")]
    TooManyRights {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// Something would end before it begins (caller).
    #[error("{field} lies in the past")]
    PastTime {
        /// The field.
        field: &'static str,
    },
    /// There is no such gallery (caller).
    #[error("there is no gallery {0}")]
    UnknownGallery(GalleryId),
    /// The gallery holds no template of the subject (caller).
    #[error("the gallery has no template of this subject")]
    UnknownSubject,
    /// There is no such ticket in this gallery (caller).
    #[error("there is no ticket {0} for this gallery")]
    UnknownTicket(TicketId),
    /// The ticket expired (caller).
    #[error("ticket {0} expired")]
    TicketExpired(TicketId),
    /// The ticket is for the other kind of comparison (caller).
    #[error("ticket {0} is for the other kind of comparison")]
    TicketKind(TicketId),
    /// The ticket was used for another request (caller).
    #[error("ticket {0} was used for another request")]
    TicketUsed(TicketId),
    /// The ticket was used, and its answer was lost (environment).
    #[error("ticket {0} was used and its answer is gone")]
    TicketSpent(TicketId),
    /// The bytes of a ticket end before or after its announced size, or have another digest (caller).
    #[error("chunk.data: the ticket does not have the announced {0}")]
    TicketContent(&'static str),
    /// The records of a segment do not go with its blocks (caller).
    #[error("commit.records: {0}")]
    Records(&'static str),
    /// A block's slot map would have too many entries (caller).
    #[error("changes.entries: block {block} would have {found} entries, the limit is {max}")]
    Entries {
        /// The block.
        block: BlockId,
        /// Entries after the change.
        found: u64,
        /// The limit.
        max: u32,
    },
    /// The answer does not fit into a message (caller).
    #[error("the answer has {found_bytes} bytes, the limit is {max_bytes}: fetch the changed records first")]
    AnswerTooLarge {
        /// Bytes of the answer.
        found_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The subject has too many templates (caller).
    #[error("the subject has {found} templates, the limit of a verification is {max}")]
    TooManyTemplates {
        /// Templates found.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// There is no memory for the blocks of another segment (caller).
    #[error("the galleries would take {found} bytes of memory, limits.resident_bytes allows {max}")]
    ResidentBytes {
        /// Bytes with the segment.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// Too many identifications wait (caller).
    #[error("{max} identifications wait already, the limit of identification.queued")]
    TooManyIdentifications {
        /// The limit.
        max: usize,
    },
    /// Too many identifications of one gallery wait (caller).
    #[error("{max} identifications of this gallery are under way, half of all that there may be")]
    GalleryShare {
        /// The limit.
        max: usize,
    },
    /// Too many verifications wait (caller).
    #[error("{max} verifications of this kind wait already, the limit of limits.queued_verifications")]
    TooManyVerifications {
        /// The limit.
        max: usize,
    },
    /// Too many entries wait to be stored for the log (caller).
    #[error("{max} entries wait for the log already, as many as transparency.queued_entries allows them")]
    LogQueueFull {
        /// The limit.
        max: usize,
    },
    /// There is no such entry in the log (caller).
    #[error("the log has no entry with this leaf hash")]
    UnknownEntry,
    /// There is no checkpoint of that size (caller).
    #[error("there is no checkpoint of {size} entries; the newest has {newest}")]
    UnknownCheckpoint {
        /// The size asked for.
        size: u64,
        /// Entries of the newest one.
        newest: u64,
    },
    /// Nothing was logged and signed yet (environment).
    #[error("the log has no checkpoint yet")]
    NoCheckpoint,
    /// The newest checkpoint is so far in the future that no verifier would take one of its time (operator).
    #[error(
        "the newest checkpoint is {ahead_ms} ms ahead of the clock: nothing is signed before the clock is there"
    )]
    LogClock {
        /// How far ahead it is, in milliseconds.
        ahead_ms: u64,
    },
    /// Entries cannot be stored at the moment (storage); the log says why.
    #[error("the log takes no entries at the moment")]
    LogUnavailable,
    /// Records of calls cannot be made durable at the moment (storage); the log says why.
    #[error("the audit log takes no records at the moment")]
    AuditUnavailable,
    /// A file of the audit log cannot be used (operator).
    #[error("cannot {action} {path}, of the audit log")]
    AuditFile {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The newest segment of the audit log has no head (storage).
    #[error("{path} is no segment of an audit log: `tyto audit verify` says more")]
    AuditSegment {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: tyto_audit::Error,
    },
    /// Records are gone that the transparency log has an anchor of (storage, or somebody who can write there).
    #[error(
        "the audit log ends after {records} records, and {anchored} were anchored: keep its directory as evidence, and move it away to begin another one"
    )]
    AuditCutOff {
        /// Records that are there.
        records: u64,
        /// Records that the newest anchor covers.
        anchored: u64,
    },
    /// A stream took too long as a whole (caller).
    #[error("stream: the ticket did not arrive within {max_s} seconds")]
    StreamSlow {
        /// The limit in seconds.
        max_s: u64,
    },
    /// There are as many galleries as there may be (caller).
    #[error("there are {max} galleries, the limit")]
    TooManyGalleries {
        /// The limit.
        max: usize,
    },
    /// The server shuts down (environment).
    #[error("the server shuts down")]
    Draining,
    /// The transport of a call failed (environment).
    #[error("the call was broken off")]
    Broken(#[source] Box<tonic::Status>),

    /// A change does not fit the gallery (caller).
    #[error(transparent)]
    Engine(#[from] tyto_engine::Error),
    /// The store refused or failed; [`tyto_store::Error::fault`] says whose fault it is.
    #[error(transparent)]
    Store(#[from] tyto_store::Error),
    /// An attestation cannot be made (bug).
    #[error("the attestation cannot be made")]
    Attest(#[from] tyto_attest::Error),
    /// The cryptographic library failed (bug or environment).
    #[error("a cryptographic operation failed")]
    Crypto(#[from] tyto_pqc::Error),
    /// A pass ended before all blocks had replied (bug).
    #[error("a pass did not finish")]
    Pass,
    /// A computation panicked (bug).
    #[error("a computation did not finish")]
    Panic,
    /// A task panicked or was stopped (bug).
    #[error("a task did not finish")]
    Task(#[from] tokio::task::JoinError),
    /// The gallery in memory is not the one in the store (bug).
    #[error("the gallery in memory is at version {resident}, in the store at {stored}")]
    Diverged {
        /// The version in memory.
        resident: u64,
        /// The version in the store.
        stored: u64,
    },
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

//! What calls give back.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tyto_attest::{AttestationFile, Content, Statement};
use tyto_scheme::{BlockId, GalleryId, GalleryParameters};
use tyto_tenant::{Metric, SubjectId};

/// A gallery as the list of galleries shows it. Counts are the server's word.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GallerySummary {
    /// The gallery.
    pub id: GalleryId,
    /// Its name; none if it belongs to a key that is not in the keyring.
    pub name: Option<String>,
    /// Its metric; none as above.
    pub metric: Option<Metric>,
    /// Its public parameters.
    pub parameters: GalleryParameters,
    /// Templates enrolled and not removed.
    pub templates: u64,
    /// Blocks.
    pub blocks: u64,
    /// When it was created, milliseconds since 1970.
    pub created_unix_ms: u64,
}

/// A gallery after a synchronisation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GalleryStat {
    /// The gallery.
    pub id: GalleryId,
    /// Its public parameters.
    pub parameters: GalleryParameters,
    /// Version of the manifest, by the tenant's records.
    pub manifest_version: u64,
    /// Blocks, by the tenant's records.
    pub blocks: u64,
    /// Templates enrolled and not removed, by the tenant's records.
    pub templates: u64,
    /// Slots ever written, by the tenant's records.
    pub slots_used: u64,
    /// Slots in all blocks.
    pub slots_total: u64,
    /// Bytes of server memory that the gallery takes: the server's word.
    pub resident_bytes: u64,
    /// When it was created, milliseconds since 1970: the server's word.
    pub created_unix_ms: u64,
}

/// A subject of a gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubjectEntry {
    /// The subject.
    pub subject: Arc<SubjectId>,
    /// Its templates.
    pub templates: u32,
}

/// What a synchronisation brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncReport {
    /// Version of the manifest now.
    pub manifest_version: u64,
    /// Blocks whose records came.
    pub changed_blocks: u64,
    /// Slot-map entries that came.
    pub new_entries: u64,
    /// Bytes received.
    pub bytes_received: u64,
}

/// What an enrolment did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnrolReport {
    /// Templates enrolled, durably.
    pub enrolled: u64,
    /// Blocks provisioned for them.
    pub blocks_provisioned: u64,
    /// Transactions.
    pub requests: u64,
    /// How often somebody else changed the gallery first.
    pub conflicts: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Whether half-full blocks can be gone on with after a restart.
    pub journalled: bool,
    /// Wall-clock time.
    pub elapsed: Duration,
}

/// The score of one template.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemplateScore {
    /// The template's block.
    pub block: BlockId,
    /// The template's slot.
    pub slot: u16,
    /// The exact inner product of the quantised vectors.
    pub score: i32,
    /// The same in the unit of the gallery's metric.
    pub value: f64,
}

/// Whether a comparison score reaches a threshold (ISO/IEC 2382-37: comparison decision).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It does.
    Match,
    /// It does not.
    NonMatch,
}

/// When things happened, counted from the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// The probe was ready and handed to the transport.
    pub sent: Duration,
    /// The first result was decrypted.
    pub first_block: Duration,
    /// The last result was decrypted.
    pub last_block: Duration,
    /// Everything was checked.
    pub total: Duration,
}

/// An attestation that came with an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeptAttestation {
    /// Attestation, salt, request and result, to be saved.
    pub file: AttestationFile,
    /// What the signer claims, compared with what was sent and received. None if no trusted keys were set: then
    /// nothing of the attestation was verified.
    pub statement: Option<Statement>,
    /// What a replay needs beside the file, if [`Config::keep_replays`](crate::Config::keep_replays) is set.
    pub basis: Option<ReplayBasis>,
}

/// What an answer was computed on, as far as a replay needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayBasis {
    /// The gallery.
    pub parameters: GalleryParameters,
    /// Version of its manifest.
    pub manifest_version: u64,
    /// SHA3-256 of the sealed manifest.
    pub manifest_digest: [u8; 32],
    /// All blocks in the order of the manifest, with their versions.
    pub blocks: Vec<(BlockId, u64)>,
    /// Those that were matched, in the order of the answer.
    pub covered: Vec<CoveredBlock>,
    /// The ticket as it was uploaded, if the probe was sent by one that this process made for it.
    pub ticket: Option<Bytes>,
}

/// A block that was matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredBlock {
    /// Its place in the manifest.
    pub position: usize,
    /// SHA3-256 of its sealed record.
    pub record_digest: [u8; 32],
    /// The slots that held templates, ascending.
    pub filled: Vec<u16>,
}

/// The answer to a verification (1:1), fully checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verification {
    /// The claimed subject.
    pub subject: SubjectId,
    /// All its templates; at least one.
    pub templates: Vec<TemplateScore>,
    /// The best of them.
    pub best: TemplateScore,
    /// The attestation, if one was asked for and came.
    pub attestation: Option<KeptAttestation>,
    /// Version of the manifest that the answer was computed on.
    pub manifest_version: u64,
    /// Bytes of the messages sent for this answer.
    pub bytes_sent: u64,
    /// Bytes of the messages received.
    pub bytes_received: u64,
    /// Durations.
    pub timings: Timings,
}

impl Verification {
    /// Whether the best score reaches a threshold in score steps; see
    /// [`Quantiser::threshold`](tyto_tenant::Quantiser::threshold).
    pub fn decision(&self, threshold_score: i32) -> Decision {
        if self.best.score >= threshold_score { Decision::Match } else { Decision::NonMatch }
    }
}

/// One subject of a candidate list.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The subject.
    pub subject: Arc<SubjectId>,
    /// The best score of its templates.
    pub score: i32,
    /// The same in the unit of the gallery's metric.
    pub value: f64,
    /// The scores of all its templates.
    pub templates: Vec<TemplateScore>,
}

/// The score of one template of the gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GalleryScore {
    /// Whose template it is.
    pub subject: Arc<SubjectId>,
    /// Its block.
    pub block: BlockId,
    /// Its slot.
    pub slot: u16,
    /// Its score.
    pub score: i32,
}

/// The answer to an identification (1:N), fully checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Identification {
    /// The best subjects, best first; equals in order of their ids.
    pub candidates: Vec<Candidate>,
    /// Templates that the probe was compared with.
    pub compared: u64,
    /// Every score, if it was asked for.
    pub all: Option<Vec<GalleryScore>>,
    /// The attestation, if one was asked for and came.
    pub attestation: Option<KeptAttestation>,
    /// Version of the manifest that the answer was computed on.
    pub manifest_version: u64,
    /// Bytes of the messages sent for this answer.
    pub bytes_sent: u64,
    /// Bytes of the messages received.
    pub bytes_received: u64,
    /// Durations.
    pub timings: Timings,
}

/// How a probe goes to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProbeBy {
    /// By a prepared ticket if there is one, else as a whole query if that fits into a message, else by a ticket made
    /// now.
    #[default]
    Auto,
    /// By a ticket: a prepared one, or one made now.
    Ticket,
    /// As a whole query.
    WholeQuery,
}

/// Choices for a verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// How the probe goes to the server.
    pub probe_by: ProbeBy,
}

/// Choices for an identification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentifyOptions {
    /// How many subjects the candidate list has at most.
    pub candidates: usize,
    /// The least score of a candidate; see [`Quantiser::threshold`](tyto_tenant::Quantiser::threshold).
    pub min_score: Option<i32>,
    /// Whether every score of the gallery is wanted, about 40 bytes each.
    pub collect_all: bool,
    /// How the probe goes to the server.
    pub probe_by: ProbeBy,
}

impl Default for IdentifyOptions {
    /// Ten candidates, whatever their scores.
    fn default() -> Self {
        Self { candidates: 10, min_score: None, collect_all: false, probe_by: ProbeBy::Auto }
    }
}

/// What the log says about a change of a gallery that was made here, and what opens its digests.
///
/// With `salt` and `state` anyone can recompute the statement's gallery state digest; the request digest besides needs
/// the request's content, which is as large as the request and is not kept.
///
/// # Security
/// The salt lets guesses of the request be tested: it is for whoever the change is to be proved to.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedChange {
    /// The log's entry, for [`Client::bundle`](crate::Client::bundle).
    pub content: Content,
    /// What it says.
    pub statement: Statement,
    /// The salt of its digests.
    pub salt: [u8; 32],
    /// The content of its gallery state digest; empty for the deletion of a gallery that was not open.
    pub state: Vec<u8>,
}

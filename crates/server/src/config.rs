//! One typed tree, read and checked before any socket opens. Unknown keys are errors.

use crate::Error;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use tyto_api::limits::{MAX_AUDIENCE_BYTES, MAX_DOCUMENTS_PER_CALL};
use tyto_keystore::{Kek, Passphrase, PassphraseSource};
use tyto_session::{MAX_LIFETIME_S, MAX_NAME_BYTES, MAX_RPCS};

/// Everything that an operator can choose.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything is kept; one server at a time has it open.
    pub data_dir: PathBuf,
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where metrics are served in plain text, if anywhere. Not for the public.
    pub admin_listen: Option<SocketAddr>,
    /// The name under which attestations are issued.
    pub issuer: String,
    /// Whether clients may ask for the interface's description (`grpc.reflection.v1`).
    pub reflection: bool,
    /// How long calls in flight may take to finish at shutdown, in seconds.
    pub drain_deadline_s: u64,
    /// Who may call.
    pub access: AccessConfig,
    /// Tickets.
    pub tickets: TicketConfig,
    /// Identification.
    pub identification: IdentificationConfig,
    /// The transparency log.
    pub transparency: TransparencyConfig,
    /// How the server's own private keys are kept.
    pub keys: KeysConfig,
    /// What the process protects its memory with.
    pub process: ProcessConfig,
    /// The audit log.
    pub audit: AuditConfig,
    /// Sealed sessions.
    pub session: SessionConfig,
    /// Limits.
    pub limits: LimitConfig,
    /// Logging.
    pub log: LogConfig,
}

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Whether every call needs a credential. Without it, whoever can connect may do everything: the server starts only
    /// if it listens on loopback addresses alone.
    pub required: bool,
    /// API keys that are older are refused, in days.
    pub max_key_age_days: u32,
    /// API keys that were not used for longer are refused, in days.
    pub max_key_idle_days: u32,
}

/// How tickets are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TicketConfig {
    /// How long a ticket may wait for its use, in seconds.
    pub lifetime_s: u64,
    /// Disk for the tickets and kept answers of one gallery, in bytes.
    pub stored_bytes: u64,
    /// Memory for tickets that are ready for use, in bytes.
    pub cache_bytes: usize,
}

/// How galleries are searched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentificationConfig {
    /// Threads of one pass; 0 for as many as there are cores. They give way to everything else.
    pub threads: usize,
    /// Galleries that are passed over at the same time, each for up to 8 identifications; others wait.
    pub concurrent: usize,
    /// Identifications that wait for a pass; others are refused.
    pub queued: usize,
    /// How long a pass that could begin waits for identifications that have arrived and are being made ready, in
    /// microseconds; never longer than half of what the pass takes. A lone identification does not wait.
    pub gather_us: u64,
    /// Memory for answers that are being made or wait for their callers to read them, in bytes. A pass begins when the
    /// answers of its identifications fit (2 bytes a template, 4 with a ticket); one answer always does.
    pub answer_bytes: usize,
}

/// How the transparency log is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransparencyConfig {
    /// From one signed checkpoint to the next while there is traffic, in milliseconds; none is signed while there is
    /// none.
    pub checkpoint_interval_ms: u64,
    /// Entries that are appended in one step.
    pub batch_entries: u32,
    /// Entries in memory that wait to be stored; calls that would add more are refused. A
    /// quarter is kept for matches.
    pub queued_entries: usize,
    /// How long a call may wait for its receipt, in milliseconds.
    pub receipt_wait_ms: u64,
}

/// How the server's own private keys are kept. Where no passphrase is named they lie plain in the data directory, for its
/// owner alone; where one is named, they are wrapped under it, and plain ones are at the next start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// Whether the server refuses to run with keys that are not wrapped.
    pub wrapped: bool,
    /// The passphrase is in this file.
    pub passphrase_file: Option<PathBuf>,
    /// The passphrase is in this variable of the environment.
    pub passphrase_env: Option<String>,
    /// The passphrase is this credential of the systemd unit.
    pub passphrase_credential: Option<String>,
}

/// What the process protects its memory with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessConfig {
    /// Whether a crash may leave a core file, with the keys in it, and debuggers of the same user may look at the
    /// process.
    pub core_dumps: bool,
    /// Whether the memory that keys are read into is kept from being swapped out, where the system allows it.
    pub lock_memory: bool,
}

/// How calls are recorded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Whether calls wait for their records.
    pub mode: AuditMode,
    /// How long a call may wait for its record in fail-closed mode, in milliseconds.
    pub wait_ms: u64,
    /// Records in memory that wait to be written, calls that are under way included.
    pub queued_records: usize,
    /// From which size on a segment is not continued, in bytes.
    pub segment_bytes: u64,
    /// Disk for segments, in bytes; the oldest ones are deleted.
    pub retained_bytes: u64,
    /// How long records are kept, in days.
    pub retained_days: u64,
    /// From one anchor in the transparency log to the next while there are new records, in seconds.
    pub anchor_interval_s: u64,
}

/// Whether calls wait for their records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditMode {
    /// There are no records.
    Off,
    /// They do not wait; what finds no room is lost, and counted.
    BestEffort,
    /// They are answered once their records are durable, or refused.
    FailClosed,
}

/// Sealed sessions: what is end-to-end between client and server, whatever stands between.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Whether calls that are not sealed are refused. Handshakes, health and reflection never are sealed.
    pub required: bool,
    /// The service that clients mean; the same on all servers of one service. Empty for the issuer.
    pub audience: String,
    /// The name of this server. Empty for the issuer.
    pub name: String,
    /// How long a session lives, in seconds.
    pub lifetime_s: u32,
    /// How many calls a session carries.
    pub calls: u32,
    /// Calls of all sessions together that are remembered, so that none is served twice: about 40 bytes each. A session takes its
    /// share when it begins.
    pub remembered_calls: usize,
    /// Sessions of one client, or of all clients without a credential together. One more ends the oldest.
    pub sessions_per_client: usize,
    /// Handshakes at the same time; others are refused.
    pub concurrent_handshakes: usize,
}

/// What bounds the load that callers can cause.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Memory for the blocks of all galleries and for what dropped blocks leave free between them, in bytes; 0 for
    /// three quarters of the machine's memory (`MemTotal` of `/proc/meminfo` at start), or no limit where that cannot
    /// be read. A segment that does not fit is refused, and the server does not start on galleries that do not fit.
    pub resident_bytes: u64,
    /// Most galleries.
    pub galleries: usize,
    /// Most calls at the same time on one connection.
    pub streams_per_connection: u32,
    /// How long a caller may keep a request stream silent, in seconds.
    pub idle_stream_s: u64,
    /// Segments that are checked and packed at the same time; others wait.
    pub concurrent_provisions: usize,
    /// Tickets that are received and checked at the same time, each in memory; others wait.
    pub concurrent_ticket_uploads: usize,
    /// Verifications that wait for a core, attested ones and long ones (many or large templates, or an answer with
    /// many records) counted apart; others are refused. A common verification does not wait.
    pub queued_verifications: usize,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Levels by module, as in `info,tyto_server=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("tyto-data"),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7443),
            admin_listen: None,
            issuer: "tyto".into(),
            reflection: true,
            drain_deadline_s: 25,
            access: AccessConfig::default(),
            tickets: TicketConfig::default(),
            identification: IdentificationConfig::default(),
            transparency: TransparencyConfig::default(),
            keys: KeysConfig::default(),
            process: ProcessConfig::default(),
            audit: AuditConfig::default(),
            session: SessionConfig::default(),
            limits: LimitConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self { required: false, max_key_age_days: 90, max_key_idle_days: 30 }
    }
}

impl Default for TicketConfig {
    fn default() -> Self {
        Self { lifetime_s: 24 * 3600, stored_bytes: 1 << 30, cache_bytes: 32 << 20 }
    }
}

impl Default for IdentificationConfig {
    fn default() -> Self {
        Self { threads: 0, concurrent: 2, queued: 64, gather_us: 5000, answer_bytes: 256 << 20 }
    }
}

impl Default for TransparencyConfig {
    fn default() -> Self {
        Self {
            checkpoint_interval_ms: 800,
            batch_entries: 1024,
            queued_entries: 8192,
            receipt_wait_ms: 10_000,
        }
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            mode: AuditMode::BestEffort,
            wait_ms: 2000,
            queued_records: 8192,
            segment_bytes: 64 << 20,
            retained_bytes: 8 << 30,
            retained_days: 400,
            anchor_interval_s: 60,
        }
    }
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self { core_dumps: false, lock_memory: true }
    }
}

impl KeysConfig {
    /// All passphrases that are named.
    fn sources(&self) -> impl Iterator<Item = PassphraseSource> {
        let file = self.passphrase_file.clone().map(PassphraseSource::File);
        let environment = self.passphrase_env.clone().map(PassphraseSource::Environment);
        file.into_iter()
            .chain(environment)
            .chain(self.passphrase_credential.clone().map(PassphraseSource::Credential))
    }

    /// What wraps the keys, if anything does.
    pub(crate) fn kek(&self) -> Option<Kek> {
        self.sources().next().map(|source| Kek::Passphrase(Passphrase::new(source)))
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            required: false,
            audience: String::new(),
            name: String::new(),
            lifetime_s: 3600,
            calls: 4096,
            remembered_calls: 4 << 20,
            sessions_per_client: 512,
            concurrent_handshakes: 256,
        }
    }
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            resident_bytes: 0,
            galleries: 10_000,
            streams_per_connection: 256,
            idle_stream_s: 120,
            concurrent_provisions: 2,
            concurrent_ticket_uploads: 8,
            queued_verifications: 128,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

impl Config {
    /// A server on a free loopback port that keeps its data in `data_dir`: for tests and demonstrations.
    pub fn local(data_dir: impl Into<PathBuf>) -> Self {
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        // What guards a whole process is not for a server that lives in somebody else's.
        let process = ProcessConfig { core_dumps: true, lock_memory: false };
        Self { data_dir: data_dir.into(), listen, process, ..Self::default() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::ReadConfig`], [`Error::ParseConfig`] (which names the key), or as [`Config::check`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::ReadConfig { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text).map_err(|source| Error::ParseConfig(Box::new(source)))?;
        config.check()?;
        Ok(config)
    }

    /// Checks every value that has a range.
    ///
    /// # Errors
    /// [`Error::ConfigValue`] names the key and the range.
    pub fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("issuer (bytes)", self.issuer.len() as u64, 1, MAX_AUDIENCE_BYTES as u64),
            ("drain_deadline_s", self.drain_deadline_s, 0, 3600),
            ("access.max_key_age_days", self.access.max_key_age_days.into(), 1, 3650),
            ("access.max_key_idle_days", self.access.max_key_idle_days.into(), 1, 3650),
            ("tickets.lifetime_s", self.tickets.lifetime_s, 1, 30 * 24 * 3600),
            ("tickets.stored_bytes", self.tickets.stored_bytes, 1 << 20, i64::MAX as u64),
            ("tickets.cache_bytes", self.tickets.cache_bytes as u64, 0, 64 << 30),
            ("identification.threads", self.identification.threads as u64, 0, 1024),
            ("identification.concurrent", self.identification.concurrent as u64, 1, 64),
            ("identification.queued", self.identification.queued as u64, 0, 100_000),
            ("identification.gather_us", self.identification.gather_us, 0, 1_000_000),
            ("identification.answer_bytes", self.identification.answer_bytes as u64, 0, 64 << 30),
            ("transparency.checkpoint_interval_ms", self.transparency.checkpoint_interval_ms, 10, 1000),
            (
                "transparency.batch_entries",
                self.transparency.batch_entries.into(),
                1,
                tyto_store::MAX_BATCH_ENTRIES.into(),
            ),
            (
                "transparency.queued_entries",
                self.transparency.queued_entries as u64,
                MAX_DOCUMENTS_PER_CALL as u64,
                tyto_store::MAX_OUTBOX_ENTRIES,
            ),
            ("transparency.receipt_wait_ms", self.transparency.receipt_wait_ms, 0, 60_000),
            ("audit.wait_ms", self.audit.wait_ms, 1, 60_000),
            ("audit.queued_records", self.audit.queued_records as u64, 1, 1 << 20),
            ("audit.segment_bytes", self.audit.segment_bytes, 4096, 1 << 29),
            ("audit.retained_bytes", self.audit.retained_bytes, 4096, i64::MAX as u64),
            ("audit.retained_days", self.audit.retained_days, 1, 36_500),
            ("audit.anchor_interval_s", self.audit.anchor_interval_s, 1, 24 * 3600),
            ("session.audience (bytes)", self.session.audience.len() as u64, 0, MAX_NAME_BYTES as u64),
            ("session.name (bytes)", self.session.name.len() as u64, 0, MAX_NAME_BYTES as u64),
            ("session.lifetime_s", self.session.lifetime_s.into(), 1, MAX_LIFETIME_S.into()),
            ("session.calls", self.session.calls.into(), 1, MAX_RPCS.into()),
            (
                "session.remembered_calls",
                self.session.remembered_calls as u64,
                self.session.calls.into(),
                1 << 32,
            ),
            ("session.sessions_per_client", self.session.sessions_per_client as u64, 1, 1_000_000),
            ("session.concurrent_handshakes", self.session.concurrent_handshakes as u64, 1, 100_000),
            ("limits.resident_bytes", self.limits.resident_bytes, 0, i64::MAX as u64),
            ("limits.galleries", self.limits.galleries as u64, 1, 1_000_000),
            ("limits.streams_per_connection", self.limits.streams_per_connection.into(), 1, 10_000),
            ("limits.idle_stream_s", self.limits.idle_stream_s, 1, 24 * 3600),
            ("limits.concurrent_provisions", self.limits.concurrent_provisions as u64, 1, 64),
            ("limits.concurrent_ticket_uploads", self.limits.concurrent_ticket_uploads as u64, 1, 1024),
            ("limits.queued_verifications", self.limits.queued_verifications as u64, 0, 100_000),
        ];
        for (key, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                return Err(Error::ConfigValue { key, value, min, max });
            }
        }
        if self.keys.sources().count() > 1 {
            return Err(Error::ConfigKeys);
        }
        if self.issuer.chars().any(char::is_control) {
            return Err(Error::ConfigIssuer);
        }
        if [&self.session.audience, &self.session.name].iter().any(|name| name.chars().any(char::is_control))
        {
            return Err(Error::ConfigSessionName);
        }
        Ok(())
    }

    /// Checks that nobody from elsewhere can call a server that asks nobody who they are.
    ///
    /// # Errors
    /// [`Error::Exposed`].
    pub fn check_exposure(&self) -> Result<(), Error> {
        let mut addresses = [Some(self.listen), self.admin_listen].into_iter().flatten();
        match addresses.find(|address| !address.ip().is_loopback()) {
            Some(address) if !self.access.required => Err(Error::Exposed { address }),
            _ => Ok(()),
        }
    }

    /// Most bytes of memory for the blocks of all galleries.
    pub(crate) fn resident_bytes(&self) -> u64 {
        match self.limits.resident_bytes {
            0 => three_quarters_of_memory().unwrap_or(u64::MAX),
            bytes => bytes,
        }
    }

    /// Threads of one pass.
    pub(crate) fn threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.identification.threads).unwrap_or_else(cores)
    }
}

/// Three quarters of the machine's memory, if it can be told.
fn three_quarters_of_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024 / 4 * 3)
}

/// Cores that this process may use.
pub(crate) fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_overrides_the_defaults_key_by_key() {
        let text = "listen = '0.0.0.0:9000'\n[tickets]\nlifetime_s = 60\n[log]\nformat = 'json'\n";
        let config = Config::parse(text).unwrap();
        assert_eq!((config.listen.port(), config.tickets.lifetime_s), (9000, 60));
        assert_eq!((config.tickets.cache_bytes, config.log.format), (32 << 20, LogFormat::Json));
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn the_file_for_operators_holds_the_defaults() {
        let text = include_str!("../../../deploy/tytod.toml").replace("# admin_listen", "admin_listen");
        for option in ["passphrase_file", "passphrase_env", "passphrase_credential"] {
            let chosen = Config::parse(&text.replace(&format!("# {option}"), option)).unwrap();
            assert!(chosen.keys.kek().is_some(), "{option}");
        }
        let Config { data_dir, admin_listen, access, .. } = Config::default();
        assert!(Config::parse(&text).unwrap().admin_listen.is_some());
        // What an operator begins with asks for credentials: a proxy beside it calls from a loopback address too.
        assert!(Config::parse(&text).unwrap().access.required);
        assert_eq!(
            Config { data_dir, admin_listen, access, ..Config::parse(&text).unwrap() },
            Config::default()
        );
    }

    #[test]
    fn without_credentials_only_this_machine_is_served() {
        let exposed = |text: &str| Config::parse(text).unwrap().check_exposure().is_err();
        assert!(!exposed("") && !exposed("listen = '[::1]:1'\nadmin_listen = '127.0.0.9:2'"));
        assert!(exposed("listen = '0.0.0.0:1'") && exposed("listen = '[::]:1'"));
        assert!(exposed("admin_listen = '10.0.0.1:1'"));
        assert!(!exposed("listen = '0.0.0.0:1'\n[access]\nrequired = true"));
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused_by_name() {
        for (text, name) in [
            ("listne = '0.0.0.0:1'", "listne"),
            ("[tickets]\nlifetime = 3", "lifetime"),
            ("[access]\nmax_key_age_days = 0", "access.max_key_age_days"),
            ("[tickets]\nlifetime_s = 0", "tickets.lifetime_s"),
            ("[transparency]\ncheckpoint_interval_ms = 1001", "transparency.checkpoint_interval_ms"),
            ("[transparency]\nbatch_entries = 0", "transparency.batch_entries"),
            ("[transparency]\nqueued_entries = 255", "transparency.queued_entries"),
            ("[transparency]\nreceipt_wait_ms = 60001", "transparency.receipt_wait_ms"),
            ("[audit]\nmode = 'sometimes'", "sometimes"),
            ("[audit]\nwait_ms = 0", "audit.wait_ms"),
            ("[audit]\nsegment_bytes = 4095", "audit.segment_bytes"),
            ("[session]\nlifetime_s = 86401", "session.lifetime_s"),
            ("[session]\ncalls = 9\nremembered_calls = 8", "session.remembered_calls"),
            ("issuer = ''", "issuer"),
            ("[keys]\npassphrase = 'secret'", "passphrase"),
            ("[keys]\npassphrase_file = 'a'\npassphrase_env = 'B'", "more than one"),
            ("[log]\nformat = 'xml'", "xml"),
            ("listen = 'nowhere'", "listen"),
        ] {
            let error = Config::parse(text).unwrap_err();
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(format!("{error} {cause}").contains(name), "{text}: {error} {cause}");
        }
    }
}

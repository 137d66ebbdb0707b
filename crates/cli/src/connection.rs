//! The keyring, and the client that uses it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use tyto_client::admin::Admin;
use tyto_client::attest::{TrustRoot, TrustedKeys};
use tyto_client::session::TrustedServers;
use tyto_client::tenant::TenantKey;
use tyto_client::tenant::keyring::Keyring;
use tyto_client::{Client, Config, Credential, SealedConfig, keyring_file};
use zeroize::Zeroizing;

use crate::Error;
use crate::args::Global;

/// The environment variable with an API key.
const CREDENTIAL_VARIABLE: &str = "TYTO_API_KEY";
/// Largest list of trusted keys that is read: a full one has 1 MiB.
const MAX_TRUSTED_KEYS_BYTES: u64 = 2 << 20;

/// Largest list of servers that is read: a full one has 1.1 MiB.
const MAX_SESSION_KEYS_BYTES: u64 = 2 << 20;

/// Opens the keyring.
///
/// # Errors
/// [`Error::NoKeyring`], [`Error::Keyring`]; as [`passphrase::Source::read`](crate::passphrase::Source::read).
pub fn open_keyring(global: &Global) -> Result<Keyring, Error> {
    let path = global.keyring_path()?;
    require_keyring(&path)?;
    let passphrase = global.passphrase().read()?;
    keyring_file::open(&path, &passphrase).map_err(keyring_error(&path))
}

/// Checks that there is a keyring, before anyone is asked for its passphrase.
///
/// # Errors
/// [`Error::NoKeyring`].
pub fn require_keyring(path: &Path) -> Result<(), Error> {
    if path.exists() { Ok(()) } else { Err(Error::NoKeyring { path: path.to_owned() }) }
}

/// Says which keyring an error is about.
pub fn keyring_error(path: &Path) -> impl FnOnce(tyto_client::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Keyring { path, source: Box::new(source) }
}

/// Connects as the options say. High-water marks and journals are kept in the state directory.
///
/// # Errors
/// As [`open_keyring`], [`read_trusted_keys`] and [`Client::connect`].
pub async fn connect(global: &Global) -> Result<Client, Error> {
    connect_keeping(global, false).await
}

/// Connects like [`connect`], and keeps what replays need with the answers if that is wanted.
///
/// # Errors
/// As [`connect`].
pub async fn connect_keeping(global: &Global, keep_replays: bool) -> Result<Client, Error> {
    let state_dir = global.state_path()?;
    let mut config = config(global)?;
    config.keep_replays = keep_replays;
    let keyring = open_keyring(global)?;
    make_private_dir(&state_dir)?;
    config.state_dir = Some(state_dir);
    Ok(Client::connect(config, keyring).await?)
}

/// Connects without a state directory, for galleries that do not outlive the process. Attestations are asked for only
/// if they can be verified.
///
/// # Errors
/// As [`connect`].
pub async fn connect_for_trial(global: &Global) -> Result<Client, Error> {
    let mut config = config(global)?;
    config.attestations = config.trusted_keys.is_some();
    Ok(Client::connect(config, open_keyring(global)?).await?)
}

/// Connects for what needs no tenant key, such as attestations of documents. What was seen of the log is kept in the state
/// directory.
///
/// # Errors
/// As [`read_trusted_keys`] and [`Client::connect`].
pub async fn connect_without_keyring(
    global: &Global,
    trust_root: Option<TrustRoot>,
) -> Result<Client, Error> {
    let state_dir = global.state_path()?;
    let mut config = config(global)?;
    config.trust_root = trust_root;
    make_private_dir(&state_dir)?;
    config.state_dir = Some(state_dir);
    // The client has a key of its own that nobody ever sees.
    let key = TenantKey::generate().map_err(tyto_client::Error::from)?;
    Ok(Client::connect(config, Keyring::new(key, 0)).await?)
}

/// What the options say about the connection.
///
/// # Errors
/// As [`read_trusted_keys`] and [`read_session_keys`].
pub fn config(global: &Global) -> Result<Config, Error> {
    let mut config = Config::new(&global.endpoint);
    config.sealed = global.sealed.as_deref().map(read_session_keys).transpose()?.map(SealedConfig::new);
    config.trusted_keys = global.trusted_keys.as_deref().map(read_trusted_keys).transpose()?;
    config.audience = global.audience.clone().unwrap_or_default();
    config.credential = credential(global)?;
    Ok(config)
}

/// The credential, if one is given. It is never an argument: those are seen by every user of the machine.
fn credential(global: &Global) -> Result<Option<Credential>, Error> {
    if let Some(path) = &global.credential_file {
        return Ok(Some(Credential::read(path)?));
    }
    match std::env::var(CREDENTIAL_VARIABLE).map(Zeroizing::new) {
        Ok(text) => Ok(Some(Credential::parse(&text)?)),
        Err(_) => Ok(None),
    }
}

/// Connects for changes of who may do what.
///
/// # Errors
/// As [`Admin::connect`]; whatever is wrong with the credential.
pub async fn admin(global: &Global) -> Result<Admin, Error> {
    Ok(Admin::connect(&config(global)?).await?)
}

/// Reads a list of servers that are trusted for sealed sessions.
///
/// # Errors
/// [`Error::InFile`].
pub fn read_session_keys(path: &Path) -> Result<TrustedServers, Error> {
    let text = read_text(path, MAX_SESSION_KEYS_BYTES);
    text.and_then(|text| Ok(TrustedServers::parse(&text)?)).map_err(Error::in_file(path))
}

fn read_text(path: &Path, max_bytes: u64) -> Result<String, Error> {
    let text = String::from_utf8(read_limited(path, max_bytes)?);
    text.map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidData).into())
}

/// Reads a list of trusted keys.
///
/// # Errors
/// [`Error::InFile`].
pub fn read_trusted_keys(path: &Path) -> Result<TrustedKeys, Error> {
    let text = read_text(path, MAX_TRUSTED_KEYS_BYTES);
    text.and_then(|text| Ok(TrustedKeys::parse(&text)?)).map_err(Error::in_file(path))
}

/// Reads a file that must not be larger than `max_bytes`.
///
/// # Errors
/// [`Error::Io`].
pub fn read_limited(path: &Path, max_bytes: u64) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge).into());
    }
    Ok(bytes)
}

/// Makes a directory that its owner alone can read, with its parents, if it is not there.
///
/// # Errors
/// [`Error::Write`].
pub fn make_private_dir(path: &Path) -> Result<(), Error> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::Write { path: path.to_owned(), source })
}

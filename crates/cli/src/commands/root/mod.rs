//! `tyto root`: the trust root, made and changed where its offline key is.

mod public_key;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tyto_client::attest::{KeyId, KeyRecord, Purpose, Revocation, RevocationReason, TrustRoot, log_id};
use tyto_client::pqc::slhdsa::{ParameterSet, SigningKey};
use tyto_client::tenant::passphrase::Cost;
use tyto_client::trust_root_file::{self, TrustRootFile};
use tyto_client::{Error as ClientError, signing_key_file};

use crate::output::{OutputArgs, hex};
use crate::shown::{Fields, Value};
use crate::{Error, Exit, passphrase, time, trust};

/// The trust root's commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a root key and the first version of a trust root, without keys. Overwrites nothing.
    Init {
        /// The trust root to make.
        #[arg(value_name = "ROOTS")]
        roots: PathBuf,
        /// Whose list it is.
        #[arg(long, value_name = "TEXT")]
        name: String,
        /// The set of SLH-DSA that the root key is of.
        #[arg(long, value_name = "SET", default_value = "slh-dsa-shake-128s", value_parser = algorithm)]
        algorithm: ParameterSet,
        /// The root key.
        #[command(flatten)]
        key: KeyArgs,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Add a key, or all keys of a list of trusted keys, to the next version.
    Add(AddArgs),
    /// Put an earlier end to a key's validity: what it signed before stands.
    Retire {
        /// The trust root.
        #[arg(value_name = "ROOTS")]
        roots: PathBuf,
        /// The id of the key.
        #[arg(value_name = "KEY", value_parser = trust::key_id)]
        id: KeyId,
        /// The first moment at which it is not valid any more [default: now].
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        until: Option<u64>,
        /// The root key.
        #[command(flatten)]
        key: KeyArgs,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Revoke a key: what it signed stands only if it can be shown to be older.
    Revoke {
        /// The trust root.
        #[arg(value_name = "ROOTS")]
        roots: PathBuf,
        /// The id of the key.
        #[arg(value_name = "KEY", value_parser = trust::key_id)]
        id: KeyId,
        /// The last moment at which the key was known to be in good hands; it may lie in the past [default: now].
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        at: Option<u64>,
        /// Why: unspecified, key-compromise, superseded or cessation-of-operation. It changes no verdict.
        #[arg(long, value_name = "REASON", default_value = "unspecified", value_parser = reason)]
        reason: RevocationReason,
        /// The root key.
        #[command(flatten)]
        key: KeyArgs,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Put a fresh root key in the place of the present one, which signs this version too.
    Rotate {
        /// The trust root.
        #[arg(value_name = "ROOTS")]
        roots: PathBuf,
        /// The set of SLH-DSA that the new key is of.
        #[arg(long, value_name = "SET", default_value = "slh-dsa-shake-128s", value_parser = algorithm)]
        algorithm: ParameterSet,
        /// The file to make for the new key (default: `ROOTS.<first 16 digits of the new key's id>.key`).
        #[arg(long, value_name = "FILE")]
        new_root_key_file: Option<PathBuf>,
        /// A file with the passphrase of the new key; else `TYTO_NEW_PASSPHRASE`, else a prompt.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        /// The present root key.
        #[command(flatten)]
        key: KeyArgs,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show a trust root.
    Show {
        /// The trust root.
        #[arg(value_name = "ROOTS")]
        roots: PathBuf,
        /// The id of the root key that must have signed it.
        #[arg(long, value_name = "ID", value_parser = trust::key_id)]
        root_key: Option<KeyId>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Where the root key and its passphrase are.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// The file of the root key (default: `ROOTS.<first 16 digits of the root key's id>.key`).
    #[arg(long, value_name = "FILE")]
    root_key_file: Option<PathBuf>,
    /// A file with the root key's passphrase; else `TYTO_ROOT_PASSPHRASE`, else a prompt.
    #[arg(long, value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
}

/// `tyto root add`.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The trust root.
    #[arg(value_name = "ROOTS")]
    roots: PathBuf,
    /// The public key as `SubjectPublicKeyInfo` in DER, a list of trusted keys as `tytod key` prints it, or a bundle with a
    /// key for the purpose.
    #[arg(value_name = "KEYS")]
    keys: PathBuf,
    /// What the key may sign: attestation, log, witness or decision.
    #[arg(long, value_name = "PURPOSE", value_parser = purpose)]
    purpose: Purpose,
    /// What people call the key; for a key of decisions, the tenant.
    #[arg(long, value_name = "TEXT", default_value = "")]
    name: String,
    /// Begin of its validity [default: now].
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    valid_from: Option<u64>,
    /// End of its validity: the first moment at which it is not valid [default: no end].
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    valid_until: Option<u64>,
    /// The id of the log whose checkpoints the key signs; a bundle says it itself.
    #[arg(long, value_name = "ID", value_parser = trust::key_id)]
    log_id: Option<[u8; 32]>,
    /// The name of the log, if this is the first key that signs its checkpoints.
    #[arg(long, value_name = "ORIGIN", conflicts_with = "log_id")]
    log_origin: Option<String>,
    /// The root key.
    #[command(flatten)]
    key: KeyArgs,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs one of the trust root's commands.
///
/// # Errors
/// [`Error::TrustRoot`], [`Error::SigningKey`], [`Error::InFile`]; [`Error::KeyListed`], [`Error::KeyNotListed`];
/// [`Error::Client`] if a file cannot be written; what passphrases can be wrong in.
pub fn run(command: &Command) -> Result<Exit, Error> {
    let (output, fields) = match command {
        Command::Init { roots, name, algorithm, key, output } => {
            (output, init(roots, name, *algorithm, key)?)
        }
        Command::Add(args) => (&args.output, args.run()?),
        Command::Retire { roots, id, until, key, output } => {
            (output, retire(roots, id, until.unwrap_or_else(time::now_unix_ms), key)?)
        }
        Command::Revoke { roots, id, at, reason, key, output } => {
            let revoked_at_unix_ms = at.unwrap_or_else(time::now_unix_ms);
            (output, revoke(roots, id, Revocation { revoked_at_unix_ms, reason: *reason }, key)?)
        }
        Command::Rotate { roots, algorithm, new_root_key_file, new_passphrase_file, key, output } => {
            let file = new_root_key_file.as_deref();
            (output, rotate(roots, *algorithm, file, new_passphrase_file.as_deref(), key)?)
        }
        Command::Show { roots, root_key, output } => {
            let list = trust::open(roots, root_key.as_ref())?;
            (output, Fields::new().with("trust_root", shown_path(roots)).and(shown(&list)))
        }
    };
    output.print(&fields, Fields::text)?;
    Ok(Exit::Success)
}

fn init(roots: &Path, name: &str, algorithm: ParameterSet, key: &KeyArgs) -> Result<Fields, Error> {
    // Before a key is made for nothing. Whoever makes the file in between is seen when it is written.
    if roots.exists() {
        return Err(ClientError::FileExists { path: roots.to_owned() }.into());
    }
    let passphrase = key.passphrase().choose()?;
    let root_key = generate(algorithm)?;
    let list = TrustRoot::new(name.to_owned(), time::now_unix_ms(), root_key.verifying_key().clone());
    let file = key.file(roots, &list);
    save(&file, &root_key, &passphrase)?;
    trust_root_file::create(roots, &list, &root_key).map_err(root_error(roots))?;
    let made = change("made", &list.root_key().key_id()).with("root_key_file", shown_path(&file));
    Ok(changed(roots, [made], &list))
}

impl AddArgs {
    fn run(&self) -> Result<Fields, Error> {
        let keys = public_key::read(&self.keys, self.purpose)?;
        next_version(&self.roots, &self.key, |list| {
            let mut added = Vec::new();
            for public_key::Found { key, log_id: of_bundle } in keys {
                let key_id = key.key_id();
                if list.get(&key_id).is_some() {
                    return Err(Error::KeyListed { key: hex(&key_id) });
                }
                let log_id = match &self.log_origin {
                    Some(origin) => Some(log_id(origin, &key_id)?),
                    None => self.log_id.or(of_bundle),
                };
                list.insert(KeyRecord {
                    key,
                    purpose: self.purpose,
                    log_id,
                    name: self.name.clone(),
                    valid_from_unix_ms: self.valid_from.unwrap_or_else(time::now_unix_ms),
                    valid_until_unix_ms: self.valid_until,
                    revocation: None,
                });
                added.push(change("added", &key_id));
            }
            Ok(added)
        })
    }
}

fn retire(roots: &Path, id: &KeyId, until_unix_ms: u64, key: &KeyArgs) -> Result<Fields, Error> {
    next_version(roots, key, |list| {
        let record = listed(list, id)?;
        let before = record.valid_until_unix_ms;
        list.insert(KeyRecord { valid_until_unix_ms: Some(until_unix_ms), ..record });
        Ok(vec![
            change("retired", id)
                .with("valid_until_unix_ms", until_unix_ms)
                .with("before", Fields::new().with("valid_until_unix_ms", before)),
        ])
    })
}

fn revoke(roots: &Path, id: &KeyId, revocation: Revocation, key: &KeyArgs) -> Result<Fields, Error> {
    next_version(roots, key, |list| {
        let record = listed(list, id)?;
        let before = record.revocation.map(shown_revocation);
        list.insert(KeyRecord { revocation: Some(revocation), ..record });
        Ok(vec![
            change("revoked", id)
                .with("revocation", shown_revocation(revocation))
                .with("before", Fields::new().with("revocation", before)),
        ])
    })
}

fn rotate(
    roots: &Path,
    algorithm: ParameterSet,
    new_file: Option<&Path>,
    new_passphrase_file: Option<&Path>,
    key: &KeyArgs,
) -> Result<Fields, Error> {
    let file = TrustRootFile::open(roots).map_err(root_error(roots))?;
    let previous = key.open(roots, file.current())?;
    let new_passphrase = passphrase::Source {
        file: new_passphrase_file,
        option: "--new-passphrase-file",
        variable: "TYTO_NEW_PASSPHRASE",
        prompt: "Passphrase of the new root key: ",
    }
    .choose()?;
    let fresh = generate(algorithm)?;
    let mut list = file.current().next_version(time::now_unix_ms());
    list.rotate(fresh.verifying_key().clone());
    let fresh_file = new_file.map_or_else(|| default_key_file(roots, &list), Path::to_owned);
    // The key first: a list whose root key was lost could never be changed again.
    save(&fresh_file, &fresh, &new_passphrase)?;
    file.replace(&list, &fresh, Some(&previous)).map_err(root_error(roots))?;
    let rotated = change("rotated", &fresh.verifying_key().key_id())
        .with("root_key_file", shown_path(&fresh_file))
        .with("before", Fields::new().bytes("root_key", &previous.verifying_key().key_id()));
    Ok(changed(roots, [rotated], &list))
}

/// Makes the next version under the present root key.
fn next_version(
    roots: &Path,
    key: &KeyArgs,
    edit: impl FnOnce(&mut TrustRoot) -> Result<Vec<Fields>, Error>,
) -> Result<Fields, Error> {
    let file = TrustRootFile::open(roots).map_err(root_error(roots))?;
    let mut list = file.current().next_version(time::now_unix_ms());
    // Before anyone types a passphrase in vain.
    let changes = edit(&mut list)?;
    file.current().check_kept_by(&list).map_err(of_root(roots))?;
    let root_key = key.open(roots, file.current())?;
    file.replace(&list, &root_key, None).map_err(root_error(roots))?;
    Ok(changed(roots, changes, &list))
}

fn listed(list: &TrustRoot, id: &KeyId) -> Result<KeyRecord, Error> {
    list.get(id).cloned().ok_or_else(|| Error::KeyNotListed { key: hex(id) })
}

impl KeyArgs {
    fn passphrase(&self) -> passphrase::Source<'_> {
        passphrase::Source {
            file: self.root_passphrase_file.as_deref(),
            option: "--root-passphrase-file",
            variable: "TYTO_ROOT_PASSPHRASE",
            prompt: "Passphrase of the root key: ",
        }
    }

    fn file(&self, roots: &Path, list: &TrustRoot) -> PathBuf {
        self.root_key_file.clone().unwrap_or_else(|| default_key_file(roots, list))
    }

    fn open(&self, roots: &Path, list: &TrustRoot) -> Result<SigningKey, Error> {
        let file = self.file(roots, list);
        if !file.exists() {
            return Err(Error::NoSigningKey { path: file });
        }
        let passphrase = self.passphrase().read()?;
        signing_key_file::open_root_key(&file, &passphrase).map_err(Error::signing_key(&file))
    }
}

/// Beside the list, under a name that changes with the root key.
fn default_key_file(roots: &Path, list: &TrustRoot) -> PathBuf {
    let mut name = roots.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.key", &hex(&list.root_key().key_id())[..16]));
    roots.with_file_name(name)
}

fn generate(set: ParameterSet) -> Result<SigningKey, Error> {
    SigningKey::generate(set).map_err(|error| ClientError::Tenant(error.into()).into())
}

fn save(file: &Path, key: &SigningKey, passphrase: &[u8]) -> Result<(), Error> {
    let saved = signing_key_file::create_root_key(file, key, passphrase, Cost::RECOMMENDED);
    saved.map_err(Error::signing_key(file))
}

/// What is wrong with a trust root or its file.
fn root_error(roots: &Path) -> impl FnOnce(ClientError) -> Error {
    let roots = roots.to_owned();
    move |error| match error {
        ClientError::Attestation(source) => of_root(&roots)(source),
        ClientError::File { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            Error::in_file(path)(source.into())
        }
        other => other.into(),
    }
}

fn of_root(roots: &Path) -> impl FnOnce(tyto_client::attest::Error) -> Error {
    let path = roots.to_owned();
    move |source| Error::TrustRoot { path, source }
}

fn algorithm(text: &str) -> Result<ParameterSet, String> {
    let mut sets = ParameterSet::ALL.into_iter().filter(|set| set.is_shake());
    let found = sets.find(|set| set.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| "expected slh-dsa-shake-128s, -128f, -192s, -192f, -256s or -256f".to_owned())
}

fn purpose(text: &str) -> Result<Purpose, String> {
    Purpose::from_name(text).ok_or_else(|| "expected attestation, log, witness or decision".to_owned())
}

fn reason(text: &str) -> Result<RevocationReason, String> {
    let expected = "expected unspecified, key-compromise, superseded or cessation-of-operation";
    RevocationReason::from_name(text).ok_or_else(|| expected.to_owned())
}

fn change(what: &'static str, key: &KeyId) -> Fields {
    Fields::new().with("change", what).bytes("key", key)
}

fn changed(roots: &Path, changes: impl IntoIterator<Item = Fields>, list: &TrustRoot) -> Fields {
    Fields::new()
        .with("trust_root", shown_path(roots))
        .with("changed", changes.into_iter().collect::<Value>())
        .and(shown(list))
}

fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

fn shown(list: &TrustRoot) -> Fields {
    let previous = list.previous_root_key().map(|key| hex(&key.key_id()));
    Fields::new()
        .with("name", list.name.as_str())
        .with("version", list.version)
        .with("issued_at_unix_ms", list.issued_at_unix_ms)
        .bytes("root_key", &list.root_key().key_id())
        .with("root_key_algorithm", list.root_key().parameter_set().name())
        .with("previous_root_key", previous)
        .with("keys", list.keys().map(shown_key).collect::<Value>())
}

fn shown_key(record: &KeyRecord) -> Fields {
    Fields::new()
        .bytes("key", &record.key_id())
        .with("algorithm", record.key.algorithm().name())
        .with("purpose", record.purpose.name())
        .bytes_or_none("log_id", record.log_id.as_ref().map(<[u8; 32]>::as_slice))
        .with("name", record.name.as_str())
        .with("valid_from_unix_ms", record.valid_from_unix_ms)
        .with("valid_until_unix_ms", record.valid_until_unix_ms)
        .with("revocation", record.revocation.map(shown_revocation))
}

fn shown_revocation(revocation: Revocation) -> Fields {
    Fields::new()
        .with("revoked_at_unix_ms", revocation.revoked_at_unix_ms)
        .with("reason", revocation.reason.name())
}

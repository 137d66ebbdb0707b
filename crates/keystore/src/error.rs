use crate::{Provider, Purpose, State};
use std::io;
use std::path::PathBuf;

/// Why a keystore cannot be read or changed. No variant carries key material or a passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written (environment).
    #[error("cannot {action} {path}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than what belongs there (operator).
    #[error("{path} has more than {max_bytes} bytes", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        max_bytes: u64,
    },
    /// There is no keystore (operator).
    #[error("there is no keystore {path}", path = path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is something else, or of a version that this crate does not know (operator).
    #[error("this is not a keystore of a version that is known")]
    UnknownFormat,
    /// The file is not as it was written: cut off, or bits changed (storage).
    #[error("the keystore is damaged: {what}")]
    Damaged {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file asks for more memory or time than may be spent on a passphrase; nothing was spent (peer).
    #[error("the keystore asks for {found} Argon2id {field}, the limit is {max}")]
    Cost {
        /// The parameter.
        field: &'static str,
        /// Its value.
        found: u32,
        /// The limit.
        max: u32,
    },
    /// Argon2id refused its parameters (operator).
    #[error("Argon2id does not take the keystore's parameters")]
    CostInvalid,
    /// The file is whole, and the passphrase does not open it (operator).
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The file is whole, and KMS does not open its data key under this key (operator).
    #[error("the key of KMS does not open the keystore")]
    WrongKmsKey,
    /// The keystore is wrapped by another kind of key than the one that is configured (operator).
    #[error("the keystore is wrapped by {found}, and {configured} is configured")]
    OtherProvider {
        /// What the file names.
        found: Provider,
        /// What is configured.
        configured: Provider,
    },
    /// The passphrase cannot be had (operator).
    #[error("the passphrase in {source_name}: {problem}")]
    Passphrase {
        /// Where it should be.
        source_name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A key of the file was sealed for another purpose than the one it stands under (peer).
    #[error("the {claimed} key of version {version} was sealed as a {sealed} key")]
    WrongPurpose {
        /// What the file says.
        claimed: Purpose,
        /// What the seal says.
        sealed: Purpose,
        /// The version.
        version: u32,
    },
    /// A key of the file was not sealed under this data key with this purpose, version and id (peer).
    #[error("the {purpose} key of version {version} is not authentic")]
    KeyNotAuthentic {
        /// Its purpose.
        purpose: Purpose,
        /// Its version.
        version: u32,
    },
    /// The keys are authentic, and the file as a whole is not: something was left out, added or changed by somebody who
    /// cannot open it (peer).
    #[error("the keystore was altered: its tag does not fit")]
    Altered,
    /// The file is older than one that was seen (peer or operator).
    #[error(
        "the keystore was rolled back: its generation is {found}, {seen} was seen; after a deliberate restore, remove \
         {mark}", mark = mark.display()
    )]
    RolledBack {
        /// The file's generation.
        found: u64,
        /// The newest one that was seen.
        seen: u64,
        /// The file that remembers it.
        mark: PathBuf,
    },
    /// The file is another keystore than the one that was seen (peer or operator).
    #[error("another keystore was here before; after a deliberate restore, remove {mark}", mark = mark.display())]
    OtherStore {
        /// The file that remembers it.
        mark: PathBuf,
    },
    /// The file that remembers generations is damaged (storage).
    #[error("{mark} is damaged: remove it if the keystore is the newest one", mark = mark.display())]
    Mark {
        /// The file.
        mark: PathBuf,
    },
    /// A file is not a private key of the purpose that its name says (operator).
    #[error("{path} cannot be taken over", path = path.display())]
    PlainKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<Self>,
    },
    /// A plain key lies beside a keystore that does not have it (operator).
    #[error("{path} is a plain private key that is not in the keystore: move it away", path = path.display())]
    StrayPlainKey {
        /// The file.
        path: PathBuf,
    },
    /// There is no such key (caller).
    #[error("there is no {purpose} key of version {version}")]
    UnknownKey {
        /// The purpose asked for.
        purpose: Purpose,
        /// The version asked for.
        version: u32,
    },
    /// There is no key that signs for this purpose yet (caller).
    #[error("there is no active {purpose} key")]
    NoActiveKey {
        /// The purpose asked for.
        purpose: Purpose,
    },
    /// The key is not in a state in which this can be done to it (caller).
    #[error("the {purpose} key of version {version} is {state}")]
    WrongState {
        /// Its purpose.
        purpose: Purpose,
        /// Its version.
        version: u32,
        /// Its state.
        state: State,
    },
    /// The key was made as one that never leaves (caller).
    #[error("the {purpose} key of version {version} was not made to be exported")]
    NotExportable {
        /// Its purpose.
        purpose: Purpose,
        /// Its version.
        version: u32,
    },
    /// The file has as many keys as it may have (caller).
    #[error("the keystore has {max} keys, the limit")]
    TooManyKeys {
        /// The limit.
        max: usize,
    },
    /// KMS cannot be asked, or refuses (environment).
    #[error("KMS could not {operation} the data key")]
    Kms {
        /// What was asked for.
        operation: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The cryptographic library failed, or a key in a file is not one (bug, environment or operator).
    #[error(transparent)]
    Crypto(#[from] tyto_pqc::Error),
}

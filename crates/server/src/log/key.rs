//! The log's own key, and the name of this server among those that may lead the log.

use crate::Error;
use crate::signing::{Named, load_or_create_file};
use std::path::Path;
use tyto_pqc::slhdsa::{ParameterSet, SigningKey};
use zeroize::Zeroizing;

/// The set that checkpoints are signed with.
const SET: ParameterSet = ParameterSet::Shake128s;
const KEY_FILE: Named = Named { name: "log-key.p8", max_bytes: 1024 };
const NODE_FILE: Named = Named { name: "node-id", max_bytes: 16 };

/// What leading the log takes.
pub(crate) struct LogKeys {
    /// Signs checkpoints.
    pub(crate) signing: SigningKey,
    /// Tells this server from others on the same database. It stays at a restart, so that the log is led on at once.
    pub(crate) node: [u8; 16],
}

/// Reads key and name of a data directory, or makes them at the first start. The key is protected like the one that
/// signs attestations.
pub(crate) fn load_or_create(data_dir: &Path) -> Result<LogKeys, Error> {
    let make = || SigningKey::generate(SET)?.to_pkcs8();
    let parse = |der: &[u8]| Ok(SigningKey::from_pkcs8(SET, der)?);
    let signing = load_or_create_file(data_dir, KEY_FILE, make, parse)?;
    let make = || Ok(Zeroizing::new(tyto_pqc::random::bytes::<16>()?.to_vec()));
    let parse = |bytes: &[u8]| bytes.try_into().map_err(|_| Error::NodeId);
    let node = load_or_create_file(data_dir, NODE_FILE, make, parse)?;
    let signing = signing.with_threads(crate::config::cores());
    Ok(LogKeys { signing, node })
}

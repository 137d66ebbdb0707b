//! The log's own key, and the name of this server among those that may lead the log.

use crate::Error;
use crate::signing::{Named, load_or_create_file};
use crate::vault::Vault;
use std::path::Path;
use tyto_keystore::Purpose;
use tyto_pqc::slhdsa::SigningKey;
use zeroize::Zeroizing;

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
pub(crate) fn load_or_create(data_dir: &Path, vault: &mut Vault) -> Result<LogKeys, Error> {
    let signing = vault.slh_dsa(Purpose::Log)?;
    let make = || Ok(Zeroizing::new(tyto_pqc::random::bytes::<16>()?.to_vec()));
    let parse = |bytes: &[u8]| bytes.try_into().map_err(|_| Error::NodeId);
    let node = load_or_create_file(data_dir, NODE_FILE, make, parse)?;
    let signing = signing.with_threads(crate::config::cores());
    Ok(LogKeys { signing, node })
}

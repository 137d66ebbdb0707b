//! The first credential of a server: whoever holds the data directory needs none to make it.

use super::{KeyMaker, load_or_create_key};
use crate::Error;
use crate::app::unix_ms;
use std::path::Path;
use tyto_access::{ApiKey, MAX_NAME_BYTES, PrincipalId, PrincipalRecord, Records, TenantId};
use tyto_store::Store;

/// Makes a key for an operator of this name, who is made if there is none.
///
/// # Errors
/// [`tyto_store::Error::Locked`] while a server runs; [`tyto_store::Error::NameTaken`] if a principal of the built-in
/// tenant has the name and is no operator.
pub(crate) async fn operator_key(data_dir: &Path, name: &str) -> Result<ApiKey, Error> {
    let length = name.len() as u64;
    if !(1..=MAX_NAME_BYTES as u64).contains(&length) || name.chars().any(char::is_control) {
        let (key, min, max) = ("the length of the operator's name", 1, MAX_NAME_BYTES as u64);
        return Err(Error::ConfigValue { key, value: length, min, max });
    }
    let store = Store::open(data_dir).await?;
    let maker = KeyMaker::new(&load_or_create_key(data_dir)?)?;
    let known = store.access_records().await?.principals.into_iter().find(|principal| {
        principal.tenant == TenantId::BUILT_IN && principal.operator && principal.name == name
    });
    let now_ms = unix_ms();
    let mut new = Records::default();
    let principal = if let Some(known) = known {
        known.id
    } else {
        let id = PrincipalId(tyto_pqc::random::bytes()?);
        new.principals.push(PrincipalRecord {
            id,
            tenant: TenantId::BUILT_IN,
            name: name.to_owned(),
            operator: true,
            disabled: false,
            created_ms: now_ms,
        });
        id
    };
    let (key, stored) = maker.make(principal, now_ms, None)?;
    new.keys.push(stored);
    store.add_access(&new).await?;
    store.close().await;
    Ok(key)
}

//! Attestations of documents, and what the log shows: checkpoints, receipts, proofs, keys.

use crate::Error;
use crate::app::App;
use crate::log::{Place, Waited};
use bytes::Bytes;
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Duration;
use tyto_api::attest::{Attest, AttestMode, Attested, GetConsistencyProof, KeyList, ReceiptAnswer};
use tyto_attest::log::Hash;
use tyto_attest::{Claim, ConsistencyReceipt, KeyChange, KeyEntry, KeyId, KeyOperation, Purpose, Signer};
use tyto_pqc::digest::sha3_256;
use tyto_store::{LogEntry, LogEntryId};

/// What the names of entries begin with that say that a key came into use.
const ACTIVATION_DOMAIN: &[u8] = b"tyto/v1/log-entry-key-activation";
/// What the names of entries begin with that say that a key went out of use.
const RETIREMENT_DOMAIN: &[u8] = b"tyto/v1/log-entry-key-retirement";
/// How long after the next checkpoint is due a receipt may be asked for.
const SIGNING_MS: u64 = 200;
/// How long a promise waits for the disk.
const PROMISE_PATIENCE: Duration = Duration::from_secs(10);

/// Attests documents, each in an entry of its own.
pub(crate) async fn attest(
    app: &Arc<App>,
    principal: Option<&str>,
    request: Attest,
) -> Result<Attested, Error> {
    if request.mode == AttestMode::ReceiptOnly {
        app.log.may_promise()?;
    }
    let permit = app.attesting.clone().acquire_owned().await.map_err(|_| Error::Draining)?;
    // A place in the queue comes before the work: what finds none costs nothing. It comes after the wait for the permit,
    // so that those who wait keep none from others.
    let places =
        request.documents.iter().map(|_| app.log.place_for_document()).collect::<Result<Vec<_>, _>>()?;
    let (mode, computing, principal) = (request.mode, app.clone(), principal.map(str::to_owned));
    // A call that is cancelled holds its permit until its work is done.
    let compute = move || {
        let entries = entries(&computing, principal.as_deref(), request);
        drop(permit);
        entries
    };
    let entries = app.work.compute_in_background(compute).await??;
    match mode {
        AttestMode::Immediate => {
            app.metrics.attestations.add(entries.len());
            places.into_iter().zip(&entries).for_each(|(place, entry)| place.submit(entry.clone()));
        }
        // A promise to be kept whatever happens: it is given when the disk has it.
        AttestMode::ReceiptOnly => {
            let promised = places.into_iter().zip(&entries);
            let promised: Vec<_> =
                promised.map(|(place, entry)| place.submit_durably(entry.clone())).collect();
            try_join_all(promised.into_iter().map(|stored| stored.wait(PROMISE_PATIENCE))).await?;
        }
    }
    Ok(Attested { entries })
}

/// The entries of the documents: attestations, or bare statements.
fn entries(app: &App, principal: Option<&str>, request: Attest) -> Result<Vec<Bytes>, Error> {
    let Attest { mode, audience, nonce, documents } = request;
    let log = app.log.state();
    let entry = |document| {
        let claim = Claim::Document(document);
        let statement = app.issuer.statement(principal, audience.clone(), Some(nonce), log, claim);
        let bytes = match mode {
            AttestMode::Immediate => tyto_attest::sign(&statement, &app.key)?,
            AttestMode::ReceiptOnly => statement.encode()?,
        };
        Ok(Bytes::from(bytes))
    };
    documents.into_iter().map(entry).collect()
}

/// The newest checkpoint.
pub(crate) fn checkpoint(app: &App) -> Result<Bytes, Error> {
    Ok(app.log.newest().ok_or(Error::NoCheckpoint)?.signed.clone())
}

/// The receipt of an entry, waited for as long as caller and configuration allow.
pub(crate) async fn receipt(app: &App, leaf: &Hash, wait: Duration) -> Result<ReceiptAnswer, Error> {
    let config = &app.config.transparency;
    let patience = wait.min(Duration::from_millis(config.receipt_wait_ms));
    // Whoever waits is told before the server goes: its last checkpoint is for the next start to show.
    Ok(match app.log.receipt(leaf, patience, app.drained()).await? {
        Waited::Receipt(receipt) => ReceiptAnswer::Receipt(receipt),
        Waited::NotCovered => {
            let retry_after_ms = (config.checkpoint_interval_ms + SIGNING_MS) as u32;
            ReceiptAnswer::NotCovered { retry_after_ms }
        }
    })
}

/// The receipt of consistency between a size that the caller knows and a checkpoint.
pub(crate) async fn consistency(app: &App, request: GetConsistencyProof) -> Result<Bytes, Error> {
    let GetConsistencyProof { old_size, new_size } = request;
    let newest = app.log.newest().ok_or(Error::NoCheckpoint)?;
    let _proving = app.log.prove().await?;
    let unknown = |size| Error::UnknownCheckpoint { size, newest: newest.size() };
    let later = match new_size {
        None => (*newest).clone(),
        Some(size) => {
            let covering = app.store.checkpoint_covering(size - 1).await?;
            covering.filter(|checkpoint| checkpoint.size() == size).ok_or_else(|| unknown(size))?
        }
    };
    if old_size > later.size() {
        return Err(unknown(old_size));
    }
    let path = app.store.log_consistency_proof(old_size, later.size()).await?;
    Ok(ConsistencyReceipt::new(later.checkpoint, old_size, path).encode().into())
}

/// The keys that this server signs with, and then those that it signed with before.
pub(crate) fn keys(app: &App) -> KeyList {
    let keys = present(app).into_iter().chain(app.earlier_keys.iter().cloned()).collect();
    KeyList { issuer: app.issuer.name().to_owned(), log_id: app.log.id(), keys }
}

fn present(app: &App) -> [KeyEntry; 2] {
    [
        KeyEntry { purpose: Purpose::Attestation, key: app.key.public_key() },
        KeyEntry { purpose: Purpose::Log, key: app.log.public_key().clone() },
    ]
}

/// Queues the entries that say that the server's keys came into use, and that earlier ones went out of use. Of each there
/// is only ever one: its name follows from the key's id.
///
/// # Errors
/// [`Error::RetiredKey`] if a key would sign of which the log says that it went out of use: the keys were rolled back.
pub(crate) async fn log_keys(app: &App) -> Result<(), Error> {
    for KeyEntry { key, .. } in present(app) {
        let (key_id, retired) = (key.key_id(), change_name(RETIREMENT_DOMAIN, key.key_id()));
        if app.store.log_place(retired).await?.is_some() {
            return Err(Error::RetiredKey { key_id });
        }
        log_key_change(app, KeyOperation::Activate, key_id)?;
    }
    for KeyEntry { key, .. } in &app.earlier_keys {
        log_key_change(app, KeyOperation::Activate, key.key_id())?;
        log_key_change(app, KeyOperation::Retire, key.key_id())?;
    }
    Ok(())
}

fn log_key_change(app: &App, operation: KeyOperation, key_id: KeyId) -> Result<(), Error> {
    let domain = match operation {
        KeyOperation::Retire => RETIREMENT_DOMAIN,
        _ => ACTIVATION_DOMAIN,
    };
    let change = KeyChange { operation, key_id, roots_version: None };
    let statement = app.issuer.statement(None, String::new(), None, app.log.state(), Claim::Key(change));
    let place: Place = app.log.place()?;
    place.submit_as(LogEntry { id: change_name(domain, key_id), bytes: statement.encode()?.into() });
    Ok(())
}

fn change_name(domain: &[u8], key_id: KeyId) -> LogEntryId {
    LogEntryId::of_leaf(&sha3_256(&[domain, &key_id]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use futures_util::FutureExt;
    use tyto_api::limits::MAX_DOCUMENTS_PER_CALL;
    use tyto_attest::{Document, DocumentDigest};

    fn documents(count: usize) -> Attest {
        let document = |i: usize| {
            let digest = DocumentDigest::Sha256(sha3_256(&[&i.to_le_bytes()]));
            Document { digest, label: None }
        };
        Attest {
            mode: AttestMode::Immediate,
            audience: String::new(),
            nonce: [1; 32],
            documents: (0..count).map(document).collect(),
        }
    }

    #[tokio::test]
    async fn a_cancelled_call_stays_within_the_bound_and_leaves_nothing_behind() {
        let (_dir, app) = fixture::app(|_| {}).await;
        let all = app.attesting.available_permits();
        let call = documents(MAX_DOCUMENTS_PER_CALL);
        let begun = attest(app.app(), None, call).now_or_never();
        assert!(begun.is_none(), "it takes longer than one look");
        assert_eq!(app.attesting.available_permits(), all - 1, "what it began goes on");
        let _every = app.attesting.acquire_many(all as u32).await.unwrap();
        assert_eq!(app.log.queued(), 0, "its places are free");
    }

    #[tokio::test]
    async fn calls_that_wait_hold_no_places_and_documents_leave_some_for_matches() {
        let (_dir, app) = fixture::app(|config| config.transparency.queued_entries = 400).await;
        let every = app.attesting.acquire_many(app.attesting.available_permits() as u32).await.unwrap();
        assert!(attest(app.app(), None, documents(200)).now_or_never().is_none());
        assert_eq!(app.log.queued(), 0);
        drop(every);
        let mut places = Vec::new();
        while let Ok(place) = app.log.place_for_document() {
            places.push(place);
        }
        assert_eq!(places.len(), 300);
        let full = attest(app.app(), None, documents(1)).await.map(|_| ());
        assert!(matches!(full, Err(Error::LogQueueFull { max: 300 })), "{full:?}");
        assert!(app.log.place().is_ok());
    }
}

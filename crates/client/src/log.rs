//! Attestations of documents, and the log's side of every attestation: checkpoints, receipts, bundles.
//!
//! Attestations, checkpoints and receipts are verified before they are given on: by the trust root of
//! [`Config::trust_root`](crate::Config), or without one by the keys that the server lists, which shows that it keeps to
//! what it says and nothing more. [`Client::keys`] and [`Client::consistency`] give on what the server says. The client
//! remembers the newest checkpoint that it saw, and which log the server at its endpoint keeps; whatever does not
//! continue that checkpoint, or lead to it, is refused.

use crate::channel::Rpc;
use crate::client::{Client, Shared};
use crate::gallery::compute;
use crate::state::LogMemory;
use crate::{Error, KeptAttestation};
use bytes::Bytes;
use std::io::{self, Read};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tyto_api::attest::{
    Attest, Attested, GetConsistencyProof, GetReceipt, KeyList, ReceiptAnswer, checkpoint,
    consistency_receipt,
};
use tyto_api::proto::attest::v1 as proto;
use tyto_attest::{
    Bundle, Checkpoint, Claim, ConsistencyReceipt, Content, Document, DocumentDigest, KeyEntry, KeyId,
    KeyRecord, LogFact, Object, PublicKey, Purpose, Receipt, Statement, TreeHead, TrustRoot, Verified,
};
use tyto_pqc::digest::Hasher;
use tyto_pqc::random;

pub use tyto_api::attest::AttestMode;

/// How long one call waits for a receipt; the server may answer sooner that there is none yet.
const RECEIPT_WAIT_MS: u32 = 5_000;
/// Shortest and longest pause between two attempts, whatever the server says.
const PAUSE_MS: std::ops::RangeInclusive<u32> = 100..=5_000;

/// An attested document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AttestedDocument {
    /// The log's entry: an attestation, or in receipt-only mode a statement that nobody signed yet.
    pub content: Content,
    /// What it says, compared with what was asked for.
    pub statement: Statement,
}

impl KeptAttestation {
    /// The attestation as the log has it.
    pub fn content(&self) -> Content {
        Content::Attestation(self.file.attestation.clone())
    }
}

/// SHA3-256 of a document, read to its end. Blocks.
///
/// # Errors
/// Whatever reading fails with.
pub fn document_digest(mut document: impl Read) -> io::Result<DocumentDigest> {
    let mut hasher = Hasher::new();
    io::copy(&mut document, &mut hasher)?;
    Ok(DocumentDigest::Sha3_256(hasher.finalize()))
}

/// What the client knows of the server's log.
#[derive(Debug)]
pub(crate) struct KnownLog {
    keys: KeyList,
    roots: TrustRoot,
    memory: Arc<LogMemory>,
}

impl KnownLog {
    /// Takes a list of keys, after what was known before in this process. Blocks.
    ///
    /// # Errors
    /// [`Error::LogReplaced`].
    fn new(keys: KeyList, before: Option<&Self>, shared: &Shared) -> Result<Self, Error> {
        let (config, log_id) = (&shared.config, keys.log_id);
        let listed = |roots: &TrustRoot| roots.keys().any(|record| record.log_id == Some(log_id));
        let may_change = config.trust_root.as_ref().is_some_and(listed);
        let saved = match &shared.state {
            Some(state) => state.observe_log(&config.endpoint, log_id, may_change)?,
            None => None,
        };
        let known = saved.or(before.map(|before| before.memory.log_id())).filter(|known| *known != log_id);
        if let Some(known) = known.filter(|_| !may_change) {
            let file = shared.state.as_ref().map(|state| state.server_log_file(&config.endpoint));
            return Err(Error::LogReplaced { known, found: log_id, file });
        }
        let roots = match &config.trust_root {
            Some(roots) => roots.clone(),
            None => self_made(&keys, before.map(|before| &before.keys))?,
        };
        let memory = match before {
            Some(before) if before.memory.log_id() == log_id => Arc::clone(&before.memory),
            _ => Arc::new(LogMemory::new(log_id, shared.state.as_ref())),
        };
        Ok(Self { keys, roots, memory })
    }

    /// Everything that is judged here is new: it exists now.
    fn judge(&self, evidence: &[u8]) -> Result<Verified, Error> {
        Ok(tyto_attest::verify(evidence, &self.roots, Some(now_unix_ms())).outcome?)
    }

    /// What an attestation says, whose signer is judged; evidence of another kind is none.
    fn attestation(&self, entry: &[u8]) -> Result<Statement, Error> {
        signer_of(entry)?;
        self.judge(entry)?.statement.ok_or(Error::AttestationMissing)
    }

    /// Checks that something is of this log.
    fn check_log(&self, fact: Option<LogFact>) -> Result<TreeHead, Error> {
        let head = fact.ok_or(Error::OutOfOrder { call: "GetReceipt" })?.head;
        if head.log_id == self.memory.log_id() { Ok(head) } else { Err(Error::OtherLog) }
    }

    /// The newest tree head that was seen.
    async fn newest(self: &Arc<Self>) -> Result<Option<TreeHead>, Error> {
        let log = Arc::clone(self);
        compute(move || log.memory.newest()).await
    }

    /// The entry of a key in a bundle.
    fn key_entry(&self, key_id: &KeyId, purpose: Purpose) -> Result<KeyEntry, Error> {
        let listed =
            self.keys.keys.iter().find(|entry| entry.key.key_id() == *key_id).map(|entry| &entry.key);
        let key = listed.or_else(|| self.roots.get(key_id).map(|record| &record.key));
        let key = key.ok_or(Error::UnlistedKey { purpose })?.clone();
        Ok(KeyEntry { purpose, key })
    }
}

impl Client {
    /// Has digests of documents attested, for the audience of [`Config::audience`](crate::Config). Each becomes an entry
    /// of the log, whose [bundle](Client::bundle) convinces without a network.
    ///
    /// # Errors
    /// [`Error::DocumentMismatch`] if the server attested something else; [`Error::LogReplaced`]; [`Error::Attestation`] if
    /// an attestation
    /// does not hold, by the trusted keys or by those that the server lists.
    pub async fn attest(
        &self,
        mode: AttestMode,
        mut documents: Vec<Document>,
    ) -> Result<Vec<AttestedDocument>, Error> {
        documents.iter_mut().for_each(unlabel_empty);
        let log = self.known_log().await?;
        let audience = self.shared.config.audience.clone();
        let request =
            Attest { mode, audience, nonce: random::bytes().map_err(tyto_tenant::Error::from)?, documents };
        let message = proto::AttestRequest::from(request.clone());
        let attest = |rpc: Rpc| {
            let message = message.clone();
            async move { { rpc.attest }.attest(message).await }
        };
        let attested = Attested::try_from(self.shared.rpc.repeat("Attest", attest).await?)?;
        if attested.entries.len() != request.documents.len() {
            return Err(Error::OutOfOrder { call: "Attest" });
        }
        let exchange = Arc::new((request, attested));
        match self.all_attested(&log, &exchange).await {
            Err(error) if error.is_missing_key() => {
                self.all_attested(&self.renewed(&log).await?, &exchange).await
            }
            done => done,
        }
    }

    async fn all_attested(
        &self,
        log: &Arc<KnownLog>,
        exchange: &Arc<(Attest, Attested)>,
    ) -> Result<Vec<AttestedDocument>, Error> {
        let (client, log, exchange) = (self.clone(), Arc::clone(log), Arc::clone(exchange));
        compute(move || {
            let (request, attested) = &*exchange;
            let entries = attested.entries.iter().zip(&request.documents);
            entries
                .map(|(entry, document)| client.attested(&log, request, document, entry.to_vec()))
                .collect()
        })
        .await
    }

    /// Reads one entry and compares it with what was asked for.
    fn attested(
        &self,
        log: &KnownLog,
        request: &Attest,
        document: &Document,
        entry: Vec<u8>,
    ) -> Result<AttestedDocument, Error> {
        let (content, statement) = match (request.mode, &self.shared.config.trusted_keys) {
            (AttestMode::ReceiptOnly, _) => {
                let statement = Statement::decode(&entry)?;
                (Content::Statement(entry), statement)
            }
            (AttestMode::Immediate, Some(keys)) => {
                let statement = tyto_attest::verify_attestation(&entry, keys)?;
                (Content::Attestation(entry), statement)
            }
            (AttestMode::Immediate, None) => {
                let statement = log.attestation(&entry)?;
                (Content::Attestation(entry), statement)
            }
        };
        let differs = |field| Error::DocumentMismatch { field };
        if statement.nonce != Some(request.nonce) {
            return Err(differs("nonce"));
        }
        if statement.audience != request.audience {
            return Err(differs("audience"));
        }
        if statement.claim != Claim::Document(document.clone()) {
            return Err(differs("document"));
        }
        if statement.log.is_none_or(|state| state.log_id != log.memory.log_id()) {
            return Err(differs("log id"));
        }
        Ok(AttestedDocument { content, statement })
    }

    /// The keys that the server says it signs with, as it listed them last when they were needed. Nothing vouches for
    /// them but the server.
    pub async fn keys(&self) -> Result<KeyList, Error> {
        Ok(self.known_log().await?.keys.clone())
    }

    /// The newest checkpoint, after it was verified and found to continue the newest one that this client saw.
    ///
    /// # Errors
    /// [`Error::LogRolledBack`], [`Error::LogForked`], [`Error::LogReplaced`], [`Error::OtherLog`];
    /// [`Error::Attestation`].
    pub async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let log = self.known_log().await?;
        match self.settled_checkpoint(&log).await {
            Err(error) if error.is_missing_key() => self.settled_checkpoint(&self.renewed(&log).await?).await,
            done => done,
        }
    }

    async fn settled_checkpoint(&self, log: &Arc<KnownLog>) -> Result<Checkpoint, Error> {
        let (checkpoint, known) = self.newest_checkpoint(log).await?;
        self.settle(log, known, checkpoint.clone()).await?;
        Ok(checkpoint)
    }

    /// The server's newest checkpoint, verified, and the newest one that was seen before it was asked for.
    async fn newest_checkpoint(&self, log: &Arc<KnownLog>) -> Result<(Checkpoint, Option<TreeHead>), Error> {
        // Read first: what others see while this answer is on its way is no floor for it.
        let known = log.newest().await?;
        let get =
            |rpc: Rpc| async move { { rpc.attest }.get_checkpoint(proto::GetCheckpointRequest {}).await };
        let signed = checkpoint(self.shared.rpc.repeat("GetCheckpoint", get).await?)?;
        let (judging, bytes) = (Arc::clone(log), signed.clone());
        let head = compute(move || judging.check_log(judging.judge(&bytes)?.log)).await?;
        if let Some(known) = known.filter(|known| head.size < known.size) {
            return Err(Error::LogRolledBack { known: known.size, found: head.size });
        }
        Ok((Checkpoint::parse(&signed)?, known))
    }

    /// Proof that the log was only appended to since it had `old_size` entries, up to `new_size` (that of a checkpoint
    /// which the server keeps) or the newest checkpoint. Given on as it came: its signature and proof are for whoever has the earlier tree
    /// head to verify, with [`tyto_attest::verify_consistency`].
    ///
    /// # Errors
    /// [`Error::Attestation`] if it is no such proof; nothing else is checked.
    pub async fn consistency(
        &self,
        old_size: u64,
        new_size: Option<u64>,
    ) -> Result<ConsistencyReceipt, Error> {
        let request = proto::GetConsistencyProofRequest::from(GetConsistencyProof { old_size, new_size });
        let get = |rpc: Rpc| async move { { rpc.attest }.get_consistency_proof(request).await };
        let receipt = consistency_receipt(self.shared.rpc.repeat("GetConsistencyProof", get).await?)?;
        Ok(ConsistencyReceipt::parse(&receipt)?)
    }

    /// The receipt of an entry, verified, of a checkpoint that goes together with the newest one that was seen. `None`
    /// if there is none within `patience`: the entry is in the log or will be, and may be asked for again.
    ///
    /// # Errors
    /// As [`Client::checkpoint`]; [`Error::Rpc`] with the code `NOT_FOUND` if the log has no such entry.
    pub async fn receipt(&self, content: &Content, patience: Duration) -> Result<Option<Receipt>, Error> {
        Ok(self.bundle(content, patience).await?.map(|(_, receipt)| receipt))
    }

    /// The bundle of an entry: its attestation or statement, its receipt and the keys of their signers, verified. It
    /// needs nothing else to convince but a trust root with these keys. `None` as for [`Client::receipt`].
    ///
    /// # Errors
    /// As [`Client::receipt`]; [`Error::UnlistedKey`].
    pub async fn bundle(
        &self,
        content: &Content,
        patience: Duration,
    ) -> Result<Option<(Bundle, Receipt)>, Error> {
        let log = self.known_log().await?;
        let Some(receipt) = self.await_receipt(content, patience).await? else { return Ok(None) };
        let bundled = match self.bundle_of(&log, content, &receipt).await {
            Err(error) if error.is_missing_key() => {
                self.bundle_of(&self.renewed(&log).await?, content, &receipt).await
            }
            done => done,
        };
        bundled.map(Some)
    }

    /// Asks for a receipt until there is one.
    async fn await_receipt(&self, content: &Content, patience: Duration) -> Result<Option<Bytes>, Error> {
        let until = Instant::now() + patience;
        loop {
            let left_ms = until.saturating_duration_since(Instant::now()).as_millis();
            let wait_ms = left_ms.min(RECEIPT_WAIT_MS.into()) as u32;
            match self.ask_for_receipt(content, wait_ms).await? {
                ReceiptAnswer::Receipt(receipt) => return Ok(Some(receipt)),
                ReceiptAnswer::NotCovered { .. } if left_ms == 0 => return Ok(None),
                ReceiptAnswer::NotCovered { retry_after_ms } => {
                    tokio::time::sleep(pause(retry_after_ms, left_ms)).await;
                }
            }
        }
    }

    /// Verifies a receipt and puts it together with its entry.
    async fn bundle_of(
        &self,
        log: &Arc<KnownLog>,
        content: &Content,
        receipt: &[u8],
    ) -> Result<(Bundle, Receipt), Error> {
        let parsed = Receipt::parse(receipt)?;
        let mut keys = Vec::new();
        if let Content::Attestation(attestation) = content {
            keys.push(log.key_entry(&signer_of(attestation)?, Purpose::Attestation)?);
        }
        keys.push(log.key_entry(&parsed.checkpoint().key_id(), Purpose::Log)?);
        let bundle =
            Bundle { content: content.clone(), receipt: Some(receipt.to_vec()), keys, decision: None };
        let (judging, bytes) = (Arc::clone(log), bundle.encode()?);
        compute(move || judging.check_log(judging.judge(&bytes)?.log)).await?;
        let known = log.newest().await?;
        self.settle(log, known, parsed.checkpoint().clone()).await?;
        Ok((bundle, parsed))
    }

    async fn ask_for_receipt(&self, content: &Content, wait_ms: u32) -> Result<ReceiptAnswer, Error> {
        let request = proto::GetReceiptRequest::from(GetReceipt { leaf_hash: content.leaf_hash(), wait_ms });
        let get = |rpc: Rpc| {
            let request = request.clone();
            async move { { rpc.attest }.get_receipt(request).await }
        };
        Ok(self.shared.rpc.repeat("GetReceipt", get).await?.try_into()?)
    }

    /// Checks that a verified checkpoint is of the same history as the newest one that was seen, which may be older or
    /// newer, and remembers it if it is newer. `known` is the newest one as it was read last.
    async fn settle(
        &self,
        log: &Arc<KnownLog>,
        mut known: Option<TreeHead>,
        mut checkpoint: Checkpoint,
    ) -> Result<(), Error> {
        loop {
            let head = *checkpoint.head();
            match known {
                Some(seen) if head.size < seen.size => {
                    // The newest one is kept by the server for certain, which the one that was seen need not be.
                    let (newest, seen) = self.newest_checkpoint(log).await?;
                    self.check_extends(log, &head, newest.head()).await?;
                    (checkpoint, known) = (newest, seen);
                    continue;
                }
                Some(seen) => self.check_extends(log, &seen, &head).await?,
                None => {}
            }
            let (memory, remembered) = (Arc::clone(log), checkpoint.clone());
            // Ends, since whoever was faster made the memory grow.
            match compute(move || memory.memory.remember(known, &remembered)).await? {
                None => return Ok(()),
                meanwhile => known = meanwhile,
            }
        }
    }

    /// Checks that one tree extends another.
    async fn check_extends(&self, log: &Arc<KnownLog>, old: &TreeHead, new: &TreeHead) -> Result<(), Error> {
        let forked = Error::LogForked { known: old.size, found: new.size };
        if old.size == new.size {
            return if old.root == new.root { Ok(()) } else { Err(forked) };
        }
        let receipt = self.consistency(old.size, Some(new.size)).await?;
        if receipt.checkpoint().head().root != new.root {
            return Err(forked);
        }
        let (log, old, bytes) = (Arc::clone(log), *old, receipt.encode());
        compute(move || {
            let verdict = tyto_attest::verify_consistency(&bytes, &old, &log.roots, Some(now_unix_ms()));
            verdict.outcome.map_err(|error| match error {
                tyto_attest::Error::Proof { .. } => forked,
                other => other.into(),
            })?;
            Ok(())
        })
        .await
    }

    /// What is known of the server's log; asks the server the first time.
    pub(crate) async fn known_log(&self) -> Result<Arc<KnownLog>, Error> {
        let known = self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(known) => Ok(known),
            None => self.ask_for_keys(None).await,
        }
    }

    /// What is known after the server was asked once more, by us or meanwhile by somebody else.
    async fn renewed(&self, before: &Arc<KnownLog>) -> Result<Arc<KnownLog>, Error> {
        let known = self.known_log().await?;
        if Arc::ptr_eq(&known, before) { self.ask_for_keys(Some(known)).await } else { Ok(known) }
    }

    async fn ask_for_keys(&self, before: Option<Arc<KnownLog>>) -> Result<Arc<KnownLog>, Error> {
        let list = |rpc: Rpc| async move { { rpc.attest }.list_keys(proto::ListKeysRequest {}).await };
        let keys = KeyList::try_from(self.shared.rpc.repeat("ListKeys", list).await?)?;
        let (shared, known_before) = (Arc::clone(&self.shared), before.clone());
        let log =
            compute(move || Ok(Arc::new(KnownLog::new(keys, known_before.as_deref(), &shared)?))).await?;
        let mut known = self.shared.log.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            // Whoever came first at the same time is kept, with what it remembers.
            Some(known) if !before.is_some_and(|before| Arc::ptr_eq(&before, known)) => Ok(Arc::clone(known)),
            _ => Ok(Arc::clone(known.insert(log))),
        }
    }
}

/// A list of what the server says, signed by nobody. What it said before still holds, since it lists only the keys that it
/// has now.
fn self_made(list: &KeyList, before: Option<&KeyList>) -> Result<TrustRoot, Error> {
    let log_key = list.keys.iter().find_map(|entry| match (&entry.key, entry.purpose) {
        (PublicKey::SlhDsa(key), Purpose::Log) => Some(key.clone()),
        _ => None,
    });
    let log_key = log_key.ok_or(Error::UnlistedKey { purpose: Purpose::Log })?;
    let mut roots = TrustRoot::new(list.issuer.clone(), 0, log_key);
    let before = before.filter(|before| before.log_id == list.log_id);
    for KeyEntry { purpose, key } in before.iter().flat_map(|before| &before.keys).chain(&list.keys) {
        roots.insert(KeyRecord {
            key: key.clone(),
            purpose: *purpose,
            log_id: (*purpose == Purpose::Log).then_some(list.log_id),
            name: list.issuer.clone(),
            valid_from_unix_ms: 0,
            valid_until_unix_ms: None,
            revocation: None,
        });
    }
    Ok(roots)
}

/// An empty label and none are the same in a message.
fn unlabel_empty(document: &mut Document) {
    document.label.take_if(|label| label.is_empty());
}

/// How long is waited before a receipt is asked for again, if the server says so much and so much patience is left.
fn pause(retry_after_ms: u32, left_ms: u128) -> Duration {
    let wished = retry_after_ms.clamp(*PAUSE_MS.start(), *PAUSE_MS.end());
    Duration::from_millis(u128::from(wished).min(left_ms) as u64)
}

/// Who says to have signed an attestation.
fn signer_of(attestation: &[u8]) -> Result<KeyId, Error> {
    match tyto_attest::inspect(attestation)? {
        Object::Attestation(claimed) => Ok(claimed.key_id),
        _ => Err(Error::AttestationMissing),
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tyto_attest::LogState;
    use tyto_pqc::{mldsa, slhdsa};

    const LOG: [u8; 32] = [7; 32];

    #[test]
    fn a_bundle_around_an_attestation_is_no_entry_of_the_log() {
        let signer = mldsa::SigningKey::generate().unwrap();
        let log_key = slhdsa::SigningKey::generate(slhdsa::ParameterSet::Shake128f).unwrap();
        let key = |purpose, key| KeyEntry { purpose, key };
        let attesting = key(Purpose::Attestation, PublicKey::MlDsa65(signer.verifying_key().clone()));
        let logging = key(Purpose::Log, PublicKey::SlhDsa(log_key.verifying_key().clone()));
        let keys =
            KeyList { issuer: "tytod".to_owned(), log_id: LOG, keys: vec![attesting.clone(), logging] };
        let roots = self_made(&keys, None).unwrap();
        let log = KnownLog { keys, roots, memory: Arc::new(LogMemory::new(LOG, None)) };
        let statement = Statement {
            issuer: "tytod".to_owned(),
            issued_at_unix_ms: now_unix_ms(),
            audience: String::new(),
            nonce: Some([2; 32]),
            principal: None,
            software_version: "tytod 0".to_owned(),
            build_digest: None,
            log: Some(LogState { log_id: LOG, previous_checkpoint: None }),
            claim: Claim::Document(Document { digest: DocumentDigest::Sha256([1; 32]), label: None }),
        };
        let entry = tyto_attest::sign(&statement, &signer).unwrap();
        assert_eq!(log.attestation(&entry).unwrap(), statement);
        let content = Content::Attestation(entry);
        let bundle = Bundle { content, receipt: None, keys: vec![attesting], decision: None };
        let bundle = bundle.encode().unwrap();
        assert_eq!(log.judge(&bundle).unwrap().statement, Some(statement), "good evidence, of another kind");
        assert!(matches!(log.attestation(&bundle), Err(Error::AttestationMissing)));
    }

    #[test]
    fn an_empty_label_is_none() {
        let label = |label: Option<&str>| {
            let digest = DocumentDigest::Sha256([1; 32]);
            let mut document = Document { digest, label: label.map(str::to_owned) };
            unlabel_empty(&mut document);
            document.label
        };
        assert_eq!([label(Some("")), label(None)], [None, None]);
        assert_eq!(label(Some("deed")).as_deref(), Some("deed"));
    }

    #[test]
    fn no_server_makes_a_client_ask_without_a_pause() {
        assert_eq!(pause(0, 10_000), Duration::from_millis(100));
        assert_eq!(pause(700, 10_000), Duration::from_millis(700));
        assert_eq!(pause(u32::MAX, 10_000), Duration::from_secs(5));
        assert_eq!(pause(700, 20), Duration::from_millis(20));
    }
}

//! The fields of everything that is attested, under the names of the format description.

use tyto_client::attest;
use tyto_client::attest::log::leaf_hash;
use tyto_client::attest::{
    Algorithm, Bundle, Checkpoint, Claim, Claimed, ConsistencyReceipt, Content, CosignatureStatus, Decision,
    Existence, KeyEntry, LogFact, MatchResult, Object, Receipt, Statement, TreeHead,
};

use crate::output::hex;
use crate::shown::{Fields, Value};

/// What kind of evidence it is, in results.
pub(super) fn kind(object: &Object) -> &'static str {
    match object {
        Object::Bundle(_) => "bundle",
        Object::Attestation(_) => "attestation",
        Object::Statement(_) => "statement",
        Object::Decision(_) => "decision",
        Object::Checkpoint(_) => "checkpoint",
        Object::Receipt(_) => "receipt",
        Object::Consistency(_) => "consistency-receipt",
        _ => "other",
    }
}

/// All fields of evidence, none of them verified.
pub(super) fn object(object: &Object) -> Result<Fields, attest::Error> {
    Ok(match object {
        Object::Bundle(inner) => bundle(inner)?,
        Object::Attestation(inner) => signed(inner, "statement", statement),
        Object::Statement(inner) => Fields::new().with("statement", statement(inner)),
        Object::Decision(inner) => signed(inner, "decision", decision),
        Object::Checkpoint(inner) => Fields::new().with("checkpoint", checkpoint(inner)),
        Object::Receipt(inner) => Fields::new().with("receipt", receipt(inner)),
        Object::Consistency(inner) => Fields::new().with("receipt", consistency(inner)),
        _ => Fields::new(),
    })
}

fn signed<T>(claimed: &Claimed<T>, name: &'static str, fields: impl FnOnce(&T) -> Fields) -> Fields {
    Fields::new()
        .with("algorithm", algorithm(claimed.algorithm))
        .bytes("signing_key", &claimed.key_id)
        .with(name, fields(&claimed.content))
}

fn bundle(bundle: &Bundle) -> Result<Fields, attest::Error> {
    let entry = bundle.content.as_bytes();
    let mode = match bundle.content {
        Content::Attestation(_) => "attestation",
        Content::Statement(_) => "statement",
    };
    let inner = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(inspected).transpose();
    let content = match &bundle.content {
        // What is not signed in its own right must not pass for something that is.
        Content::Statement(bytes) => object(&Object::Statement(Statement::decode(bytes)?))?,
        Content::Attestation(bytes) => inspected(bytes)?,
    };
    Ok(Fields::new()
        .with("mode", mode)
        .with("entry_bytes", entry.len() as u64)
        .bytes("leaf_hash", &leaf_hash(entry))
        .and(content)
        .with("receipt", inner(&bundle.receipt)?)
        .with("keys", bundle.keys.iter().map(key_entry).collect::<Value>())
        .with("decision", inner(&bundle.decision)?))
}

fn inspected(bytes: &[u8]) -> Result<Fields, attest::Error> {
    object(&attest::inspect(bytes)?)
}

fn key_entry(entry: &KeyEntry) -> Fields {
    Fields::new()
        .bytes("key", &entry.key.key_id())
        .with("algorithm", entry.key.algorithm().name())
        .with("purpose", entry.purpose.name())
        .bytes("public_key", entry.key.as_bytes())
}

fn algorithm(number: i64) -> String {
    Algorithm::with_cose_number(number).map_or_else(|| number.to_string(), |known| known.name().to_owned())
}

/// A statement of any kind: what all have, then the claim.
pub(super) fn statement(statement: &Statement) -> Fields {
    let previous = statement.log.and_then(|log| log.previous_checkpoint);
    let previous = previous.map(|p| Fields::new().with("size", p.size).bytes("root", &p.root));
    Fields::new()
        .with("kind", statement.claim.kind())
        .with("issuer", statement.issuer.as_str())
        .with("issued_at_unix_ms", statement.issued_at_unix_ms)
        .with("audience", statement.audience.as_str())
        .bytes_or_none("nonce", statement.nonce.as_ref().map(<[u8; 32]>::as_slice))
        .with("principal", statement.principal.as_deref())
        .and(claim(&statement.claim))
        .with("software_version", statement.software_version.as_str())
        .with("build_digest", statement.build_digest.as_deref())
        .bytes_or_none("log_id", statement.log.as_ref().map(|log| log.log_id.as_slice()))
        .with("previous_checkpoint", previous)
}

fn claim(claim: &Claim) -> Fields {
    match claim {
        Claim::Match(result) => match_result(result),
        Claim::Document(document) => Fields::new()
            .with("algorithm", document.digest.algorithm())
            .bytes("digest", document.digest.as_bytes())
            .with("label", document.label.as_deref()),
        Claim::Gallery(change) => Fields::new()
            .with("operation", change.operation.name())
            .bytes("gallery", &change.gallery_id)
            .with("manifest_version", change.manifest_version)
            .with("items", change.items)
            .bytes("request_digest", &change.request_digest)
            .bytes("gallery_state_digest", &change.gallery_state_digest),
        Claim::Key(change) => Fields::new()
            .with("operation", change.operation.name())
            .bytes("key", &change.key_id)
            .with("roots_version", change.roots_version),
        Claim::Audit(anchor) => Fields::new()
            .bytes("chain", &anchor.chain_id)
            .with("records", anchor.records)
            .bytes("head", &anchor.head),
        _ => Fields::new(),
    }
}

fn match_result(result: &MatchResult) -> Fields {
    Fields::new()
        .with("operation", result.operation.name())
        .with("parameter_set", u64::from(result.parameter_set))
        .bytes("gallery", &result.gallery_id)
        .with("mask_epoch", u64::from(result.mask_epoch))
        .with("manifest_version", result.manifest_version)
        .bytes("blocks_root", &result.blocks_root)
        .with("blocks_matched", result.blocks_matched)
        .with("blocks_total", result.blocks_total)
        .bytes_or_none("ticket", result.ticket_id.as_ref().map(<[u8; 16]>::as_slice))
        .bytes("request_digest", &result.request_digest)
        .bytes("gallery_state_digest", &result.gallery_state_digest)
        .bytes("records_digest", &result.records_digest)
        .bytes("result_digest", &result.result_digest)
        .with("reply_bits", u64::from(result.reply_bits))
}

/// A tenant's decision.
pub(super) fn decision(decision: &Decision) -> Fields {
    Fields::new()
        .with("tenant", decision.tenant.as_str())
        .with("audience", decision.audience.as_str())
        .with("decided_at_unix_ms", decision.decided_at_unix_ms)
        .bytes_or_none("subject", decision.subject.as_ref().map(<[u8; 16]>::as_slice))
        .with("outcome", decision.outcome.name())
        .with("threshold", decision.threshold)
        .bytes("attestation_digest", &decision.attestation_digest)
}

/// What a checkpoint says of its log.
pub(crate) fn tree_head(head: &TreeHead) -> Fields {
    Fields::new()
        .bytes("log_id", &head.log_id)
        .with("size", head.size)
        .bytes("root", &head.root)
        .with("time_unix_ms", head.time_unix_ms)
}

fn checkpoint(checkpoint: &Checkpoint) -> Fields {
    let cosignatures = checkpoint.cosignatures().iter().map(|cosignature| {
        Fields::new()
            .bytes("key", &cosignature.key_id())
            .with("algorithm", algorithm(cosignature.algorithm()))
            .with("time_unix_ms", cosignature.time_unix_ms())
    });
    tree_head(checkpoint.head())
        .with("algorithm", algorithm(checkpoint.algorithm()))
        .bytes("signing_key", &checkpoint.key_id())
        .with("cosignatures", cosignatures.collect::<Value>())
}

fn receipt(receipt: &Receipt) -> Fields {
    Fields::new()
        .with("index", receipt.index())
        .with("path", receipt.path().iter().map(|hash| hex(hash)).collect::<Value>())
        .with("checkpoint", checkpoint(receipt.checkpoint()))
}

fn consistency(receipt: &ConsistencyReceipt) -> Fields {
    Fields::new()
        .with("old_size", receipt.old_size())
        .with("path", receipt.path().iter().map(|hash| hex(hash)).collect::<Value>())
        .with("checkpoint", checkpoint(receipt.checkpoint()))
}

/// What a verification found out about the log.
pub(super) fn log_fact(log: &LogFact) -> Fields {
    let cosignatures = log.cosignatures.iter().map(|fact| {
        let status = match fact.status {
            CosignatureStatus::Counts => "counts",
            CosignatureStatus::UnknownKey => "unknown-key",
            _ => "not-believed",
        };
        Fields::new()
            .bytes("key", &fact.key_id)
            .with("time_unix_ms", fact.time_unix_ms)
            .with("status", status)
    });
    tree_head(&log.head)
        .bytes("signing_key", &log.key_id)
        .with("index", log.index)
        .with("cosignatures", cosignatures.collect::<Value>())
}

/// Since when evidence is known to exist.
pub(super) fn existence(existence: Existence) -> Fields {
    let (by, time) = match existence {
        Existence::Log { by_unix_ms } => ("log", Some(by_unix_ms)),
        Existence::Verifier { by_unix_ms } => ("verifier", Some(by_unix_ms)),
        _ => ("unknown", None),
    };
    Fields::new().with("known_by", by).with("time_unix_ms", time)
}

//! What a key's validity and revocation mean for something it signed.
//!
//! Three times matter. *Made*: what the signer says. *Existed by*: a time at which the thing is known to have
//! existed, from a checkpoint, a witness or the verifier's own clock. *Revoked*: from when on the signer is not
//! believed. A signer can lie about the first and not about the second.

use crate::error::{Error, Part};
use crate::roots::KeyRecord;

/// How far clocks may disagree: something may say it was made this much later than it was seen.
pub const MAX_CLOCK_SKEW_MS: u64 = 5 * 60 * 1000;

/// Checks that the key of an attestation or a decision may be believed: made within the key's
/// validity, known to have existed before its end, and before its revocation.
pub(crate) fn check_signer(
    part: Part,
    record: &KeyRecord,
    made_unix_ms: u64,
    existed_by_unix_ms: Option<u64>,
) -> Result<(), Error> {
    check_period(part, record, made_unix_ms)?;
    if let (Some(existed_by), Some(until)) = (existed_by_unix_ms, record.valid_until_unix_ms)
        && existed_by >= until
    {
        return Err(expired(part, record, existed_by, until));
    }
    check_revocation(part, record, made_unix_ms, existed_by_unix_ms)
}

/// Checks that the key of a checkpoint or a co-signature may be believed: made within the key's validity, and known
/// to have existed before its revocation. Its expiry alone takes nothing from what it signed before: a receipt
/// outlives the key.
pub(crate) fn check_timestamp(
    part: Part,
    record: &KeyRecord,
    made_unix_ms: u64,
    existed_by_unix_ms: Option<u64>,
) -> Result<(), Error> {
    check_period(part, record, made_unix_ms)?;
    check_revocation(part, record, made_unix_ms, existed_by_unix_ms)
}

/// Checks that something does not say it was made later than it was seen.
pub(crate) fn check_order(part: Part, made_unix_ms: u64, seen_unix_ms: u64) -> Result<(), Error> {
    if made_unix_ms <= seen_unix_ms.saturating_add(MAX_CLOCK_SKEW_MS) {
        return Ok(());
    }
    Err(Error::TimeOrder { part, at_unix_ms: made_unix_ms, seen_unix_ms })
}

fn check_period(part: Part, record: &KeyRecord, made_unix_ms: u64) -> Result<(), Error> {
    if made_unix_ms < record.valid_from_unix_ms {
        return Err(Error::NotYetValid {
            part,
            key_id: record.key_id(),
            at_unix_ms: made_unix_ms,
            valid_from_unix_ms: record.valid_from_unix_ms,
        });
    }
    match record.valid_until_unix_ms {
        Some(until) if made_unix_ms >= until => Err(expired(part, record, made_unix_ms, until)),
        _ => Ok(()),
    }
}

fn expired(part: Part, record: &KeyRecord, at_unix_ms: u64, valid_until_unix_ms: u64) -> Error {
    Error::Expired { part, key_id: record.key_id(), at_unix_ms, valid_until_unix_ms }
}

/// Unknown when it came to exist: then a revocation at any time counts.
fn check_revocation(
    part: Part,
    record: &KeyRecord,
    made_unix_ms: u64,
    existed_by_unix_ms: Option<u64>,
) -> Result<(), Error> {
    let Some(revocation) = record.revocation else { return Ok(()) };
    let revoked_at_unix_ms = revocation.revoked_at_unix_ms;
    let older = |time| time < revoked_at_unix_ms;
    if older(made_unix_ms) && existed_by_unix_ms.is_some_and(older) {
        return Ok(());
    }
    Err(Error::Revoked { part, key_id: record.key_id(), revoked_at_unix_ms })
}

//! What becomes known of a call on its way: who makes it, what it is about, whether it may be made.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::Extensions;
use tyto_access::{Caller, Denial};
use tyto_api::gallery::LoggedChange;
use tyto_api::matching::Attestation;
use tyto_attest::{Claim, MAX_TEXT_BYTES, Object, Statement};
use tyto_audit::{Call, Decision};
use tyto_scheme::{GalleryId, Pseudonym};

/// What is known of a call. It lies in the extensions of the request; copies are of the same call.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    tenant: Option<[u8; 16]>,
    principal: Option<[u8; 16]>,
    credential: Option<String>,
    denied: Option<String>,
    gallery: Option<[u8; 16]>,
    subject: Option<[u8; 16]>,
    request_digest: Option<[u8; 32]>,
    answer_digest: Option<[u8; 32]>,
    stream: Option<u64>,
}

impl Notes {
    /// Those of a call; of no call where there is no audit log.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Who makes the call.
    pub(crate) fn caller(&self, caller: &Caller) {
        let mut noted = self.lock();
        (noted.tenant, noted.principal) = (Some(caller.tenant.0), Some(caller.principal.0));
        noted.credential = Some(line(&caller.credential.to_string()));
    }

    /// Whether the call may be made, and what it is about.
    pub(crate) fn decided(
        &self,
        caller: Option<&Caller>,
        gallery: Option<GalleryId>,
        denial: Option<Denial>,
    ) {
        if let Some(caller) = caller {
            self.caller(caller);
        }
        let mut noted = self.lock();
        noted.gallery = gallery.map(|gallery| gallery.0).or(noted.gallery);
        noted.denied = denial.map(|denial| line(&denial.to_string()));
    }

    /// The subject that it is about.
    pub(crate) fn subject(&self, subject: Pseudonym) {
        self.lock().subject = Some(subject.0);
    }

    /// The answer is attested.
    pub(crate) fn attested(&self, attestation: Option<&Attestation>) {
        let Some(attestation) = attestation else { return };
        if let Ok(Object::Attestation(attested)) = tyto_attest::inspect(&attestation.cose_sign1) {
            self.claimed(&attested.content.claim);
        }
    }

    /// The change is logged.
    pub(crate) fn logged(&self, change: Option<&LoggedChange>) {
        let Some(change) = change else { return };
        if let Ok(statement) = Statement::decode(&change.statement) {
            self.claimed(&statement.claim);
        }
    }

    fn claimed(&self, claim: &Claim) {
        let (gallery, request, answer) = match claim {
            Claim::Match(result) => (result.gallery_id, result.request_digest, result.result_digest),
            Claim::Gallery(change) => (change.gallery_id, change.request_digest, change.gallery_state_digest),
            _ => return,
        };
        let mut noted = self.lock();
        // A gallery that is being created has no rights to be looked at.
        noted.gallery.get_or_insert(gallery);
        (noted.request_digest, noted.answer_digest) = (Some(request), Some(answer));
    }

    /// The call's stream began, and was recorded under this number.
    pub(super) fn begun(&self, stream: u64) {
        self.lock().stream = Some(stream);
    }

    pub(super) fn stream(&self) -> Option<u64> {
        self.lock().stream
    }

    /// What a record says of the call, but for how it ends.
    pub(super) fn call(&self, method: &'static str, peer: Option<String>) -> Call {
        let noted = self.lock();
        Call {
            tenant: noted.tenant,
            principal: noted.principal,
            credential: noted.credential.clone().map(Into::into),
            peer,
            method: method.into(),
            gallery: noted.gallery,
            subject: noted.subject,
            decision: match noted.denied.clone() {
                None => Decision::Allowed,
                Some(reason) => Decision::Denied { reason: reason.into() },
            },
            code: None,
            request_digest: noted.request_digest,
            answer_digest: noted.answer_digest,
            duration_us: None,
            stream: None,
        }
    }

    /// Forgets what is of one message of a stream alone.
    pub(super) fn next_message(&self) {
        let mut noted = self.lock();
        (noted.request_digest, noted.answer_digest) = (None, None);
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a record can hold of a text that somebody else chose.
fn line(text: &str) -> String {
    let visible: String =
        text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    let end = visible.floor_char_boundary(MAX_TEXT_BYTES);
    visible[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_credential_is_called_a_record_can_hold_it() {
        for text in ["plain", "with\nlines\u{7f}", &"é".repeat(200), &"\u{1}".repeat(300)] {
            assert_eq!(tyto_attest::check_text(&line(text)), Ok(()), "{text}");
        }
        assert_eq!(line("key:0102"), "key:0102");
    }
}

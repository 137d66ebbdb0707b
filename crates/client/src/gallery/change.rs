//! What the log says about a change that was made here.

use super::{Inner, compute};
use crate::client::{Client, Shared};
use crate::{Error, LoggedChange};
use std::sync::Arc;
use tyto_api::content;
use tyto_api::gallery::LoggedChange as Came;
use tyto_attest::digest::{DigestKind, SaltedDigest, salted};
use tyto_attest::{Claim, Content, GalleryOperation, Statement};
use tyto_scheme::GalleryId;

/// A change as it was sent.
pub(crate) struct SentChange {
    pub(crate) call: &'static str,
    pub(crate) operation: GalleryOperation,
    pub(crate) gallery: GalleryId,
    /// Blocks or templates.
    pub(crate) items: u64,
    /// The gallery that the log's entry names; unknown to whoever deletes one that it did not open.
    pub(crate) state: Option<LoggedState>,
    /// Whether the server may have committed an earlier attempt, and then says nothing of the log.
    pub(crate) repeated: bool,
}

/// The state of a gallery that the log names.
pub(crate) struct LoggedState {
    pub(crate) manifest_version: u64,
    /// Content of the digest.
    pub(crate) content: Vec<u8>,
}

impl LoggedState {
    pub(crate) fn new(manifest_version: u64, manifest_digest: &[u8; 32], blocks_root: &[u8; 32]) -> Self {
        let mut content = Vec::new();
        content::gallery_state(manifest_version, manifest_digest, blocks_root, &mut content);
        Self { manifest_version, content }
    }
}

impl SentChange {
    /// Compares the log's entry with what was sent, whose content `request` appends, and keeps it with its salt if there
    /// is a state directory. Blocks.
    ///
    /// # Errors
    /// [`Error::EntryMissing`], [`Error::EntryMismatch`]. The change is made, whatever the log says.
    pub(crate) fn settle(
        self,
        shared: &Shared,
        came: Option<Came>,
        request: impl FnOnce(&mut SaltedDigest),
    ) -> Result<(), Error> {
        let Some(came) = came else {
            return if self.repeated { Ok(()) } else { Err(Error::EntryMissing { call: self.call }) };
        };
        self.compare(&came, request)?;
        let Some(state) = &shared.state else { return Ok(()) };
        let content = self.state.as_ref().map_or(&[][..], |state| &state.content);
        state.keep_change(self.gallery, &came.statement, &came.salt, content)
    }

    fn compare(&self, came: &Came, request: impl FnOnce(&mut SaltedDigest)) -> Result<(), Error> {
        let differs = |field| Error::EntryMismatch { call: self.call, field };
        let statement = Statement::decode(&came.statement)?;
        let Claim::Gallery(change) = &statement.claim else { return Err(differs("kind")) };
        let mut digest = SaltedDigest::new(DigestKind::Request, &came.salt);
        request(&mut digest);
        let state_digest =
            self.state.as_ref().map(|state| salted(DigestKind::GalleryState, &came.salt, &state.content));
        let version = self.state.as_ref().map(|state| state.manifest_version);
        let checks = [
            ("operation", change.operation == self.operation),
            ("gallery id", change.gallery_id == self.gallery.0),
            ("manifest version", version.is_none_or(|version| version == change.manifest_version)),
            ("items", change.items == self.items),
            ("request digest", digest.finalize() == change.request_digest),
            ("gallery state digest", state_digest.is_none_or(|digest| digest == change.gallery_state_digest)),
            ("log id", statement.log.is_some()),
        ];
        match checks.into_iter().find(|(_, holds)| !holds) {
            Some((field, _)) => Err(differs(field)),
            None => Ok(()),
        }
    }
}

impl Inner {
    /// As [`SentChange::settle`], in the background.
    pub(crate) async fn settle_change(
        self: &Arc<Self>,
        sent: SentChange,
        came: Option<Came>,
        request: impl FnOnce(&mut SaltedDigest) + Send + 'static,
    ) -> Result<(), Error> {
        let inner = Arc::clone(self);
        compute(move || sent.settle(&inner.shared, came, request)).await
    }
}

impl Client {
    /// What the log says about the changes that were made to a gallery with this state directory, oldest first: the newest
    /// [`MAX_CHANGES_BYTES`](crate::MAX_CHANGES_BYTES) of them. Empty without a state directory.
    ///
    /// # Errors
    /// [`Error::StateFile`] for a damaged file.
    pub async fn logged_changes(&self, gallery: GalleryId) -> Result<Vec<LoggedChange>, Error> {
        let shared = Arc::clone(&self.shared);
        compute(move || {
            let Some(state) = &shared.state else { return Ok(Vec::new()) };
            let kept = state.changes(gallery)?.into_iter().map(|kept| {
                let statement = Statement::decode(&kept.statement)?;
                let (content, salt) = (Content::Statement(kept.statement), kept.salt);
                Ok(LoggedChange { content, statement, salt, state: kept.state })
            });
            kept.collect()
        })
        .await
    }
}

//! What the log says about changes of galleries.

use crate::Error;
use crate::app::App;
use crate::service::attestation::state_digests;
use crate::site::Site;
use bytes::Bytes;
use tyto_api::content;
use tyto_api::gallery::LoggedChange;
use tyto_attest::digest::{DigestKind, SaltedDigest, blocks_root};
use tyto_attest::{Claim, GalleryChange, GalleryOperation};
use tyto_engine::{Snapshot, StateDigests};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::GalleryId;
use tyto_store::LogEntry;

/// A change that is about to be stored, and its entry of the log.
pub(crate) struct Change {
    /// Goes into the transaction of the change.
    pub(crate) entry: LogEntry,
    salt: [u8; 32],
}

/// The gallery after a change.
#[derive(Clone, Copy)]
pub(crate) struct State {
    manifest_version: u64,
    digests: StateDigests,
}

impl State {
    /// That of a snapshot. Hashes its manifest and its blocks.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self { manifest_version: snapshot.manifest_version(), digests: snapshot.digests(state_digests) }
    }

    /// That of a gallery without blocks at manifest version 1.
    pub(crate) fn of_new(sealed_manifest: &[u8]) -> Self {
        let digests = StateDigests { manifest: sha3_256(&[sealed_manifest]), blocks_root: blocks_root(&[]) };
        Self { manifest_version: 1, digests }
    }

    /// The Merkle root over its blocks.
    pub(crate) fn blocks_root(&self) -> [u8; 32] {
        self.digests.blocks_root
    }

    /// Appends what statements say of it.
    pub(crate) fn write(&self, digest: &mut SaltedDigest) {
        content::gallery_state(
            self.manifest_version,
            &self.digests.manifest,
            &self.digests.blocks_root,
            digest,
        );
    }
}

impl Change {
    /// The change of a gallery by a request whose content `request` appends.
    pub(crate) fn new(
        app: &Site,
        gallery: GalleryId,
        operation: GalleryOperation,
        items: u64,
        state: State,
        request: impl FnOnce(&mut SaltedDigest),
    ) -> Result<Self, Error> {
        let salt = tyto_pqc::random::bytes()?;
        let mut request_digest = SaltedDigest::new(DigestKind::Request, &salt);
        request(&mut request_digest);
        let mut state_digest = SaltedDigest::new(DigestKind::GalleryState, &salt);
        state.write(&mut state_digest);
        let change = GalleryChange {
            operation,
            gallery_id: gallery.0,
            manifest_version: state.manifest_version,
            items,
            request_digest: request_digest.finalize(),
            gallery_state_digest: state_digest.finalize(),
        };
        let statement = app
            .issuer
            .statement(app.principal(), String::new(), None, app.log.state(), Claim::Gallery(change))
            .encode()?;
        Ok(Self { entry: LogEntry::of(Bytes::from(statement)), salt })
    }

    /// The change was committed: lets the log take the entry, and gives what the caller is told.
    pub(crate) fn committed(self, app: &App) -> LoggedChange {
        app.log.wake();
        LoggedChange { statement: self.entry.bytes, salt: self.salt }
    }
}

//! Ciphertexts for a replay: what the server matched, derived and fetched once more.

use super::{GalleryHandle, compute};
use crate::Error;
use std::sync::Arc;
use tyto_api::limits::MAX_DELTAS_PER_CALL;
use tyto_scheme::BlockId;
use tyto_tenant::block;

impl GalleryHandle {
    /// The ciphertexts of a block as it was when just the slots `filled` held templates, packed. The block's polynomials
    /// are derived from the tenant key as when it was provisioned; the deltas come from the server and are
    /// authenticated.
    ///
    /// Call [`GalleryHandle::sync`] first: it shows what was removed meanwhile.
    ///
    /// # Errors
    /// [`Error::NoLongerReplayable`] if one of the templates is gone; as for every call.
    pub async fn ciphertexts(&self, block: BlockId, filled: &[u16]) -> Result<Vec<u8>, Error> {
        let view = self.0.view();
        let record = match view.block(block) {
            Some(state) => Some(state.record(self.gallery(), block)?),
            None => None,
        };
        let is_there = |slot| record.as_ref().is_some_and(|record| record.is_filled(slot));
        let gone = filled.iter().copied().find(|slot| !is_there(*slot));
        if let Some(slot) = gone.or(record.is_none().then_some(0)) {
            return Err(Error::NoLongerReplayable { block, slot });
        }
        let mut stored = Vec::with_capacity(filled.len());
        for slots in filled.chunks(MAX_DELTAS_PER_CALL) {
            stored.extend(self.fetch_deltas(block, slots.to_vec()).await?);
        }
        let inner = Arc::clone(&self.0);
        compute(move || Ok(block::ciphertexts(&inner.gallery, block, &stored)?)).await
    }
}

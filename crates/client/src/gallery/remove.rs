//! Removal of all templates of a subject.

use super::commit::{BlockWork, MutationChannel, Tally};
use super::{GalleryHandle, compute};
use crate::Error;
use crate::channel::Rpc;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tyto_api::gallery::StoredDelta;
use tyto_api::limits::MAX_DELTAS_PER_CALL;
use tyto_api::proto::gallery::v1::FetchDeltasRequest;
use tyto_scheme::{BlockId, Delta};
use tyto_tenant::SubjectId;

/// Most blocks that one transaction changes: their records must fit into one message.
const MAX_BLOCKS: usize = 32;

impl GalleryHandle {
    pub(crate) async fn remove_all(&self, subject: &SubjectId) -> Result<u64, Error> {
        let removed = self.remove_until_gone(subject).await;
        self.save_marks().await?;
        removed
    }

    async fn remove_until_gone(&self, subject: &SubjectId) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let _turn = self.0.mutation_turn.lock().await;
            // First, so that templates that others enrolled go, too.
            let (view, _) = self.synchronise().await?;
            let places = self.0.locate(&view, subject);
            if places.is_empty() {
                return Ok(removed);
            }
            let mut blocks = BTreeMap::<BlockId, Vec<u16>>::new();
            for (block, slot) in places {
                let known = blocks.len();
                match blocks.get_mut(&block) {
                    Some(slots) if slots.len() < MAX_DELTAS_PER_CALL => slots.push(slot),
                    None if known < MAX_BLOCKS => {
                        blocks.insert(block, vec![slot]);
                    }
                    _ => {}
                }
            }
            let mut work = Vec::with_capacity(blocks.len());
            let mut templates = 0;
            for (block, slots) in blocks {
                templates += slots.len() as u64;
                work.push(BlockWork::Empty { block, stored: self.fetch_deltas(block, slots).await? });
            }
            let (work, mut tally) = (Arc::new(work), Tally::default());
            let mutated = self.mutate(&work, &mut MutationChannel::Remove, &mut tally).await;
            mutated.map_err(|failure| failure.error)?;
            removed += templates;
        }
    }

    /// The stored deltas of some slots: exactly those. Their tags are checked with the record at hand.
    pub(crate) async fn fetch_deltas(
        &self,
        block: BlockId,
        slots: Vec<u16>,
    ) -> Result<Vec<(u16, Delta, [u8; 16])>, Error> {
        let request = FetchDeltasRequest {
            gallery_id: Bytes::copy_from_slice(&self.id().0),
            block_id: Bytes::copy_from_slice(&block.0),
            slots: slots.iter().map(|&slot| slot.into()).collect(),
        };
        let fetch = |rpc: Rpc| {
            let request = request.clone();
            async move { { rpc.gallery }.fetch_deltas(request).await }
        };
        let answer = self.0.shared.rpc.repeat("FetchDeltas", fetch).await?;
        let inner = Arc::clone(&self.0);
        compute(move || {
            let mut stored = BTreeMap::new();
            for message in answer.deltas {
                let StoredDelta { slot, delta, tag } = message.try_into()?;
                let delta =
                    Delta::from_bytes(inner.gallery.layout(), &delta).map_err(tyto_tenant::Error::from)?;
                stored.insert(slot, (slot, delta, tag));
            }
            let take = |slot| stored.remove(&slot).ok_or(Error::MissingSlot { block, slot });
            slots.into_iter().map(take).collect()
        })
        .await
    }
}

//! The blocks that this process fills.

use super::Inner;
use super::view::View;
use crate::Error;
use crate::state::Journal;
use tyto_scheme::BlockId;
use tyto_tenant::Gallery;
use tyto_tenant::block::OpenBlock;

/// Most half-full blocks that are gone on with after a restart.
const MAX_RESUMED: usize = 4;

/// Open blocks, and the journal that lets another process go on with them. A writer that is lost (a panic, a dropped
/// future) is made anew from the journal, which knows every slot that was ever sent.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) open: Vec<OpenBlock>,
    pub(crate) journal: Option<Journal>,
    opened: bool,
}

impl Writer {
    /// Whether the journal was not asked yet: what it says is held against the newest records.
    pub(crate) fn is_new(&self) -> bool {
        !self.opened
    }

    /// Opens the journal at the first use, and forgets blocks that the gallery does not have. Blocks on the disk.
    ///
    /// A process that finds the journal in use by another goes on without one: it fills only blocks that it
    /// provisions itself, and the rest of the last one is lost when it ends.
    pub(crate) fn prepare(&mut self, inner: &Inner, view: &View) -> Result<(), Error> {
        self.open.retain(|open| view.block(open.block()).is_some() && open.free_slots() > 0);
        if self.opened {
            return Ok(());
        }
        if let Some(state) = &inner.shared.state {
            self.journal = Journal::open(state, inner.id())?;
            if self.journal.is_none() {
                tracing::warn!(gallery = %inner.id(), "another process holds the enrolment journal: new blocks are made");
            }
        }
        if let Some(journal) = &mut self.journal {
            let resumed = resume(&inner.gallery, view, journal.blocks());
            journal.retain(|block| resumed.iter().any(|open| open.block() == block))?;
            self.open.extend(resumed);
        }
        self.opened = true;
        Ok(())
    }
}

/// The journalled blocks that may be gone on with, those with most room first.
fn resume(gallery: &Gallery, view: &View, mut blocks: Vec<(BlockId, u16)>) -> Vec<OpenBlock> {
    let slots = gallery.layout().slots() as u16;
    blocks.retain(|&(block, next_slot)| {
        let Some(state) = view.block(block) else { return false };
        // Slots that were used behind the journal's back: it was rolled back, and what else it forgot nobody knows.
        next_slot < slots && state.used <= next_slot
    });
    blocks.sort_by_key(|&(_, next_slot)| next_slot);
    blocks.truncate(MAX_RESUMED);
    let open = |(block, slot): (BlockId, u16)| {
        let record = view.block(block)?.record(gallery, block).ok()?;
        Some(OpenBlock::resume_from_journal(gallery, &record, slot))
    };
    blocks.into_iter().filter_map(open).collect()
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::{filled, made};
    use super::*;

    #[test]
    fn a_block_is_gone_on_with_behind_every_slot_that_the_journal_and_the_record_know() {
        let mut made = made();
        let (block, view) = filled(&mut made);
        let slots = made.gallery.layout().slots() as u16;
        let resumed = |view, blocks: &[(BlockId, u16)]| -> Vec<_> {
            let open = resume(&made.gallery, view, blocks.to_vec());
            open.iter().map(|open| (open.block(), open.next_slot())).collect()
        };
        assert_eq!(resumed(&view, &[(block, 1)]), [(block, 1)]);
        assert_eq!(resumed(&view, &[(block, 7)]), [(block, 7)]);
        assert_eq!(resumed(&view, &[(block, slots)]), [], "it is full");
        assert_eq!(resumed(&view, &[(block, 0)]), [], "the journal was rolled back");
        assert_eq!(resumed(&view, &[(BlockId([9; 16]), 1)]), [], "never committed");
    }
}

//! Removed and deleted templates are not in the files any more.

use crate::support::{
    GALLERY, block_id, change, committed, gallery_of_two_blocks, mutation, mutation_of, new_gallery,
    provision_in, write,
};
use std::collections::HashSet;
use std::path::Path;
use tyto_scheme::{BlockId, GalleryId};
use tyto_store::{Counts, Store};

type Trace = [u8; 16];

/// Pieces of what is stored of some templates.
fn traces(block: BlockId, slots: &[u16]) -> HashSet<Trace> {
    let pieces = |slot: &u16| {
        let write = write(block, *slot);
        let piece = |at: usize| write.delta[at..at + 16].try_into().unwrap();
        [piece(0), piece(60), piece(120), piece(180), piece(240), write.tag, write.subject.0]
    };
    slots.iter().flat_map(pieces).collect()
}

/// How many of the traces occur in the database's files.
fn found(dir: &Path, traces: &HashSet<Trace>) -> usize {
    let mut seen = HashSet::new();
    for name in ["tyto.sqlite", "tyto.sqlite-wal"] {
        let bytes = std::fs::read(dir.join(name)).unwrap();
        seen.extend(bytes.windows(16).filter_map(|window| traces.get(window)).copied());
    }
    seen.len()
}

/// The slots of a block in an order in which neighbours are far apart.
fn scattered(n: u64) -> u16 {
    (n * 577 % 2048) as u16
}

/// A gallery under scattered enrolments and removals.
struct Gallery {
    id: GalleryId,
    blocks: [BlockId; 2],
    version: u64,
    entries: u32,
}

impl Gallery {
    fn new(id: GalleryId, first_block: u64) -> Self {
        Self { id, blocks: [block_id(first_block), block_id(first_block + 1)], version: 2, entries: 0 }
    }

    async fn change(&mut self, store: &Store, writes: &[u16], removals: &[u16]) {
        let base = self.version - 1;
        let changes = self.blocks.map(|block| change(block, base, self.entries, writes, removals));
        self.version += 1;
        self.entries += (writes.len() + removals.len()) as u32;
        let mutation = mutation_of(self.id, self.version, changes.into());
        assert_eq!(store.apply(mutation, None).await.unwrap(), committed(self.version));
    }

    fn traces(&self, slots: &[u16]) -> HashSet<Trace> {
        self.blocks.iter().flat_map(|&block| traces(block, slots)).collect()
    }
}

#[tokio::test]
async fn removed_templates_are_gone_from_the_files() {
    let (dir, store) = gallery_of_two_blocks().await;
    let mut gallery = Gallery::new(GALLERY, 0);
    let (mut kept, mut removed) = (Vec::new(), Vec::new());
    // Removals between enrolments, all over the blocks, so that rows of all ages lie side by side.
    for round in 0..120_u64 {
        let writes: Vec<u16> = (round * 8..round * 8 + 8).map(scattered).collect();
        let mut removals = Vec::new();
        if round % 2 == 1 {
            removals.extend((0..7).map(|n| kept.swap_remove((round as usize * 31 + n * 97) % kept.len())));
        }
        gallery.change(&store, &writes, &removals).await;
        kept.extend(writes);
        removed.extend(removals);
    }
    assert_eq!((kept.len(), removed.len()), (540, 420));
    let there = gallery.traces(&kept);
    assert_eq!(found(dir.path(), &there), there.len(), "the search finds what is there");
    assert_eq!(found(dir.path(), &gallery.traces(&removed)), 0);
    gallery.change(&store, &[], &kept).await;
    assert_eq!(found(dir.path(), &there), 0);
    let counts = Counts { blocks: 2, templates: 0, slots_used: 1920 };
    assert_eq!(store.counts(GALLERY).await.unwrap(), counts);
}

#[tokio::test]
async fn a_deleted_gallery_is_gone_and_its_neighbour_can_still_be_erased() {
    let (dir, store) = gallery_of_two_blocks().await;
    let other = GalleryId([0x0e; 16]);
    store.create_gallery(new_gallery(other), None).await.unwrap();
    let blocks = [block_id(8), block_id(9)];
    assert_eq!(provision_in(&store, other, 1, &blocks, 2).await.unwrap(), committed(2));
    let (mut first, mut second) = (Gallery::new(GALLERY, 0), Gallery::new(other, 8));
    for round in 0..60_u64 {
        let writes: Vec<u16> = (round * 8..round * 8 + 8).map(scattered).collect();
        first.change(&store, &writes, &[]).await;
        second.change(&store, &writes, &[]).await;
    }
    let slots: Vec<u16> = (0..480).map(scattered).collect();
    store.delete_gallery(GALLERY, None).await.unwrap();
    assert_eq!(found(dir.path(), &first.traces(&slots)), 0);
    assert_eq!(found(dir.path(), &second.traces(&slots)), second.traces(&slots).len());
    second.change(&store, &[], &slots).await;
    assert_eq!(found(dir.path(), &second.traces(&slots)), 0);
}

#[tokio::test]
async fn a_reader_in_the_way_delays_scrubbing_until_the_next_mutation() {
    let (dir, store) = gallery_of_two_blocks().await;
    let a = block_id(0);
    assert_eq!(store.apply(mutation(3, vec![change(a, 1, 0, &[1], &[])]), None).await.unwrap(), committed(3));
    let outside = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("tyto.sqlite"));
    let outside = sqlx::SqlitePool::connect_with(outside).await.unwrap();
    let mut reader = outside.begin().await.unwrap();
    let _: i64 =
        sqlx::query_scalar("SELECT count(*) FROM templates_1").fetch_one(&mut *reader).await.unwrap();
    let traces = traces(a, &[1]);
    assert_eq!(store.apply(mutation(4, vec![change(a, 2, 1, &[], &[1])]), None).await.unwrap(), committed(4));
    assert_eq!(found(dir.path(), &traces), traces.len());
    drop(reader);
    outside.close().await;
    assert_eq!(store.apply(mutation(5, vec![change(a, 3, 2, &[2], &[])]), None).await.unwrap(), committed(5));
    assert_eq!(found(dir.path(), &traces), 0);
}

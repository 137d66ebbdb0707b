//! Lists, deltas and entries.

use crate::support::{GALLERY, block_id, change, committed, gallery_of_two_blocks, mutation, noise, write};
use tyto_store::{Error, TemplateCursor};

#[tokio::test]
async fn templates_are_listed_page_by_page_without_gaps() {
    let (_dir, store) = gallery_of_two_blocks().await;
    let (a, b) = (block_id(0), block_id(1));
    let changes = vec![change(a, 1, 0, &[9, 4, 2047, 0], &[]), change(b, 1, 0, &[3, 1], &[])];
    assert_eq!(store.apply(mutation(3, changes), None).await.unwrap(), committed(3));
    assert_eq!(store.apply(mutation(4, vec![change(a, 2, 4, &[], &[4])]), None).await.unwrap(), committed(4));
    let expected = [(a, 0), (a, 9), (a, 2047), (b, 1), (b, 3)];
    for limit in 1..=6 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = store.list_templates(GALLERY, after, limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            assert!(page.iter().all(|t| t.subject == write(t.block, t.slot).subject));
            listed.extend(page.iter().map(|t| (t.block, t.slot)));
            after = next.and_then(|cursor| TemplateCursor::from_bytes(&cursor.to_bytes()));
            if next.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected, "pages of {limit}");
    }
    assert_eq!(TemplateCursor::from_bytes(&[0; 5]), None);
}

#[tokio::test]
async fn deltas_and_entries_come_as_they_were_given() {
    let (_dir, store) = gallery_of_two_blocks().await;
    let a = block_id(0);
    assert_eq!(
        store.apply(mutation(3, vec![change(a, 1, 0, &[5, 6, 7], &[])]), None).await.unwrap(),
        committed(3)
    );
    assert_eq!(store.apply(mutation(4, vec![change(a, 2, 3, &[], &[6])]), None).await.unwrap(), committed(4));
    let deltas = store.deltas(GALLERY, a, &[7, 6, 1, 5]).await.unwrap();
    let expected: Vec<_> = [5, 7].map(|slot| write(a, slot)).map(|w| (w.slot, w.delta, w.tag)).into();
    assert_eq!(deltas.into_iter().map(|d| (d.slot, d.delta, d.tag)).collect::<Vec<_>>(), expected);
    assert!(store.deltas(GALLERY, a, &[]).await.unwrap().is_empty());
    assert!(matches!(store.deltas(GALLERY, a, &[0; 257]).await, Err(Error::Limit { max: 256, .. })));
    let entries = store.entries(GALLERY, a, 1, 3).await.unwrap();
    assert_eq!(entries, [noise(0xe000_0001, 96), noise(0xe000_0002, 96)]);
    assert!(matches!(store.load_deltas(GALLERY, block_id(9)).await, Err(Error::UnknownBlock(_))));
}

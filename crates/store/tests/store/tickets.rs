//! Tickets and their one use.

use crate::support::{GALLERY, KEY, dump, files, gallery_of_two_blocks, id, noise, reopen};
use bytes::Bytes;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tyto_scheme::TicketId;
use tyto_scheme::query::Kind;
use tyto_store::{
    ANSWER_KEPT_MS, Created, Error, MAX_ANSWER_BYTES, NewTicket, Object, Options, Store, TicketState,
    USED_MARK_KEPT_MS, UseOutcome,
};

/// Far enough in the future for a store that looks at the clock when it opens.
const EXPIRES_MS: u64 = 9_000_000_000_000;

fn ticket(number: u64) -> NewTicket {
    let ticket = TicketId(id(0x71c0 + number));
    NewTicket { ticket, gallery: GALLERY, key: KEY, kind: Kind::Identify, expires_ms: EXPIRES_MS }
}

fn content(number: u64) -> Bytes {
    noise(0x71c0 + number, 10_000).into()
}

async fn put(store: &Store, number: u64) -> TicketId {
    assert_eq!(store.put_ticket(ticket(number), content(number)).await.unwrap(), Created::New);
    ticket(number).ticket
}

fn count(dir: &Path, folder: &str) -> usize {
    files(dir).iter().filter(|file| file.starts_with(folder)).count()
}

#[tokio::test]
async fn a_ticket_is_used_once_and_an_identical_retry_gets_its_answer() {
    let (dir, store) = gallery_of_two_blocks().await;
    // An answer that fits its row, and one that does not.
    for (number, length) in [(0, 700), (1, 2_000_000)] {
        let ticket = put(&store, number).await;
        assert_eq!(store.read_ticket(ticket).await.unwrap(), content(number));
        assert_eq!(store.begin_use(ticket, [1; 32]).await.unwrap(), UseOutcome::Fresh);
        assert_eq!(store.begin_use(ticket, [1; 32]).await.unwrap(), UseOutcome::Spent);
        assert_eq!(store.begin_use(ticket, [2; 32]).await.unwrap(), UseOutcome::OtherContent);
        let answer = Bytes::from(noise(number, length));
        store.finish_use(ticket, answer.clone()).await.unwrap();
        store.finish_use(ticket, vec![0].into()).await.unwrap();
        assert_eq!(store.begin_use(ticket, [1; 32]).await.unwrap(), UseOutcome::Done(answer));
        assert_eq!(store.begin_use(ticket, [2; 32]).await.unwrap(), UseOutcome::OtherContent);
        assert!(matches!(store.read_ticket(ticket).await, Err(Error::UnknownTicket(_))));
    }
    let store = reopen(&dir, store).await;
    let answer = Bytes::from(noise(1, 2_000_000));
    assert_eq!(store.begin_use(ticket(1).ticket, [1; 32]).await.unwrap(), UseOutcome::Done(answer));
    assert_eq!((count(dir.path(), "objects/tickets"), count(dir.path(), "objects/answers")), (0, 1));
    assert_eq!(store.ticket(ticket(1).ticket).await.unwrap().state, TicketState::Done);
}

#[tokio::test]
async fn of_many_uses_at_once_one_is_fresh() {
    let (_dir, store) = gallery_of_two_blocks().await;
    let ticket = put(&store, 0).await;
    let uses = (0..16_u8).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.begin_use(ticket, [n; 32]).await.unwrap() })
    });
    let mut outcomes = Vec::new();
    for task in uses.collect::<Vec<_>>() {
        outcomes.push(task.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == UseOutcome::Fresh).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == UseOutcome::OtherContent).count(), 15);
}

#[tokio::test]
async fn a_use_that_a_restart_cut_off_is_spent() {
    let (dir, store) = gallery_of_two_blocks().await;
    let (begun, done) = (put(&store, 0).await, put(&store, 1).await);
    assert_eq!(store.begin_use(begun, [1; 32]).await.unwrap(), UseOutcome::Fresh);
    assert_eq!(store.begin_use(done, [1; 32]).await.unwrap(), UseOutcome::Fresh);
    store.finish_use(done, noise(3, 100_000).into()).await.unwrap();
    let store = reopen(&dir, store).await;
    assert_eq!(store.begin_use(begun, [1; 32]).await.unwrap(), UseOutcome::Spent);
    // An answer lost or damaged with the power is no answer either.
    std::fs::write(dir.path().join(format!("objects/answers/{done}")), b"torn").unwrap();
    assert_eq!(store.begin_use(done, [1; 32]).await.unwrap(), UseOutcome::Spent);
}

#[tokio::test]
async fn a_ticket_id_is_never_used_for_anything_else() {
    let (dir, store) = gallery_of_two_blocks().await;
    let first = put(&store, 0).await;
    let before = dump(dir.path()).await;
    let later = NewTicket { expires_ms: EXPIRES_MS + 5, ..ticket(0) };
    assert_eq!(store.put_ticket(later, content(0)).await.unwrap(), Created::AlreadyThere);
    let other_kind = NewTicket { kind: Kind::Verify, ..ticket(0) };
    for (facts, bytes) in [(ticket(0), content(1)), (other_kind, content(0))] {
        assert!(matches!(store.put_ticket(facts, bytes).await, Err(Error::TicketExists(_))));
    }
    assert!(matches!(store.finish_use(first, vec![1].into()).await, Err(Error::TicketNotBegun(_))));
    let unknown = TicketId([0; 16]);
    assert!(matches!(store.begin_use(unknown, [0; 32]).await, Err(Error::UnknownTicket(_))));
    assert_eq!(dump(dir.path()).await, before);
    assert_eq!(store.read_ticket(first).await.unwrap(), content(0));
    assert_eq!(store.begin_use(first, [1; 32]).await.unwrap(), UseOutcome::Fresh);
    assert!(matches!(store.put_ticket(ticket(0), content(0)).await, Err(Error::TicketExists(_))));
    std::fs::remove_file(dir.path().join(format!("objects/tickets/{first}"))).unwrap();
    let lost = store.read_ticket(first).await;
    assert!(matches!(lost, Err(Error::Corrupt(Object::Ticket(found))) if found == first));
}

#[tokio::test]
async fn expiry_deletes_bytes_and_answers_but_not_the_marks() {
    let (dir, store) = gallery_of_two_blocks().await;
    let (open, done) = (put(&store, 0).await, put(&store, 1).await);
    let late = NewTicket { expires_ms: EXPIRES_MS + 10, ..ticket(2) };
    store.put_ticket(late, content(2)).await.unwrap();
    assert_eq!(store.begin_use(done, [1; 32]).await.unwrap(), UseOutcome::Fresh);
    store.finish_use(done, noise(3, 100_000).into()).await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    assert_eq!(store.expire_tickets(now + ANSWER_KEPT_MS / 2).await.unwrap(), 0);
    assert_eq!(store.expire_tickets(now + ANSWER_KEPT_MS * 2).await.unwrap(), 1, "the answer");
    assert_eq!(store.expire_tickets(EXPIRES_MS - 1).await.unwrap(), 0);
    assert_eq!(store.expire_tickets(EXPIRES_MS).await.unwrap(), 1, "the ticket that was not used");
    assert_eq!(store.expire_tickets(EXPIRES_MS).await.unwrap(), 0);
    assert_eq!((count(dir.path(), "objects/tickets"), count(dir.path(), "objects/answers")), (1, 0));
    assert_eq!(store.begin_use(open, [1; 32]).await.unwrap(), UseOutcome::Expired);
    assert_eq!(store.begin_use(done, [1; 32]).await.unwrap(), UseOutcome::Spent);
    assert_eq!(store.begin_use(done, [2; 32]).await.unwrap(), UseOutcome::OtherContent);
    assert!(matches!(store.put_ticket(ticket(0), content(0)).await, Err(Error::TicketExists(_))));
    let almost = EXPIRES_MS + USED_MARK_KEPT_MS - 1;
    store.expire_tickets(almost).await.unwrap();
    assert_eq!(store.begin_use(done, [2; 32]).await.unwrap(), UseOutcome::OtherContent);
    store.expire_tickets(almost + 1).await.unwrap();
    assert!(matches!(store.begin_use(done, [2; 32]).await, Err(Error::UnknownTicket(_))));
}

#[tokio::test]
async fn the_marks_outlive_their_gallery() {
    let (dir, store) = gallery_of_two_blocks().await;
    let (open, used) = (put(&store, 0).await, put(&store, 1).await);
    assert_eq!(store.begin_use(used, [1; 32]).await.unwrap(), UseOutcome::Fresh);
    store.delete_gallery(GALLERY, None).await.unwrap();
    assert!(files(dir.path()).is_empty());
    store.finish_use(used, noise(3, 100_000).into()).await.unwrap();
    assert!(files(dir.path()).is_empty());
    assert_eq!(store.begin_use(open, [1; 32]).await.unwrap(), UseOutcome::Expired);
    assert_eq!(store.begin_use(used, [1; 32]).await.unwrap(), UseOutcome::Spent);
    assert!(matches!(store.put_ticket(ticket(0), content(0)).await, Err(Error::UnknownGallery(_))));
}

#[tokio::test]
async fn bytes_of_tickets_and_answers_are_bounded_together() {
    let (dir, store) = gallery_of_two_blocks().await;
    store.close().await;
    drop(store);
    let store = Store::open_with(dir.path(), Options { ticket_bytes: 25_000 }).await.unwrap();
    let (first, second) = (put(&store, 0).await, put(&store, 1).await);
    let full = store.put_ticket(ticket(2), content(2)).await;
    assert!(matches!(full, Err(Error::Limit { found: 30_000, max: 25_000, .. })));
    let early = store.check_ticket_room(ticket(2).ticket, GALLERY, 10_000).await;
    assert!(matches!(early, Err(Error::Limit { found: 30_000, max: 25_000, .. })));
    store.check_ticket_room(first, GALLERY, 10_000).await.unwrap();
    assert_eq!(store.put_ticket(ticket(0), content(0)).await.unwrap(), Created::AlreadyThere);

    // An answer takes the place of its ticket.
    assert_eq!(store.begin_use(first, [1; 32]).await.unwrap(), UseOutcome::Fresh);
    store.finish_use(first, noise(0, 100).into()).await.unwrap();
    let third = put(&store, 2).await;
    // One that has no room is not kept, and neither is its ticket.
    assert_eq!(store.begin_use(second, [1; 32]).await.unwrap(), UseOutcome::Fresh);
    store.finish_use(second, noise(0, 20_000).into()).await.unwrap();
    assert_eq!(store.begin_use(second, [1; 32]).await.unwrap(), UseOutcome::Spent);
    assert_eq!(store.begin_use(third, [1; 32]).await.unwrap(), UseOutcome::Fresh);
    store.finish_use_without_answer(third).await.unwrap();
    assert_eq!(store.begin_use(third, [1; 32]).await.unwrap(), UseOutcome::Spent);
    assert_eq!((count(dir.path(), "objects/tickets"), count(dir.path(), "objects/answers")), (0, 0));
    put(&store, 3).await;
    put(&store, 4).await;
    let large = store.finish_use(third, vec![0; MAX_ANSWER_BYTES + 1].into()).await;
    assert!(matches!(large, Err(Error::Limit { .. })));
}

#[tokio::test]
async fn an_expired_ticket_is_refused_before_it_is_swept() {
    let (dir, store) = gallery_of_two_blocks().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let past = NewTicket { expires_ms: now - 1, ..ticket(0) };
    store.put_ticket(past, content(0)).await.unwrap();
    assert_eq!(store.begin_use(past.ticket, [1; 32]).await.unwrap(), UseOutcome::Expired);
    assert_eq!(count(dir.path(), "objects/tickets"), 1);
}

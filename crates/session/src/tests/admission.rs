//! The admissions of one process.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::world::name;
use crate::*;

const END: u64 = 1000;
const RPCS: u32 = 3;

fn session(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

fn admission(rpcs: usize, sessions_per_principal: usize) -> MemoryAdmission {
    MemoryAdmission::new(Room { rpcs, rpcs_per_principal: rpcs, sessions_per_principal }).unwrap()
}

fn opening(number: u8, principal: &str, expires_at_ms: u64) -> Opening {
    let (session, principal) = (session(number), name(principal));
    Opening { session, principal, is_anonymous: false, max_rpcs: RPCS, expires_at_ms }
}

/// Opens a session, for RPCs that are then numbered.
fn open(
    admission: &MemoryAdmission,
    number: u8,
    principal: &str,
    now_ms: u64,
) -> impl Fn(u32) -> Ticket + use<> {
    let epoch = admission.open(opening(number, principal, END), now_ms).unwrap().epoch;
    move |rpc| Ticket { session: session(number), rpc: rpc_id(rpc), epoch }
}

fn rpc_id(rpc: u32) -> RpcId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&rpc.to_le_bytes());
    RpcId::from_bytes(id)
}

#[test]
fn each_rpc_is_admitted_once_in_each_session() {
    let admission = admission(100, 2);
    let tickets = [1, 2].map(|number| open(&admission, number, "acme", 0));
    for (of, rpc) in [(0, 7), (1, 7), (0, 8), (1, 8)] {
        assert_eq!(admission.admit(&tickets[of](rpc), 0), Ok(()));
        assert_eq!(admission.admit(&tickets[of](rpc), 0), Err(Refusal::Repeated));
    }
    assert_eq!(admission.admit(&tickets[0](7), END - 1), Err(Refusal::Repeated), "as long as it lives");
}

#[test]
fn only_as_many_as_the_session_carries() {
    let admission = admission(100, 1);
    let ticket = open(&admission, 1, "acme", 0);
    (0..RPCS).for_each(|rpc| assert_eq!(admission.admit(&ticket(rpc), 0), Ok(())));
    assert_eq!(admission.admit(&ticket(RPCS), 0), Err(Refusal::Exhausted));
    assert_eq!(admission.admit(&ticket(1), 0), Err(Refusal::Repeated));
}

#[test]
fn unknown_expired_and_closed_sessions_carry_nothing() {
    let admission = admission(100, 3);
    let ticket = open(&admission, 1, "acme", 0);
    let unknown = Ticket { session: session(9), ..ticket(0) };
    assert_eq!(admission.admit(&unknown, 0), Err(Refusal::UnknownSession));
    assert_eq!(admission.open(opening(1, "acme", END), 0), Err(Refusal::Repeated));
    assert_eq!(admission.admit(&ticket(0), END - 1), Ok(()));
    assert_eq!(admission.admit(&ticket(1), END), Err(Refusal::UnknownSession));
    assert_eq!(
        admission.admit(&ticket(2), END - 1),
        Err(Refusal::UnknownSession),
        "though the clock went back"
    );
    let ticket = open(&admission, 2, "acme", 0);
    // A clock that jumped ahead and came back costs the sessions of then, and no later ones.
    assert_eq!(admission.admit(&ticket(0), END - 1), Ok(()));
}

#[test]
fn a_closed_session_carries_nothing() {
    let admission = admission(100, 3);
    let ticket = open(&admission, 1, "acme", 0);
    assert_eq!(admission.admit(&ticket(0), 0), Ok(()));
    admission.close(session(1));
    assert_eq!(admission.admit(&ticket(1), 0), Err(Refusal::UnknownSession));
}

/// Room is kept when a session opens, and comes back with its end: what was admitted in a living one is not forgotten.
#[test]
fn when_it_is_full_no_more_sessions_open() {
    let admission = admission(2 * RPCS as usize, 9);
    let first = open(&admission, 1, "acme", 0);
    let second = admission.open(opening(2, "acme", END + 1), 0).unwrap();
    let second = |rpc| Ticket { session: session(2), rpc: rpc_id(rpc), epoch: second.epoch };
    assert_eq!(admission.open(opening(3, "other", END), 0), Err(Refusal::Full));
    for rpc in 0..RPCS {
        assert_eq!(admission.admit(&first(rpc), 0), Ok(()), "its room was kept");
        assert_eq!(admission.admit(&second(rpc), 0), Ok(()));
    }
    assert!(admission.open(opening(3, "other", END + 9), END).is_ok(), "the first session has expired");
    assert_eq!(admission.admit(&second(0), END), Err(Refusal::Repeated));
    assert_eq!(admission.open(opening(4, "other", END + 9), END), Err(Refusal::Full));
    admission.close(session(2));
    assert!(admission.open(opening(4, "other", END + 9), END).is_ok());
}

/// Whoever opens session after session loses its own, and nobody else's.
#[test]
fn a_principal_displaces_its_own_sessions_only() {
    let admission = admission(100, 2);
    let victim = open(&admission, 1, "acme", 0);
    let tickets: Vec<_> = (2..4).map(|number| open(&admission, number, "greedy", 0)).collect();
    assert_eq!(admission.admit(&tickets[0](0), 0), Ok(()));
    for number in 4..10 {
        let opened = admission.open(opening(number, "greedy", END), 0).unwrap();
        assert_eq!(opened.displaced, [session(number - 2)], "the oldest");
    }
    assert_eq!(admission.admit(&tickets[0](0), 0), Err(Refusal::UnknownSession));
    assert_eq!(admission.admit(&victim(0), 0), Ok(()));
}

/// Whoever takes all the room that it may have leaves the rest to others, and nobody in particular is never taken for
/// somebody.
#[test]
fn a_greedy_principal_leaves_room_for_others() {
    let room = Room { rpcs: 9, rpcs_per_principal: 4, sessions_per_principal: 100 };
    let admission = MemoryAdmission::new(room).unwrap();
    let nobody = |number| Opening { is_anonymous: true, ..opening(number, "acme", END) };
    for number in 1..10 {
        let opened = admission.open(opening(number, "acme", END), 0).unwrap();
        let before: Vec<_> = (1 < number).then(|| session(number - 1)).into_iter().collect();
        assert_eq!(opened.displaced, before, "one has room");
        let opened = admission.open(nobody(100 + number), 0).unwrap();
        let before: Vec<_> = (1 < number).then(|| session(99 + number)).into_iter().collect();
        assert_eq!(opened.displaced, before, "of its own, whatever it is called");
    }
    assert!(admission.open(opening(200, "third", END), 0).is_ok());
    let large = Opening { max_rpcs: 5, ..opening(201, "fourth", END) };
    assert_eq!(admission.open(large, 0), Err(Refusal::Full), "more than anybody may have");
}

/// A store that took over without the last writes has another epoch: what was admitted before is not admitted again, even
/// if it knows a session of that id.
#[test]
fn after_a_loss_no_session_is_known() {
    let lost = admission(100, 2);
    let ticket = open(&lost, 1, "acme", 0);
    assert_eq!(lost.admit(&ticket(0), 0), Ok(()));
    let next = admission(100, 2);
    let fresh = open(&next, 1, "acme", 0);
    assert_eq!(next.admit(&ticket(0), 0), Err(Refusal::UnknownSession));
    assert_eq!(next.admit(&fresh(0), 0), Ok(()));
}

#[test]
fn of_many_at_once_one_is_admitted() {
    let admission = admission(1000, 1);
    let opening = Opening { max_rpcs: 1000, ..opening(1, "acme", END) };
    let epoch = admission.open(opening, 0).unwrap().epoch;
    for rpc in 0..200 {
        let admitted = AtomicUsize::new(0);
        let ticket = Ticket { session: session(1), rpc: rpc_id(rpc), epoch };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    if admission.admit(&ticket, 0).is_ok() {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 1);
    }
}

//! The admissions of one process.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::*;

const END: u64 = 1000;

fn session(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

fn ticket(of: u8, rpc: u32) -> Ticket {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&rpc.to_le_bytes());
    Ticket { session: session(of), rpc: RpcId::from_bytes(id), max_rpcs: 3, expires_at_ms: END }
}

#[test]
fn each_rpc_is_admitted_once_in_each_session() {
    let admission = MemoryAdmission::new(2, 100);
    (1..=2).for_each(|number| admission.open(session(number), END, 0).unwrap());
    for (of, rpc) in [(1, 7), (2, 7), (1, 8), (2, 8)] {
        assert_eq!(admission.admit(&ticket(of, rpc), 0), Ok(()));
        assert_eq!(admission.admit(&ticket(of, rpc), 0), Err(Refusal::Repeated));
    }
    assert_eq!(admission.admit(&ticket(1, 7), END - 1), Err(Refusal::Repeated), "as long as it lives");
}

#[test]
fn only_as_many_as_the_session_carries() {
    let admission = MemoryAdmission::new(1, 100);
    admission.open(session(1), END, 0).unwrap();
    (0..3).for_each(|rpc| assert_eq!(admission.admit(&ticket(1, rpc), 0), Ok(())));
    assert_eq!(admission.admit(&ticket(1, 3), 0), Err(Refusal::Exhausted));
    assert_eq!(admission.admit(&ticket(1, 1), 0), Err(Refusal::Repeated));
}

#[test]
fn unknown_expired_and_closed_sessions_carry_nothing() {
    let admission = MemoryAdmission::new(2, 100);
    assert_eq!(admission.admit(&ticket(1, 0), 0), Err(Refusal::UnknownSession));
    admission.open(session(1), END, 0).unwrap();
    assert_eq!(admission.open(session(1), END, 0), Err(Refusal::Repeated));
    assert_eq!(admission.admit(&ticket(1, 0), END), Err(Refusal::UnknownSession));
    assert_eq!(admission.admit(&ticket(1, 0), END - 1), Ok(()));
    admission.close(session(1));
    assert_eq!(admission.admit(&ticket(1, 1), 0), Err(Refusal::UnknownSession));
}

/// Room comes back with the end of a session, never by forgetting what a living one has carried.
#[test]
fn when_it_is_full_it_refuses() {
    let admission = MemoryAdmission::new(2, 4);
    admission.open(session(1), END, 0).unwrap();
    admission.open(session(2), END + 1, 0).unwrap();
    assert_eq!(admission.open(session(3), END, 0), Err(Refusal::Full));
    (0..3).for_each(|rpc| assert_eq!(admission.admit(&ticket(1, rpc), 0), Ok(())));
    let second = |rpc| Ticket { expires_at_ms: END + 1, ..ticket(2, rpc) };
    assert_eq!(admission.admit(&second(0), 0), Ok(()));
    assert_eq!(admission.admit(&second(1), 0), Err(Refusal::Full));
    assert_eq!(admission.admit(&second(0), 0), Err(Refusal::Repeated));
    assert_eq!(admission.admit(&second(1), END), Ok(()), "the first session has expired");
    assert_eq!(admission.admit(&ticket(1, 0), 0), Err(Refusal::UnknownSession), "even if a clock goes back");
    assert_eq!(admission.admit(&second(0), END), Err(Refusal::Repeated));
    assert_eq!(admission.open(session(3), END + 9, END), Ok(()));
    admission.close(session(2));
    let third = |rpc| Ticket { expires_at_ms: END + 9, ..ticket(3, rpc) };
    (0..3).for_each(|rpc| assert_eq!(admission.admit(&third(rpc), END), Ok(())));
}

#[test]
fn of_many_at_once_one_is_admitted() {
    let admission = MemoryAdmission::new(1, 1000);
    admission.open(session(1), END, 0).unwrap();
    for rpc in 0..200 {
        let admitted = AtomicUsize::new(0);
        let ticket = Ticket { max_rpcs: 1000, ..ticket(1, rpc) };
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

//! Work on many polynomials, spread over threads.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Cuts `0..items` into at most `threads` ranges of about equal length, none shorter than `least` unless it is the
/// only one.
pub fn split(threads: usize, items: usize, least: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = threads.min(items / least.max(1)).max(1);
    (0..parts).map(move |part| part * items / parts..(part + 1) * items / parts)
}

/// Does the work on each part, the last on the caller's own thread and the others on threads of their own, and gives
/// the results in order. What no thread can be started for is done on the caller's as well.
///
/// # Panics
///
/// If the work does.
pub fn in_parallel<P: Send, T: Send>(
    parts: impl IntoIterator<Item = P>,
    work: impl Fn(P) -> T + Sync,
) -> Vec<T> {
    in_threads_of(thread::Builder::new, parts, work)
}

fn in_threads_of<P: Send, T: Send>(
    builder: impl Fn() -> thread::Builder,
    parts: impl IntoIterator<Item = P>,
    work: impl Fn(P) -> T + Sync,
) -> Vec<T> {
    let mut parts: Vec<_> = parts.into_iter().collect();
    let Some(last) = parts.pop() else { return Vec::new() };
    // A thread that does not start drops what it was given: each takes its part when it runs.
    let parts: Vec<_> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    let work = &work;
    let work_on = |part: &Mutex<Option<P>>| {
        let part = part.lock().unwrap_or_else(PoisonError::into_inner).take();
        work(part.expect("each part is taken once"))
    };
    thread::scope(|scope| {
        let start = |part| builder().spawn_scoped(scope, move || work_on(part)).ok();
        let threads: Vec<_> = parts.iter().map(start).collect();
        let last = work(last);
        let finish = |(thread, part): (Option<thread::ScopedJoinHandle<'_, T>>, _)| match thread {
            Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => work_on(part),
        };
        threads.into_iter().zip(&parts).map(finish).chain([last]).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_in_order() {
        for (threads, items, least) in [(1, 10, 1), (3, 10, 1), (3, 10, 4), (8, 5, 1), (4, 0, 1), (0, 3, 0)] {
            let parts = in_parallel(split(threads, items, least), Range::collect::<Vec<_>>);
            assert_eq!(parts.concat(), (0..items).collect::<Vec<_>>(), "{threads} threads");
            assert!(parts.len() <= threads.max(1));
            assert!(parts.len() == 1 || parts.iter().all(|part| part.len() >= least));
        }
        assert!(in_parallel([(); 0], |()| ()).is_empty());
    }

    #[test]
    fn what_no_thread_starts_for_is_done_by_the_caller() {
        let no_room = || thread::Builder::new().stack_size(1 << 60);
        assert!(no_room().spawn(|| ()).is_err(), "no address space has room for that stack");
        let caller = thread::current().id();
        let done = in_threads_of(no_room, split(4, 10, 1), |part| (thread::current().id(), part));
        assert!(done.iter().all(|(thread, _)| *thread == caller));
        assert_eq!(
            done.into_iter().flat_map(|(_, part)| part).collect::<Vec<_>>(),
            (0..10).collect::<Vec<_>>()
        );
    }

    #[test]
    fn work_is_done_side_by_side() {
        let barrier = std::sync::Barrier::new(3);
        let led = in_parallel(split(3, 3, 1), |_| barrier.wait().is_leader());
        assert_eq!(led.into_iter().filter(|&led| led).count(), 1);
    }
}

//! Work on many polynomials, spread over threads.

use std::ops::Range;
use std::thread;

/// Cuts `0..items` into at most `threads` ranges of about equal length, none shorter than `least` unless it is the
/// only one.
pub fn split(threads: usize, items: usize, least: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = threads.min(items / least.max(1)).max(1);
    (0..parts).map(move |part| part * items / parts..(part + 1) * items / parts)
}

/// Does the work on each part, the last on the caller's own thread and the others on threads of their own, and gives
/// the results in order.
///
/// # Panics
///
/// If the work does.
pub fn in_parallel<P: Send, T: Send>(
    parts: impl IntoIterator<Item = P>,
    work: impl Fn(P) -> T + Sync,
) -> Vec<T> {
    let mut parts: Vec<_> = parts.into_iter().collect();
    let Some(last) = parts.pop() else { return Vec::new() };
    let work = &work;
    thread::scope(|scope| {
        let others: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        let last = work(last);
        let join = |other: thread::ScopedJoinHandle<'_, T>| match other.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        others.into_iter().map(join).chain([last]).collect()
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
    fn work_is_done_side_by_side() {
        let barrier = std::sync::Barrier::new(3);
        let led = in_parallel(split(3, 3, 1), |_| barrier.wait().is_leader());
        assert_eq!(led.into_iter().filter(|&led| led).count(), 1);
    }
}

//! Passes over galleries: the probes that wait for one gallery share one, and galleries take turns.

mod queue;

use crate::Error;
use crate::background::LowPriority;
use crate::metrics::Metrics;
use queue::{Group, Next, Queue, Waiting};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tyto_engine::{BlockReply, Gallery, PackedQuery, Snapshot, match_all};

/// How passes are made.
pub(crate) struct Settings {
    /// Threads of one pass.
    pub(crate) threads: NonZeroUsize,
    /// Galleries that are passed over at the same time.
    pub(crate) concurrent: usize,
    /// The longest that a probe which is ready waits for others that are on their way.
    pub(crate) gather: Duration,
    /// Most bytes of answers that are made or about to be and were not taken.
    pub(crate) answer_bytes: usize,
    /// Of the threads.
    pub(crate) priority: LowPriority,
}

/// What the size of an answer depends on, beside the gallery.
#[derive(Clone, Copy)]
pub(crate) struct AnswerShape {
    /// How often it is in memory until it is sent.
    pub(crate) copies: usize,
    /// The manifest version whose records its client has.
    pub(crate) known_manifest_version: u64,
}

/// What becomes of a probe.
pub(crate) enum Event {
    /// Its pass begins, over this snapshot. Its answer has room in memory until the reservation is dropped.
    Begun(Arc<Snapshot>, Reservation),
    /// The replies of some blocks, in the order of the blocks.
    Replies(Vec<BlockReply>),
    /// All blocks have replied.
    Done,
}

/// The threads that make passes, and the probes that wait for them.
pub(crate) struct Passes(Arc<Shared>);

struct Shared {
    settings: Settings,
    metrics: Arc<Metrics>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    // A panic cannot leave the queue half changed: nothing in it panics.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queue and lets the threads look at it again.
    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let result = change(&mut self.queue());
        self.changed.notify_all();
        result
    }
}

/// Room in memory for an answer.
pub(crate) struct Reservation {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.change(|queue| queue.free_bytes += self.bytes);
    }
}

/// A probe that is being made ready. A pass over its gallery waits for it, within limits.
pub(crate) struct Announced {
    shared: Arc<Shared>,
    gallery: Arc<Gallery>,
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.shared.change(|queue| queue.gone(&self.gallery));
    }
}

impl Announced {
    /// Puts the probe into the queue.
    pub(crate) fn enqueue(self, query: PackedQuery, answer: AnswerShape, arrived: Instant) -> Queued {
        let (sender, events) = unbounded_channel();
        let waiting = Waiting { query, arrived, answer, events: sender, since: Instant::now() };
        let id = self.shared.change(|queue| queue.push(&self.gallery, waiting));
        Queued { shared: self.shared.clone(), gallery: self.gallery.clone(), id, events }
    }
}

/// A probe in the queue or in a pass. It leaves the queue when this is dropped, and a pass ends early once nobody wants
/// its replies.
pub(crate) struct Queued {
    shared: Arc<Shared>,
    gallery: Arc<Gallery>,
    id: u64,
    events: UnboundedReceiver<Event>,
}

impl Queued {
    /// What happens next.
    ///
    /// # Errors
    /// [`Error::Pass`] if nothing will happen any more.
    pub(crate) async fn next(&mut self) -> Result<Event, Error> {
        self.events.recv().await.ok_or(Error::Pass)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        // Freed after the queue is.
        drop(self.shared.change(|queue| queue.withdraw(&self.gallery, self.id)));
    }
}

impl Passes {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::Runtime`] if there can be no more threads.
    pub(crate) fn start(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let (concurrent, queue) = (settings.concurrent, Queue::new(settings.gather, settings.answer_bytes));
        let shared = Shared { settings, metrics, queue: Mutex::new(queue), changed: Condvar::new() };
        // Made first, so that threads which run already end if another cannot be started.
        let passes = Self(Arc::new(shared));
        for _ in 0..concurrent {
            let shared = passes.0.clone();
            let started = std::thread::Builder::new().name("tyto-pass".into()).spawn(move || serve(&shared));
            started.map_err(|source| Error::Runtime { action: "start a thread", source })?;
        }
        Ok(passes)
    }

    /// Says that a probe for a gallery is on its way.
    pub(crate) fn announce(&self, gallery: &Arc<Gallery>) -> Announced {
        self.0.change(|queue| queue.coming(gallery));
        Announced { shared: self.0.clone(), gallery: gallery.clone() }
    }
}

impl Drop for Passes {
    fn drop(&mut self) {
        self.0.change(|queue| queue.closed = true);
    }
}

/// A gallery that is being passed over, until this is dropped.
struct RunningPass<'a> {
    shared: &'a Shared,
    gallery: Arc<Gallery>,
    time: Option<Duration>,
}

impl Drop for RunningPass<'_> {
    fn drop(&mut self) {
        // Whoever looked meanwhile left this gallery to this thread.
        self.shared.change(|queue| queue.finished(&self.gallery, self.time));
    }
}

/// Makes passes until the queue is closed.
fn serve(shared: &Arc<Shared>) {
    // The threads that a pass starts inherit it.
    shared.settings.priority.take();
    let mut queue = shared.queue();
    while !queue.closed {
        let (changed, ignored) = (&shared.changed, PoisonError::into_inner);
        queue = match queue.next(Instant::now()) {
            Next::Pass(group) => {
                drop(queue);
                let mut running = RunningPass { shared, gallery: group.gallery.clone(), time: None };
                // A panic is a defect; it is logged by the panic hook, and the callers see that the replies end.
                let time = catch_unwind(AssertUnwindSafe(|| pass(shared, group)));
                running.time = time.unwrap_or_default();
                drop(running);
                shared.queue()
            }
            Next::At(time) => {
                let wait = time.saturating_duration_since(Instant::now());
                changed
                    .wait_timeout(queue, wait)
                    .map_or_else(|poisoned| poisoned.into_inner().0, |woken| woken.0)
            }
            Next::Nothing => changed.wait(queue).unwrap_or_else(ignored),
        };
    }
}

/// Matches a group of probes in one pass; gives the time it took, unless it was broken off.
fn pass(shared: &Arc<Shared>, group: Group) -> Option<Duration> {
    let started = Instant::now();
    let snapshot = &group.snapshot;
    let begin = |(probe, bytes): (Waiting, usize)| {
        shared.metrics.identification_queue_wait.observe(started - probe.arrived);
        let reservation = Reservation { shared: shared.clone(), bytes };
        // The reservation ends at once if the caller is gone.
        let _ = probe.events.send(Event::Begun(snapshot.clone(), reservation));
        (probe.query, probe.events)
    };
    let (queries, events): (Vec<PackedQuery>, Vec<UnboundedSender<Event>>) =
        group.probes.into_iter().map(begin).unzip();
    let queries: Vec<&PackedQuery> = queries.iter().collect();
    let threads = shared.settings.threads;
    let flow = match_all(snapshot, &queries, threads, |batch| {
        let give =
            |(events, replies): (&UnboundedSender<Event>, _)| events.send(Event::Replies(replies)).is_ok();
        // Everybody gets the batch before anybody is asked whether it was wanted.
        let wanted = events.iter().zip(batch).map(give).filter(|&wanted| wanted).count();
        if wanted > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if flow.is_break() {
        return None;
    }
    let elapsed = started.elapsed();
    let blocks = snapshot.blocks().len();
    shared.metrics.pass(elapsed, blocks, queries.len(), threads.get());
    shared.metrics.templates_compared.add(snapshot.templates() * queries.len());
    tracing::debug!(blocks, probes = queries.len(), pass_us = elapsed.as_micros() as u64, "pass done");
    // Last: a caller that has its answer finds it counted.
    for events in &events {
        let _ = events.send(Event::Done);
    }
    Some(elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{app, gallery_of};
    use tyto_engine::prepare_query;
    use tyto_kernels::Poly;

    const ONCE: AnswerShape = AnswerShape { copies: 1, known_manifest_version: 1 };

    fn query(gallery: &Gallery, seed: u64) -> PackedQuery {
        let poly = |c| {
            let mut poly = Poly::zero();
            poly.as_mut_slice().iter_mut().zip(c + seed..).for_each(|(value, n)| *value = n * n);
            poly
        };
        prepare_query(&(0..gallery.parameters().layout.chunks() as u64).map(poly).collect::<Vec<_>>())
    }

    /// The snapshot and all replies of a pass.
    async fn answer(mut queued: Queued) -> (Arc<Snapshot>, Vec<BlockReply>) {
        let Event::Begun(snapshot, _room) = queued.next().await.unwrap() else { panic!("no begin") };
        let mut all = Vec::new();
        loop {
            match queued.next().await.unwrap() {
                Event::Replies(replies) => all.extend(replies),
                Event::Done => return (snapshot, all),
                Event::Begun(..) => panic!("a second begin"),
            }
        }
    }

    #[tokio::test]
    async fn probes_that_come_during_a_pass_share_the_next_and_get_what_they_get_alone() {
        let (_dir, app) = app(|config| config.identification.threads = 2).await;
        // A pass takes some milliseconds: long enough for the others to come.
        let gallery = gallery_of(2000);
        let enqueue = |seed| {
            let announced = app.passes.announce(&gallery);
            announced.enqueue(query(&gallery, seed), ONCE, Instant::now())
        };
        let mut first = enqueue(0);
        let Event::Begun(..) = first.next().await.unwrap() else { panic!("no begin") };
        let others: Vec<_> = (1..=9).map(enqueue).collect();
        let mut answers = Vec::new();
        for queued in others {
            answers.push(answer(queued).await);
        }
        let (probes, passes) = (app.metrics.pass_probes(), app.metrics.passes());
        assert_eq!(probes, 10);
        assert!(passes < 10, "every probe had a pass of its own");
        for (seed, (snapshot, replies)) in (1..).zip(answers) {
            assert_eq!(replies.len(), 2000);
            let mut alone = Vec::new();
            let flow = match_all(&snapshot, &[&query(&gallery, seed)], NonZeroUsize::MIN, |mut batch| {
                alone.append(&mut batch[0]);
                ControlFlow::Continue(())
            });
            assert!(flow.is_continue() && replies == alone, "probe {seed}");
        }
    }

    #[tokio::test]
    async fn a_pass_that_panics_breaks_off_its_answers_and_no_others() {
        let (_dir, app) = app(|config| config.identification.concurrent = 1).await;
        let gallery = gallery_of(3);
        for _ in 0..2 {
            let announced = app.passes.announce(&gallery);
            // More polynomials than the gallery's blocks have.
            let mut broken = announced.enqueue(PackedQuery::new(7), ONCE, Instant::now());
            assert!(matches!(broken.next().await, Ok(Event::Begun(..))));
            assert!(matches!(broken.next().await, Err(Error::Pass)));
            let announced = app.passes.announce(&gallery);
            let (_, replies) = answer(announced.enqueue(query(&gallery, 1), ONCE, Instant::now())).await;
            assert_eq!(replies.len(), 3);
        }
    }

    #[tokio::test]
    async fn a_probe_that_nobody_wants_any_more_ends_its_pass_and_frees_its_room() {
        let (_dir, app) = app(|config| {
            config.identification.concurrent = 1;
            config.identification.answer_bytes = 0;
        })
        .await;
        let gallery = gallery_of(500);
        let enqueue = || app.passes.announce(&gallery).enqueue(query(&gallery, 1), ONCE, Instant::now());
        for _ in 0..3 {
            let mut begun = enqueue();
            let Event::Begun(..) = begun.next().await.unwrap() else { panic!("no begin") };
            let waiting = enqueue();
            drop((begun, waiting));
        }
        assert_eq!(answer(enqueue()).await.1.len(), 500);
    }
}

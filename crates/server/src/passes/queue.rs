//! Which probes the next pass takes: decided here, without threads and clocks.

use super::{AnswerShape, Event};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use tyto_engine::{Gallery, MAX_PROBES, PackedQuery, Snapshot};

/// A pass is held back for at most this part of the time that it will take itself: on a small gallery a probe is
/// answered before others could arrive.
const GATHER_PART: u32 = 2;
/// What a pass over a block of 1 MiB is taken to cost before one was made: 20 GB/s.
const FIRST_GUESS_PER_MIB: Duration = Duration::from_micros(50);

/// A probe that waits.
pub(super) struct Waiting {
    pub(super) query: PackedQuery,
    /// When its call arrived.
    pub(super) arrived: Instant,
    /// When it was ready.
    pub(super) since: Instant,
    pub(super) answer: AnswerShape,
    pub(super) events: UnboundedSender<Event>,
}

/// A gallery and what waits for it.
struct Turn {
    gallery: Arc<Gallery>,
    waiting: VecDeque<(u64, Waiting)>,
    /// Probes that are on their way.
    coming: usize,
    /// Whether a pass is being made: another one would only take its memory bandwidth away.
    running: bool,
}

/// Probes for one pass.
pub(super) struct Group {
    pub(super) gallery: Arc<Gallery>,
    pub(super) snapshot: Arc<Snapshot>,
    /// With the bytes that are reserved for the answer.
    pub(super) probes: Vec<(Waiting, usize)>,
}

/// What there is to do.
pub(super) enum Next {
    /// A pass.
    Pass(Group),
    /// Nothing before this time, unless the queue changes.
    At(Instant),
    /// Nothing before the queue changes.
    Nothing,
}

/// All that waits.
pub(super) struct Queue {
    /// The gallery whose turn it is first.
    turns: VecDeque<Turn>,
    next_id: u64,
    gather: Duration,
    /// What a pass over 1 MiB took lately.
    per_mib: Duration,
    max_bytes: usize,
    pub(super) free_bytes: usize,
    pub(super) closed: bool,
}

impl Queue {
    pub(super) fn new(gather: Duration, answer_bytes: usize) -> Self {
        Self {
            turns: VecDeque::new(),
            next_id: 0,
            gather,
            per_mib: FIRST_GUESS_PER_MIB,
            max_bytes: answer_bytes,
            free_bytes: answer_bytes,
            closed: false,
        }
    }

    fn turn(&mut self, gallery: &Arc<Gallery>) -> &mut Turn {
        let known = self.turns.iter().position(|turn| Arc::ptr_eq(&turn.gallery, gallery));
        let at = known.unwrap_or_else(|| {
            let (gallery, waiting) = (gallery.clone(), VecDeque::new());
            self.turns.push_back(Turn { gallery, waiting, coming: 0, running: false });
            self.turns.len() - 1
        });
        &mut self.turns[at]
    }

    fn forget_idle(&mut self) {
        self.turns.retain(|turn| turn.running || turn.coming > 0 || !turn.waiting.is_empty());
    }

    /// A probe is on its way.
    pub(super) fn coming(&mut self, gallery: &Arc<Gallery>) {
        self.turn(gallery).coming += 1;
    }

    /// A probe that was on its way arrived or never will.
    pub(super) fn gone(&mut self, gallery: &Arc<Gallery>) {
        self.turn(gallery).coming -= 1;
        self.forget_idle();
    }

    /// A probe is ready; gives its number.
    pub(super) fn push(&mut self, gallery: &Arc<Gallery>, waiting: Waiting) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.turn(gallery).waiting.push_back((id, waiting));
        id
    }

    /// A probe is not wanted any more; gives it back if it still waits.
    pub(super) fn withdraw(&mut self, gallery: &Arc<Gallery>, id: u64) -> Option<Waiting> {
        let waiting = &mut self.turn(gallery).waiting;
        let at = waiting.iter().position(|&(other, _)| other == id);
        let withdrawn = at.and_then(|at| waiting.remove(at)).map(|(_, probe)| probe);
        self.forget_idle();
        withdrawn
    }

    /// A pass over a gallery is over.
    pub(super) fn finished(&mut self, gallery: &Arc<Gallery>, time: Option<Duration>) {
        self.turn(gallery).running = false;
        if let Some(mib) =
            time.and(u32::try_from(bytes(&gallery.snapshot()) >> 20).ok()).filter(|&mib| mib > 0)
        {
            // The mean of the past and now: galleries differ little, and the estimate only bounds a wait.
            self.per_mib = (self.per_mib + time.unwrap_or_default() / mib) / 2;
        }
        self.forget_idle();
    }

    /// Takes the probes of the next pass, if there is one to be made.
    ///
    /// Galleries take turns: one that was passed over goes behind all others. A pass takes the probes that waited
    /// longest, as many as fit. It is ripe when it is full, when no other probe is on its way, or when its oldest probe
    /// has waited for as long as it may.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let mut ripe_at: Option<Instant> = None;
        for at in 0..self.turns.len() {
            let turn = &self.turns[at];
            let Some((_, oldest)) = turn.waiting.front().filter(|_| !turn.running) else { continue };
            let due = if turn.coming == 0 || turn.waiting.len() >= MAX_PROBES {
                now
            } else {
                oldest.since + self.hold(&turn.gallery.snapshot())
            };
            if due <= now {
                // Where there is no room for the answers of the first that is ripe, nobody overtakes it: it would
                // wait for ever behind smaller galleries.
                return self.take(at).map_or_else(|| ripe_at.map_or(Next::Nothing, Next::At), Next::Pass);
            }
            ripe_at = Some(ripe_at.map_or(due, |other| other.min(due)));
        }
        ripe_at.map_or(Next::Nothing, Next::At)
    }

    /// How long a pass is held back at most.
    fn hold(&self, snapshot: &Snapshot) -> Duration {
        let kib = u32::try_from(bytes(snapshot) >> 10).unwrap_or(u32::MAX);
        self.gather.min(self.per_mib / GATHER_PART * kib / 1024)
    }

    fn take(&mut self, at: usize) -> Option<Group> {
        let snapshot = self.turns[at].gallery.snapshot();
        let replies = snapshot.blocks().len() * snapshot.layout().reply_bytes();
        // Clients that are up to date are the rule, and those that are not often know the same version.
        let mut lacking = (snapshot.manifest_version(), 0);
        let mut probes = Vec::new();
        while let Some((_, first)) = self.turns[at].waiting.front().filter(|_| probes.len() < MAX_PROBES) {
            // An answer that is larger than all the room there is may take all of it.
            let AnswerShape { copies, known_manifest_version: known } = first.answer;
            if known != lacking.0 {
                lacking = (known, lacking_bytes(&snapshot, known));
            }
            let bytes = ((replies + lacking.1) * copies).min(self.max_bytes);
            if bytes > self.free_bytes {
                break;
            }
            let Some((_, probe)) = self.turns[at].waiting.pop_front() else { break };
            self.free_bytes -= bytes;
            probes.push((probe, bytes));
        }
        if probes.is_empty() {
            return None;
        }
        let mut turn = self.turns.remove(at)?;
        turn.running = true;
        let gallery = turn.gallery.clone();
        self.turns.push_back(turn);
        Some(Group { gallery, snapshot, probes })
    }
}

/// Bytes of the sealed objects that a client of an older version is given.
fn lacking_bytes(snapshot: &Snapshot, known: u64) -> usize {
    let changed = snapshot.blocks().iter().filter(|block| block.state().changed_at > known);
    snapshot.sealed_manifest().len() + changed.map(|block| block.state().record.len()).sum::<usize>()
}

/// Bytes that a pass reads.
fn bytes(snapshot: &Snapshot) -> usize {
    snapshot.blocks().len() * snapshot.layout().polynomials_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::gallery_of as gallery;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    const GATHER: Duration = Duration::from_millis(3);

    struct Bench {
        queue: Queue,
        now: Instant,
        /// Keeps the receivers alive.
        events: Vec<UnboundedReceiver<Event>>,
    }

    impl Bench {
        fn new(answer_bytes: usize) -> Self {
            Self { queue: Queue::new(GATHER, answer_bytes), now: Instant::now(), events: Vec::new() }
        }

        fn push(&mut self, gallery: &Arc<Gallery>) -> u64 {
            self.push_from(gallery, 1)
        }

        /// A probe of a client that knows some version.
        fn push_from(&mut self, gallery: &Arc<Gallery>, known_manifest_version: u64) -> u64 {
            let (events, receiver) = unbounded_channel();
            self.events.push(receiver);
            let query = PackedQuery::new(1);
            let answer = AnswerShape { copies: 1, known_manifest_version };
            let waiting = Waiting { query, arrived: self.now, since: self.now, answer, events };
            self.queue.push(gallery, waiting)
        }

        /// The gallery and the probes of the next pass.
        fn pass(&mut self) -> Option<(Arc<Gallery>, usize)> {
            match self.queue.next(self.now) {
                Next::Pass(group) => Some((group.gallery, group.probes.len())),
                Next::At(_) | Next::Nothing => None,
            }
        }
    }

    #[test]
    fn galleries_take_turns_and_each_pass_takes_as_many_probes_as_it_can() {
        let (large, small, mut bench) = (gallery(9), gallery(1), Bench::new(1 << 20));
        (0..20).for_each(|_| _ = bench.push(&large));
        bench.push(&small);
        let mut taken = Vec::new();
        while let Some((gallery, probes)) = bench.pass() {
            taken.push((Arc::ptr_eq(&gallery, &large), probes));
            bench.queue.finished(&gallery, None);
        }
        assert_eq!(taken, [(true, 8), (false, 1), (true, 8), (true, 4)]);
        assert!(bench.queue.turns.is_empty(), "what is idle is forgotten");

        (0..9).for_each(|_| _ = bench.push(&large));
        assert_eq!(bench.pass().unwrap().1, 8);
        assert!(bench.pass().is_none(), "one pass at a time over one gallery");
        bench.push(&small);
        assert!(Arc::ptr_eq(&bench.pass().unwrap().0, &small), "but another gallery need not wait for it");
    }

    #[test]
    fn a_pass_waits_for_probes_that_are_on_their_way_but_not_for_long() {
        let (gallery, mut bench) = (gallery(200), Bench::new(1 << 20));
        bench.push(&gallery);
        assert_eq!(bench.pass().unwrap().1, 1, "a lone probe does not wait");
        bench.queue.finished(&gallery, Some(Duration::from_secs(1)));

        bench.queue.coming(&gallery);
        bench.queue.coming(&gallery);
        bench.push(&gallery);
        let Next::At(at) = bench.queue.next(bench.now) else { panic!("it waits for the others") };
        assert_eq!(at, bench.now + GATHER);
        bench.push(&gallery);
        bench.queue.gone(&gallery);
        assert!(bench.pass().is_none(), "one is still on its way");
        bench.now = at;
        assert_eq!(bench.pass().unwrap().1, 2);
        bench.queue.finished(&gallery, None);

        bench.push(&gallery);
        bench.queue.gone(&gallery);
        assert_eq!(bench.pass().unwrap().1, 1, "nobody else is on the way");
    }

    #[test]
    fn a_small_gallery_hardly_waits_for_others() {
        let (gallery, mut bench) = (gallery(1), Bench::new(1 << 20));
        bench.queue.coming(&gallery);
        bench.push(&gallery);
        let Next::At(at) = bench.queue.next(bench.now) else { panic!("it waits for the other") };
        assert!(at - bench.now < Duration::from_micros(1), "{:?}", at - bench.now);
    }

    #[test]
    fn answers_that_do_not_fit_wait_in_their_turn() {
        let (large, small) = (gallery(10), gallery(1));
        let answer = large.snapshot().layout().reply_bytes() * 10;
        let mut bench = Bench::new(answer * 2);
        (0..3).for_each(|_| _ = bench.push(&large));
        bench.push(&small);
        assert_eq!(bench.pass().unwrap().1, 2, "two answers fit");
        bench.queue.finished(&large, None);
        assert!(bench.pass().is_none(), "there is no room");
        bench.queue.free_bytes += answer / 2;
        assert!(bench.queue.turns.iter().any(|turn| Arc::ptr_eq(&turn.gallery, &small)));
        bench.queue.free_bytes += answer / 2;
        let (first, _) = bench.pass().unwrap();
        assert!(Arc::ptr_eq(&first, &small), "the large gallery had its turn");
        bench.queue.free_bytes += answer / 10;
        assert_eq!(bench.pass().unwrap().1, 1);
    }

    #[test]
    fn an_answer_has_room_for_the_records_that_its_client_lacks() {
        let gallery = gallery(10);
        let answer = gallery.snapshot().layout().reply_bytes() * 10;
        let lacking = b"manifest".len() + 10 * b"record".len();
        let mut bench = Bench::new(2 * answer + lacking);
        for known in [0, 0, 1] {
            bench.push_from(&gallery, known);
        }
        assert_eq!(bench.pass().unwrap().1, 1, "two answers with records do not fit");
        assert_eq!(bench.queue.free_bytes, answer);
    }

    #[test]
    fn a_pass_that_may_begin_soon_begins_although_one_behind_it_has_no_room() {
        let (large, small) = (gallery(100), gallery(9));
        let answer = large.snapshot().layout().reply_bytes() * 100;
        let mut bench = Bench::new(answer);
        bench.queue.coming(&small);
        bench.push(&small);
        bench.push(&large);
        bench.queue.free_bytes = answer / 2;
        let Next::At(at) = bench.queue.next(bench.now) else { panic!("the small gallery's time comes") };
        bench.now = at;
        assert!(Arc::ptr_eq(&bench.pass().unwrap().0, &small));
    }

    #[test]
    fn one_answer_fits_whatever_its_size() {
        let (gallery, mut bench) = (gallery(10), Bench::new(0));
        bench.push(&gallery);
        assert_eq!(bench.pass().unwrap().1, 1);
    }

    #[test]
    fn a_probe_that_is_withdrawn_is_not_matched() {
        let (gallery, mut bench) = (gallery(1), Bench::new(1 << 20));
        let first = bench.push(&gallery);
        bench.push(&gallery);
        assert!(bench.queue.withdraw(&gallery, first).is_some());
        assert!(bench.queue.withdraw(&gallery, first).is_none());
        assert_eq!(bench.pass().unwrap().1, 1);
    }
}

//! Going through a chain, segment by segment.

use crate::chain::{Chain, Hash, START, record_hash};
use crate::segment::{Frame, Header};
use crate::{AuditAnchor, Event, Fault, Problem, Record};

/// Goes through the segments of a chain in their order, compares it with anchors, and stops at the first bad record.
#[derive(Debug)]
pub struct Verifier {
    /// Those that are still to come, the one with the fewest records last.
    anchors: Vec<AuditAnchor>,
    chain: Option<Chain>,
    summary: Summary,
    /// The first record that is kept, as the chain itself says.
    kept_from: u64,
}

/// What a chain holds. It is as reliable as the newest anchor that confirms it; what comes after that is only free of
/// accidents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The chain.
    pub chain_id: Hash,
    /// The first record that is there.
    pub first: u64,
    /// Records since the chain began, those that were deleted included.
    pub records: u64,
    /// Hash of the last one.
    pub head: Hash,
    /// Time of the first record that is there.
    pub first_time_unix_ms: Option<u64>,
    /// Time of the last one.
    pub last_time_unix_ms: Option<u64>,
    /// Anchors that hold.
    pub anchors: u64,
    /// Anchors that only records which were deleted could confirm.
    pub anchors_before: u64,
    /// Up to where anchors confirm the chain, in records.
    pub confirmed: Option<u64>,
    /// Records that the server could not write, as it says itself.
    pub dropped: u64,
    /// Starts of the server.
    pub starts: u64,
    /// Calls that were denied.
    pub denied: u64,
}

impl Verifier {
    /// Begins, with anchors in any order.
    pub fn new(anchors: &[AuditAnchor]) -> Self {
        let mut anchors = anchors.to_vec();
        anchors.sort_unstable_by_key(|anchor| core::cmp::Reverse(anchor.records));
        Self { anchors, chain: None, summary: Summary::default(), kept_from: 0 }
    }

    /// What was found so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Goes through the next segment, and shows each record that holds.
    ///
    /// # Errors
    /// The first bad record.
    pub fn segment(&mut self, bytes: &[u8], mut each: impl FnMut(&Record)) -> Result<(), Fault> {
        let expected = self.chain.as_ref().map_or(0, Chain::records);
        let at = |problem| Fault { record: expected, problem };
        let (header, mut rest) = Header::parse(bytes).map_err(|error| at(Problem::Head(error)))?;
        let mut chain = match self.chain.take() {
            Some(chain) => go_on(chain, &header)?,
            None => self.begin(&header)?,
        };
        while !rest.is_empty() {
            let at = |problem| Fault { record: chain.records(), problem };
            let Some((frame, after)) = Frame::split(rest) else {
                return Err(at(Problem::Incomplete { bytes: rest.len() }));
            };
            let record = chain.check(&frame).map_err(|problem| match problem {
                Problem::Altered => at(what_happened(&chain, &frame, after)),
                problem => at(problem),
            })?;
            if record.sequence != chain.records() {
                let is_first = chain.records() == header.first;
                return Err(at(if is_first { Problem::HeadPlace } else { misplaced(&chain, &record, &[]) }));
            }
            chain.advance(record.time_unix_ms, frame.hash);
            self.note(&record);
            self.compare(&chain)?;
            each(&record);
            rest = after;
        }
        self.chain = Some(chain);
        Ok(())
    }

    /// Ends: nothing may be missing at either end.
    ///
    /// # Errors
    /// [`Problem::Empty`], [`Problem::CutOff`], [`Problem::Beginning`].
    pub fn finish(self) -> Result<Summary, Fault> {
        let records = self.chain.as_ref().map_or(0, Chain::records);
        if let Some(anchor) = self.anchors.first() {
            return Err(Fault { record: records, problem: Problem::CutOff { records: anchor.records } });
        }
        if self.chain.is_none() {
            return Err(Fault { record: 0, problem: Problem::Empty });
        }
        if self.summary.first > self.kept_from {
            let problem = Problem::Beginning { first: self.summary.first };
            return Err(Fault { record: self.kept_from, problem });
        }
        Ok(self.summary)
    }

    /// The first segment: the chain begins with it, or goes on from what was deleted.
    fn begin(&mut self, header: &Header) -> Result<Chain, Fault> {
        let at = |problem| Fault { record: header.first, problem };
        if header.first == 0 && header.before != START {
            return Err(at(Problem::HeadPlace));
        }
        if self.anchors.iter().any(|anchor| anchor.chain_id != header.chain_id) {
            return Err(at(Problem::ForeignAnchor));
        }
        (self.summary.chain_id, self.summary.first) = (header.chain_id, header.first);
        while self.anchors.pop_if(|anchor| anchor.records < header.first).is_some() {
            self.summary.anchors_before += 1;
        }
        let chain = Chain::at(header);
        self.compare(&chain)?;
        Ok(chain)
    }

    fn note(&mut self, record: &Record) {
        self.summary.first_time_unix_ms.get_or_insert(record.time_unix_ms);
        self.summary.last_time_unix_ms = Some(record.time_unix_ms);
        match &record.event {
            Event::Dropped { records } => {
                self.summary.dropped = self.summary.dropped.saturating_add(*records);
            }
            Event::Retention { kept_from } => self.kept_from = self.kept_from.max(*kept_from),
            Event::Start { .. } => self.summary.starts += 1,
            event => {
                let denied = event.call().is_some_and(|call| call.decision.reason().is_some());
                self.summary.denied += u64::from(denied);
            }
        }
    }

    /// Compares the chain with the anchors of its present length.
    fn compare(&mut self, chain: &Chain) -> Result<(), Fault> {
        (self.summary.records, self.summary.head) = (chain.records(), *chain.head());
        while let Some(anchor) = self.anchors.pop_if(|anchor| anchor.records == chain.records()) {
            if anchor.head != *chain.head() {
                let record = self.summary.confirmed.unwrap_or(self.summary.first);
                return Err(Fault { record, problem: Problem::Anchor { records: anchor.records } });
            }
            self.summary.anchors += 1;
            self.summary.confirmed = Some(anchor.records);
        }
        Ok(())
    }
}

/// A later segment: it goes on from the one before.
fn go_on(chain: Chain, header: &Header) -> Result<Chain, Fault> {
    let problem = if header.chain_id != *chain.id() {
        Problem::ForeignSegment
    } else if header.first > chain.records() {
        Problem::Missing { found: header.first }
    } else if header.first < chain.records() {
        Problem::Repeated { found: header.first }
    } else if header.before != *chain.head() {
        Problem::Link
    } else {
        return Ok(chain);
    };
    Err(Fault { record: chain.records(), problem })
}

/// Why a record does not follow from the one before it, as far as it and those after it tell.
fn what_happened(chain: &Chain, frame: &Frame<'_>, after: &[u8]) -> Problem {
    // If the next record is the next one and follows from this one as it was, this one alone was altered.
    let next = Frame::split(after).filter(|(next, _)| {
        let follows = record_hash(chain.id(), &frame.hash, next.record) == next.hash;
        follows && Record::decode(next.record).is_ok_and(|next| next.sequence == chain.records() + 1)
    });
    match Record::decode(frame.record) {
        Ok(record) if next.is_none() => misplaced(chain, &record, after),
        _ => Problem::Altered,
    }
}

/// What to call a record by its number where another one belongs.
fn misplaced(chain: &Chain, record: &Record, after: &[u8]) -> Problem {
    let (wanted, found) = (chain.records(), record.sequence);
    if found < wanted {
        return Problem::Repeated { found };
    }
    if found == wanted {
        return Problem::Altered;
    }
    let mut rest = after;
    while let Some((frame, after)) = Frame::split(rest) {
        if Record::decode(frame.record).is_ok_and(|record| record.sequence == wanted) {
            return Problem::Moved { found };
        }
        rest = after;
    }
    Problem::Missing { found }
}

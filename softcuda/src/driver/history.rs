//! Who has touched which bytes last: of an allocation, or of pageable memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::clock::{Actor, Clock};
use super::objects::{Serial, StreamName};
use super::ptx::Entry;
use super::scope::ScopeId;

/// How memory is touched, as far as order is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    Read,
    /// Atomically: beside others that do so too.
    Atomic,
    Write,
}

impl Touch {
    /// Whether the two must be ordered if they touch the same bytes.
    fn conflicts(self, other: Self) -> bool {
        self == Self::Write || other == Self::Write || self != other
    }

    /// Whether all that must be ordered with the other must be ordered with this, which comes after it.
    fn replaces(self, other: Self) -> bool {
        self == Self::Write || self == other
    }
}

/// One access by work of a stream.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) stream: StreamName,
    /// The context whose memory the stream uses.
    pub(super) context: Serial,
    pub(super) count: u64,
    /// Of all accesses, in the order in which they were enqueued.
    pub(super) number: u64,
    /// It may come after what is enqueued later: it waits for a value.
    pub(super) waits: bool,
    pub(super) touch: Touch,
    /// For reports.
    pub(super) call: &'static str,
    pub(super) kernel: Option<Arc<Entry>>,
    /// All that it touches there.
    pub(super) range: Range<u64>,
}

impl Access {
    /// Whether it comes before whoever knows `clock`, as far as can be told.
    fn comes_before(&self, clock: &Clock) -> bool {
        self.is_known(clock) || self.waits || clock.horizon >= self.number
    }

    pub(super) fn is_known(&self, clock: &Clock) -> bool {
        clock.count_of(self.stream.serial) >= self.count
    }
}

/// Bytes that the same accesses have touched.
#[derive(Clone, Debug)]
struct Segment {
    end: u64,
    /// The last write, if there is one, what came after it or beside it, and what waits.
    accesses: Vec<Arc<Access>>,
}

/// The accesses that a later one may have to be ordered after.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By their first bytes; they do not overlap.
    segments: BTreeMap<u64, Segment>,
}

impl History {
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Accesses that are kept, each counted once for each segment.
    pub(super) fn len(&self) -> usize {
        self.segments.values().map(|segment| segment.accesses.len()).sum()
    }

    fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = &Segment> {
        let before = self.segments.range(..range.start).next_back().into_iter();
        before.chain(self.segments.range(range.clone())).map(|(_, segment)| segment).filter(|segment| segment.end > range.start)
    }

    /// What touches these bytes, conflicts with an access, and does not come before it. `actor` is
    /// the stream that makes it, whose own work comes before.
    pub(super) fn conflicts(&self, range: &Range<u64>, touch: Touch, actor: Option<Actor>, clock: &Clock) -> Vec<Arc<Access>> {
        let mut found: Vec<Arc<Access>> = Vec::new();
        // After a wait without end nothing can be told.
        if clock.is_open() {
            return found;
        }
        for access in self.overlapping(range).flat_map(|segment| &segment.accesses) {
            let is_race = access.touch.conflicts(touch) && Some(access.stream.serial) != actor && !access.comes_before(clock);
            if is_race && !found.iter().any(|known| Arc::ptr_eq(known, access)) {
                found.push(Arc::clone(access));
            }
        }
        found
    }

    /// Adds an access, made by who knows `clock`. What it makes superfluous goes. Answers how much longer the history
    /// is at most.
    pub(super) fn add(&mut self, access: &Arc<Access>, clock: &Clock) -> usize {
        let Range { start, end } = access.range;
        self.split(start);
        self.split(end);
        if access.touch == Touch::Write {
            let inside: Vec<u64> = self.segments.range(start..end).map(|(first, _)| *first).collect();
            for first in inside {
                self.segments.remove(&first);
            }
            self.segments.insert(start, Segment { end, accesses: vec![Arc::clone(access)] });
            return 1;
        }
        // Of what waits no question is asked: it stands for nothing else.
        let tells_as_much = |past: &Access| access.touch.replaces(past.touch) && (past.waits || !access.waits);
        let is_past = |past: &Access| tells_as_much(past) && (past.stream.serial == access.stream.serial || past.is_known(clock));
        let (mut reached, mut gaps, mut grown) = (start, Vec::new(), 0);
        for (first, segment) in self.segments.range_mut(start..end) {
            if reached < *first {
                gaps.push(reached..*first);
            }
            reached = segment.end;
            segment.accesses.retain(|past| !is_past(past));
            segment.accesses.push(Arc::clone(access));
            grown += 1;
        }
        if reached < end {
            gaps.push(reached..end);
        }
        for gap in gaps {
            self.segments.insert(gap.start, Segment { end: gap.end, accesses: vec![Arc::clone(access)] });
            grown += 1;
        }
        grown
    }

    /// Makes `at` a boundary.
    fn split(&mut self, at: u64) {
        if let Some((_, segment)) = self.segments.range_mut(..at).next_back().filter(|(_, segment)| segment.end > at) {
            let rest = segment.clone();
            segment.end = at;
            self.segments.insert(at, rest);
        }
    }

    /// Forgets what comes before everybody who knows at least `floor`.
    pub(super) fn forget(&mut self, floor: &Clock) {
        self.segments.retain(|_, segment| {
            segment.accesses.retain(|access| !access.is_known(floor));
            !segment.accesses.is_empty()
        });
    }

    /// The actors that it names.
    pub(super) fn actors(&self) -> impl Iterator<Item = Actor> {
        self.segments.values().flat_map(|segment| &segment.accesses).map(|access| access.stream.serial)
    }
}

/// Who touched what.
#[derive(Debug)]
pub(super) struct Histories {
    /// By the addresses of allocations.
    pub(super) allocations: BTreeMap<u64, OfAllocation>,
    /// Of pageable memory, by address: what the threads of the scope do not know to be done.
    pub(super) pageable: BTreeMap<ScopeId, History>,
}

#[derive(Debug, Default)]
pub(super) struct OfAllocation {
    pub(super) history: History,
    /// It was allocated in stream order: the call that frees it waits for nothing.
    pub(super) is_ordered: bool,
}

impl Histories {
    pub(super) const fn new() -> Self {
        Self { allocations: BTreeMap::new(), pageable: BTreeMap::new() }
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut History> {
        self.allocations.values_mut().map(|of| &mut of.history).chain(self.pageable.values_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::super::objects::Role;
    use super::*;

    fn access(actor: Actor, count: u64, touch: Touch, range: Range<u64>) -> Arc<Access> {
        let stream = StreamName { serial: actor, role: Role::Created { non_blocking: true }, context: 1 };
        Arc::new(Access { stream, context: 1, count, number: 1, waits: false, touch, call: "cuTest", kernel: None, range })
    }

    /// The actors that an access of nobody who knows anything conflicts with.
    fn conflicts(history: &History, range: Range<u64>, touch: Touch) -> Vec<Actor> {
        history.conflicts(&range, touch, None, &Clock::new()).iter().map(|access| access.stream.serial).collect()
    }

    #[test]
    fn accesses_conflict_by_what_they_do() {
        use Touch::{Atomic, Read, Write};
        let conflicting = |touch: Touch| [Read, Atomic, Write].map(|other| touch.conflicts(other));
        assert_eq!(conflicting(Read), [false, true, true]);
        assert_eq!(conflicting(Atomic), [true, false, true]);
        assert_eq!(conflicting(Write), [true, true, true]);
    }

    #[test]
    fn a_write_splits_what_it_overlaps() {
        let mut history = History::default();
        history.add(&access(1, 1, Touch::Write, 0..100), &Clock::new());
        history.add(&access(2, 1, Touch::Write, 40..60), &Clock::new());
        assert_eq!(conflicts(&history, 0..40, Touch::Read), [1]);
        assert_eq!(conflicts(&history, 40..60, Touch::Read), [2]);
        assert_eq!(conflicts(&history, 59..61, Touch::Read), [2, 1]);
        assert_eq!(conflicts(&history, 60..100, Touch::Read), [1]);
        assert!(conflicts(&history, 100..200, Touch::Read).is_empty());
        history.add(&access(3, 1, Touch::Write, 0..100), &Clock::new());
        assert_eq!((conflicts(&history, 0..100, Touch::Read), history.len()), (vec![3], 1));
    }

    #[test]
    fn readers_stay_beside_each_other_and_a_write_ends_them() {
        let mut history = History::default();
        for actor in 1..=3 {
            history.add(&access(actor, 1, Touch::Read, 10 * actor..100), &Clock::new());
        }
        assert!(conflicts(&history, 0..100, Touch::Read).is_empty());
        assert_eq!(conflicts(&history, 0..15, Touch::Write), [1]);
        assert_eq!(conflicts(&history, 90..91, Touch::Write), [1, 2, 3]);
        history.add(&access(4, 1, Touch::Write, 0..100), &Clock::new());
        assert_eq!(conflicts(&history, 0..100, Touch::Write), [4]);
    }

    #[test]
    fn a_read_takes_the_place_of_those_before_it() {
        let mut history = History::default();
        let mut clock = Clock::new();
        for count in 1..=100 {
            history.add(&access(1, count, Touch::Read, 0..8), &clock);
        }
        assert_eq!(history.len(), 1, "reads of one stream");
        clock.raise(1, 100);
        history.add(&access(2, 1, Touch::Read, 0..8), &clock);
        assert_eq!(conflicts(&history, 0..8, Touch::Write), [2], "a read that comes after the others");
    }

    #[test]
    fn a_read_takes_the_place_of_no_write() {
        let mut history = History::default();
        history.add(&access(1, 1, Touch::Write, 0..8), &Clock::new());
        let mut clock = Clock::new();
        clock.raise(1, 1);
        history.add(&access(2, 1, Touch::Read, 0..8), &clock);
        assert_eq!(conflicts(&history, 0..8, Touch::Read), [1]);
    }

    #[test]
    fn reads_fill_the_gaps_between_others() {
        let mut history = History::default();
        history.add(&access(1, 1, Touch::Read, 20..30), &Clock::new());
        history.add(&access(2, 1, Touch::Read, 10..40), &Clock::new());
        for byte in [10, 30, 39] {
            assert_eq!(conflicts(&history, byte..byte + 1, Touch::Write), [2], "byte {byte}");
        }
        assert_eq!(conflicts(&history, 20..21, Touch::Write), [1, 2]);
        assert!(conflicts(&history, 40..41, Touch::Write).is_empty());
    }

    #[test]
    fn what_everybody_knows_is_forgotten() {
        let mut history = History::default();
        history.add(&access(1, 3, Touch::Write, 0..8), &Clock::new());
        history.add(&access(2, 1, Touch::Read, 4..8), &Clock::new());
        let mut floor = Clock::new();
        floor.raise(1, 2);
        history.forget(&floor);
        assert_eq!(history.actors().collect::<Vec<_>>(), [1, 1, 2]);
        floor.raise(1, 3);
        history.forget(&floor);
        assert_eq!(history.actors().collect::<Vec<_>>(), [2]);
    }
}

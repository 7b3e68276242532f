//! Vector clocks: which work of which stream is known to come before something.
//!
//! They move when work is enqueued, never when it runs: what they say is the same in every schedule.

use std::sync::Arc;

/// A stream, by its serial number. Hosts are none: order between threads is invisible to a driver.
pub(super) type Actor = u64;

/// A horizon without end: the work was ordered after something that nobody can see.
pub(super) const OPEN: u64 = u64::MAX;

/// How much of each actor's work comes before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// By actor, in order. Who is missing has 0.
    counts: Vec<(Actor, u64)>,
    /// Accesses numbered up to this may come before as well: a value was waited for, and whoever
    /// wrote it may have waited for them.
    pub(super) horizon: u64,
}

impl Clock {
    pub(super) const fn new() -> Self {
        Self { counts: Vec::new(), horizon: 0 }
    }

    /// Whether it may come after anything.
    pub(super) fn is_open(&self) -> bool {
        self.horizon == OPEN
    }

    /// How many actors it names.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    fn place(&self, actor: Actor) -> Result<usize, usize> {
        self.counts.binary_search_by_key(&actor, |(known, _)| *known)
    }

    pub(super) fn count_of(&self, actor: Actor) -> u64 {
        self.place(actor).map_or(0, |place| self.counts[place].1)
    }

    /// Takes in work of one actor.
    pub(super) fn raise(&mut self, actor: Actor, count: u64) {
        match self.place(actor) {
            Ok(place) => self.counts[place].1 = self.counts[place].1.max(count),
            Err(place) => self.counts.insert(place, (actor, count)),
        }
    }

    /// Whether all that comes before the other comes before this too.
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.horizon >= other.horizon && self.names(other)
    }

    /// Whether all work that the other names comes before this too.
    pub(super) fn names(&self, other: &Self) -> bool {
        let mut mine = self.counts.iter();
        let enough = self.counts.len() >= other.counts.len();
        enough && other.counts.iter().all(|(actor, count)| mine.any(|(known, mine)| known == actor && mine >= count))
    }

    /// Takes in all that the other names.
    pub(super) fn join(&mut self, other: &Self) {
        let mut joined = Vec::with_capacity(self.counts.len().max(other.counts.len()));
        let (mut mine, mut others) = (self.counts.iter().copied().peekable(), other.counts.iter().copied().peekable());
        loop {
            let next = match (mine.peek(), others.peek()) {
                (Some((actor, _)), Some((other, _))) if actor == other => mine.next().max(others.next()),
                (Some((actor, _)), Some((other, _))) if actor < other => mine.next(),
                (_, Some(_)) => others.next(),
                (_, None) => mine.next(),
            };
            let Some(next) = next else { break };
            joined.push(next);
        }
        self.counts = joined;
        self.horizon = self.horizon.max(other.horizon);
    }

    /// Keeps of each actor what both name.
    pub(super) fn meet(&mut self, other: &Self) {
        for (actor, count) in &mut self.counts {
            *count = other.count_of(*actor).min(*count);
        }
        self.counts.retain(|(_, count)| *count > 0);
    }

    /// Forgets actors whose work no question is about any more.
    pub(super) fn retain(&mut self, keep: impl Fn(Actor, u64) -> bool) {
        self.counts.retain(|(actor, count)| keep(*actor, *count));
        self.counts.shrink_to_fit();
    }
}

/// A place in the work of an actor, with what comes before it. What one count stands for never changes:
/// who knows a count knows all of this.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) actor: Actor,
    pub(super) count: u64,
    /// What comes before of others.
    pub(super) others: Arc<Clock>,
}

impl Moment {
    /// Whether a clock has taken it in.
    pub(super) fn is_in(&self, clock: &Clock) -> bool {
        clock.count_of(self.actor) >= self.count
    }

    /// Takes it into a clock; its horizon is `horizon` at most. Answers how many entries that has made.
    pub(super) fn join_into(&self, clock: &mut Arc<Clock>, horizon: u64) -> usize {
        let is_shared = Arc::get_mut(clock).is_none();
        let includes = clock.includes(&self.others);
        let clock = Arc::make_mut(clock);
        if !includes {
            let before = clock.horizon;
            clock.join(&self.others);
            clock.horizon = before.max(self.others.horizon.min(horizon));
        }
        clock.raise(self.actor, self.count);
        if is_shared || !includes { clock.len() } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(counts: &[(Actor, u64)]) -> Clock {
        Clock { counts: counts.to_vec(), horizon: 0 }
    }

    #[test]
    fn a_join_has_the_most_of_both() {
        let mut joined = clock(&[(1, 5), (3, 1), (9, 2)]);
        joined.join(&clock(&[(1, 4), (2, 7), (3, 2)]));
        assert_eq!(joined, clock(&[(1, 5), (2, 7), (3, 2), (9, 2)]));
    }

    #[test]
    fn a_clock_includes_what_it_has_joined() {
        let (mut a, b) = (clock(&[(1, 5), (9, 2)]), clock(&[(2, 1), (9, 3)]));
        assert!(!a.includes(&b) && !b.includes(&a));
        a.join(&b);
        assert!(a.includes(&b) && !b.includes(&a));
        assert!(a.includes(&Clock::new()) && a.includes(&a));
        let open = Clock { horizon: OPEN, ..Clock::new() };
        assert!(!a.includes(&open));
    }

    #[test]
    fn a_meet_has_the_least_of_both() {
        let mut met = clock(&[(1, 5), (3, 1), (9, 2)]);
        met.meet(&clock(&[(1, 4), (2, 7), (9, 3)]));
        assert_eq!(met, clock(&[(1, 4), (9, 2)]));
    }

    #[test]
    fn a_moment_brings_what_comes_before_it() {
        let moment = Moment { actor: 4, count: 2, others: Arc::new(Clock { counts: vec![(1, 3)], horizon: OPEN }) };
        let mut clock = Arc::new(clock(&[(1, 1)]));
        assert!(!moment.is_in(&clock));
        assert_eq!(moment.join_into(&mut clock, 10), 2);
        assert!(moment.is_in(&clock));
        assert_eq!((clock.count_of(1), clock.count_of(4), clock.horizon), (3, 2, 10));
    }
}

//! Schedules: whether the work of a scope goes as soon as it may, or is held for some time.

use std::collections::BTreeMap;

use super::raw::{SCHEDULE_LAZY, SCHEDULE_PLAIN, SCHEDULE_SEEDED, SCHEDULES, schedule_named};
use super::report;
use super::scope::{PROCESS, ScopeId};

/// When work goes that nothing else holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// At once.
    Plain,
    /// When somebody waits for it.
    Lazy,
    /// When chance says so, or when somebody waits for it.
    Seeded(u64),
}

impl Schedule {
    /// By its number in `raw.rs`.
    pub(super) fn from_raw(schedule: u32, seed: u64) -> Option<Self> {
        match schedule {
            SCHEDULE_PLAIN => Some(Self::Plain),
            SCHEDULE_LAZY => Some(Self::Lazy),
            SCHEDULE_SEEDED => Some(Self::Seeded(seed)),
            _ => None,
        }
    }

    fn from_environment() -> Self {
        const VARIABLE: &str = "SOFTCUDA_SCHEDULE";
        let Ok(name) = std::env::var(VARIABLE) else { return Self::Plain };
        let known = schedule_named(&name).and_then(|(schedule, seed)| Self::from_raw(schedule, seed));
        known.unwrap_or_else(|| report::refuse_variable(VARIABLE, &name, SCHEDULES))
    }
}

/// How a scope holds its work.
#[derive(Debug)]
enum Pace {
    Lazy,
    Seeded(Generator),
}

/// The schedules of all scopes.
#[derive(Debug)]
pub(super) struct Paces {
    /// None for a scope with the plain schedule.
    held: BTreeMap<ScopeId, Pace>,
    /// What the environment says, once it has been asked.
    environment: Option<Schedule>,
}

impl Paces {
    pub(super) const fn new() -> Self {
        Self { held: BTreeMap::new(), environment: None }
    }

    /// Lets a scope begin with the environment's schedule; the process's does so once.
    pub(super) fn begin(&mut self, scope: ScopeId) {
        let known = self.environment.is_some();
        let schedule = *self.environment.get_or_insert_with(Schedule::from_environment);
        if !known {
            self.set(PROCESS, schedule);
        }
        if scope != PROCESS {
            self.set(scope, schedule);
        }
    }

    pub(super) fn set(&mut self, scope: ScopeId, schedule: Schedule) {
        match schedule {
            Schedule::Plain => self.held.remove(&scope),
            Schedule::Lazy => self.held.insert(scope, Pace::Lazy),
            Schedule::Seeded(seed) => self.held.insert(scope, Pace::Seeded(Generator(seed))),
        };
    }

    /// Whether no scope holds anything.
    pub(super) fn are_plain(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether a scope holds its work.
    pub(super) fn hold(&self, scope: ScopeId) -> bool {
        // Every enqueued task asks.
        !self.are_plain() && self.held.contains_key(&scope)
    }

    /// Where chance decides in a scope.
    pub(super) fn generator(&mut self, scope: ScopeId) -> Option<&mut Generator> {
        match self.held.get_mut(&scope) {
            Some(Pace::Seeded(generator)) => Some(generator),
            Some(Pace::Lazy) | None => None,
        }
    }

    /// Whether chance decides in a scope.
    pub(super) fn is_seeded(&self, scope: ScopeId) -> bool {
        !self.are_plain() && matches!(self.held.get(&scope), Some(Pace::Seeded(_)))
    }
}

/// A sequence of numbers that a seed decides: splitmix64.
#[derive(Debug)]
pub(super) struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Heads or tails.
    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// One of `choices`, of which there is one at least.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        // The remainder prefers nobody that matters: there are far fewer choices than numbers.
        let index = self.next() % choices.len() as u64;
        choices[usize::try_from(index).expect("less than a length")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_all_choices() {
        let choices = |seed| {
            let mut generator = Generator(seed);
            [(); 20].map(|()| (generator.coin(), generator.pick(&[1, 2, 3])))
        };
        assert_eq!(choices(1), choices(1));
        assert_ne!(choices(1), choices(2));
        assert!((1..=3).all(|wanted| choices(1).iter().any(|(_, choice)| *choice == wanted)));
    }

    #[test]
    fn a_scope_has_its_own_schedule() {
        let mut paces = Paces::new();
        paces.set(1, Schedule::Lazy);
        paces.set(2, Schedule::Seeded(7));
        assert_eq!([PROCESS, 1, 2].map(|scope| (paces.hold(scope), paces.is_seeded(scope))), [(false, false), (true, false), (true, true)]);
        paces.set(1, Schedule::Plain);
        paces.set(2, Schedule::Plain);
        assert!(paces.are_plain());
    }
}

//! The clock of one stream.

use std::sync::Arc;

use super::super::clock::{Actor, Clock, Moment, OPEN};
use super::super::objects::{Role, Serial, StreamName};
use super::super::scope::ScopeId;

/// What a stream knows.
#[derive(Debug)]
pub(super) struct StreamClock {
    pub(super) context: Serial,
    pub(super) role: Role,
    /// Raised with each access and with everything that it learns.
    pub(super) count: u64,
    pub(super) others: Arc<Clock>,
    /// The host that enqueued last, and the version of what it knew then.
    pub(super) met: (ScopeId, u64),
    /// The count since which it may be ordered after something that nobody can see.
    pub(super) open_since: Option<u64>,
    /// The legacy stream has it on its list.
    pub(super) is_listed: bool,
}

impl StreamClock {
    pub(super) fn new(context: Serial, role: Role, empty: Arc<Clock>) -> Self {
        Self { context, role, count: 0, others: empty, met: (0, 0), open_since: None, is_listed: false }
    }

    pub(super) fn moment(&self, actor: Actor) -> Moment {
        Moment { actor, count: self.count, others: Arc::clone(&self.others) }
    }

    /// It as reports name it.
    pub(super) fn name(&self, itself: Actor) -> StreamName {
        StreamName { serial: itself, role: self.role, context: self.context }
    }

    /// Takes in what another stream, or an event, knows. Answers what that costs.
    pub(super) fn learn(&mut self, moment: &Moment, itself: Actor) -> usize {
        if moment.actor == itself || moment.is_in(&self.others) {
            return 0;
        }
        self.count += 1;
        if moment.others.is_open() {
            self.open_since = Some(self.count);
        }
        moment.join_into(&mut self.others, OPEN)
    }

    pub(super) fn learn_clock(&mut self, clock: &Arc<Clock>) -> usize {
        if self.others.includes(clock) {
            return 0;
        }
        self.count += 1;
        if clock.includes(&self.others) {
            self.others = Arc::clone(clock);
            return 0;
        }
        let others = Arc::make_mut(&mut self.others);
        others.join(clock);
        others.len()
    }

    /// The same with what destroyed streams knew.
    pub(super) fn learn_ended(&mut self, ended: &Arc<Clock>) -> usize {
        let growth = self.learn_clock(ended);
        if ended.is_open() {
            self.open_since = Some(self.count);
        }
        growth
    }
}

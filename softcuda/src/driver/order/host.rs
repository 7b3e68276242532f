//! What the threads of a scope know, and what tells them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::clock::{Clock, Moment, OPEN};
use super::super::objects::{Point, Serial};
use super::super::scope::{PROCESS, ScopeId};
use super::{Order, Reached};

/// What the threads of a scope know.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) known: Arc<Clock>,
    /// Raised whenever they learn something.
    pub(super) version: u64,
}

impl Host {
    /// Takes in what somebody else knows. Answers what that costs.
    fn learn_clock(&mut self, clock: &Clock) -> usize {
        if self.known.includes(clock) {
            return 0;
        }
        Arc::make_mut(&mut self.known).join(clock);
        self.version += 1;
        self.known.len()
    }
}

/// What a host function, a value that is written for the host, or another process may tell a scope.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) context: Serial,
    pub(super) scope: ScopeId,
    pub(super) moment: Moment,
}

impl Order {
    /// A new scope, which a thread enters from another. It knows what the process's knows too: what its other
    /// threads come from.
    pub(in super::super) fn begin_scope(&mut self, scope: ScopeId, from: ScopeId) {
        let known = self.known_to(PROCESS);
        self.hosts.insert(scope, Host { known, version: 1 });
        self.hand_over(from, scope);
    }

    /// What a scope knows another knows from now on.
    pub(in super::super) fn hand_over(&mut self, from: ScopeId, to: ScopeId) {
        let known = self.known_to(from);
        let (_, host) = host_of(&mut self.hosts, to);
        self.growth += host.learn_clock(&known);
    }

    /// A scope is over. What it knew is not lost for who asks later.
    pub(in super::super) fn end_scope(&mut self, scope: ScopeId) {
        self.hand_over(scope, PROCESS);
        self.hosts.remove(&scope);
    }

    /// What the host threads of a scope know.
    pub(in super::super) fn known_to(&mut self, scope: ScopeId) -> Arc<Clock> {
        let (_, host) = host_of(&mut self.hosts, scope);
        Arc::clone(&host.known)
    }

    /// The threads of a scope have waited for this.
    pub(in super::super) fn learn(&mut self, scope: ScopeId, reached: &Reached) {
        for moment in &reached.moments {
            self.learn_moment(scope, moment);
        }
        for ended in &reached.ended {
            let mut ended = Arc::clone(ended);
            if ended.is_open() {
                Arc::make_mut(&mut ended).horizon = self.accesses;
            }
            let (_, host) = host_of(&mut self.hosts, scope);
            self.growth += host.learn_clock(&ended);
        }
    }

    pub(in super::super) fn learn_moment(&mut self, scope: ScopeId, moment: &Moment) {
        let (_, host) = host_of(&mut self.hosts, scope);
        if !moment.is_in(&host.known) {
            // What it was ordered after unseen has been enqueued by now.
            self.growth += moment.join_into(&mut host.known, self.accesses);
            host.version += 1;
        }
    }

    /// Adds a moment to what the threads of a scope are told of later, without what they know already.
    pub(in super::super) fn adds_unknown(&mut self, scope: ScopeId, unknown: &mut Arc<Clock>, moment: &Moment) {
        let known = self.known_to(scope);
        if known.names(unknown) {
            *unknown = Arc::default();
        }
        if !moment.is_in(&known) {
            self.growth += moment.join_into(unknown, OPEN);
        }
    }

    /// The threads of a scope are told of something that comes after this.
    pub(in super::super) fn learn_unknown(&mut self, scope: ScopeId, unknown: &Arc<Clock>) {
        if !self.known_to(scope).names(unknown) {
            self.learn(scope, &Reached { moments: Vec::new(), ended: vec![Arc::clone(unknown)] });
        }
    }

    /// From when the work at `point` begins, the threads of `scope` may know what comes before it.
    pub(in super::super) fn tell(&mut self, point: Point, scope: ScopeId) {
        if let Some(moment) = self.moment(point.stream) {
            self.tell_of(point, scope, moment);
        }
    }

    /// The same of a moment.
    pub(in super::super) fn tell_of(&mut self, point: Point, scope: ScopeId, moment: Moment) {
        if let Some(this) = self.streams.get(&point.stream) {
            let message = Message { context: this.context, scope, moment };
            self.messages.insert((point.stream, point.position), message);
        }
    }

    /// The work at `point` begins, or a record there is done.
    pub(in super::super) fn told(&mut self, point: Point) {
        if let Some(Message { scope, moment, .. }) = self.messages.remove(&(point.stream, point.position)) {
            self.learn_moment(scope, &moment);
        }
    }
}

/// The host of a scope, and whose it is: the process's, where the scope has ended while work of it goes on.
pub(super) fn host_of(hosts: &mut BTreeMap<ScopeId, Host>, scope: ScopeId) -> (ScopeId, &mut Host) {
    let scope = if hosts.contains_key(&scope) { scope } else { PROCESS };
    (scope, hosts.entry(scope).or_insert_with(|| Host { known: Arc::default(), version: 1 }))
}

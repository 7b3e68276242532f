//! Held work: what a wait lets go, and what chance does. Everything here happens under the lock.
//!
//! Work of a scope whose schedule is not plain is held when it is enqueued. A wait demands the points
//! that it waits for, and with them whatever they come after, in other streams and scopes too. Where
//! chance decides, each enqueue may let held work of the scope go, and a wait lets go other work of the
//! scope in between.
//!
//! What is let go, and in which order, follows from the calls alone and not from what threads have done
//! so far: the same calls with the same seed give the same order.

use std::collections::BTreeMap;

use super::objects::{Point, Serial, Task};
use super::pace::{Generator, Schedule};
use super::scope::{self, NOBODY, PROCESS, ScopeId};
use super::state::State;

/// How many queries in a row find a stream's work held. The next one counts as a wait, so that a
/// program which polls goes on.
const QUERIES: u32 = 3;

/// For each stream how far it has to go.
type Needed = BTreeMap<Serial, u64>;

impl State {
    /// Lets go what has to be done before these points are passed.
    pub(super) fn demand(&mut self, points: &[Point]) {
        if self.paces.are_plain() {
            return;
        }
        let needed = self.needed(points);
        let scope = scope::current();
        if !self.paces.is_seeded(scope) {
            self.let_go_of(&needed);
            return;
        }
        while needed.iter().any(|(stream, position)| !self.is_let_go(Point { stream: *stream, position: *position })) {
            if !self.let_one_go(scope, &needed) {
                return self.let_go_of(&needed);
            }
        }
    }

    /// Lets go what anyone may wait for whom nobody sees.
    pub(super) fn demand_all(&mut self) {
        self.demand(&self.ends_of_all());
    }

    /// Takes note of a query of work up to these points, of which the last is in the stream that was asked for.
    pub(super) fn queried(&mut self, points: &[Point]) {
        if self.paces.are_plain() || self.needed(points).is_empty() {
            return;
        }
        let Some(asked) = points.last().and_then(|point| self.streams.get_mut(&point.stream)) else { return };
        asked.queries += 1;
        if asked.queries > QUERIES {
            asked.queries = 0;
            self.demand(points);
        }
    }

    /// Before an enqueue: lets chance decide how much of the caller's scope goes. What is enqueued then
    /// goes at the next call at the earliest: until this one returns its arguments are borrowed.
    pub(super) fn draw(&mut self) {
        let scope = scope::current();
        if !self.paces.is_seeded(scope) {
            return;
        }
        while self.paces.generator(scope).is_some_and(Generator::coin) {
            if !self.let_one_go(scope, &Needed::new()) {
                return;
            }
        }
    }

    /// After an enqueue: lets go what a stream may wait for that waits for a word. Whoever waits for
    /// that stream has demanded all there was. No more is looked at than streams that work: there may be
    /// very many that do not.
    pub(super) fn feed(&mut self, end: Point) {
        if !self.paces.are_plain() && !self.awaiting.is_empty() {
            self.demand(&[end]);
        }
    }

    /// The ends of all work of a context, as far as it concerns the calling thread's scope: two scopes
    /// that were entered are as two programs, and what the one holds the other does not wait for.
    pub(super) fn ends_for_caller(&self, context: Serial) -> Vec<Point> {
        let mut ends = self.ends_of(context);
        let scope = scope::current();
        if scope != PROCESS && !self.paces.are_plain() {
            let is_others = |task: &&Task| task.held && task.scope != scope && task.scope != PROCESS;
            for end in &mut ends {
                let held = self.streams.get(&end.stream).map_or(0, |stream| stream.queue.iter().rev().take_while(is_others).count());
                end.position -= held as u64;
            }
        }
        ends
    }

    /// Gives a scope another schedule. What it has enqueued before stays held, unless the new one is plain.
    pub(super) fn set_schedule(&mut self, scope: ScopeId, schedule: Schedule) {
        self.paces.set(scope, schedule);
        if schedule == Schedule::Plain {
            self.let_go_of_scope(scope);
        }
    }

    /// Ends a scope: its work goes, and what it leaves is the process's. After a fault its work does not go, and what it
    /// could not destroy is nobody's; contexts could be released. Work keeps the scope: if it faults later, nobody's calls
    /// answer that.
    pub(super) fn end_scope(&mut self, scope: ScopeId) {
        self.set_schedule(scope, Schedule::Plain);
        self.order.end_scope(scope);
        self.histories.pageable.remove(&scope);
        let heir = if self.faults.contains_key(&scope) { NOBODY } else { PROCESS };
        let hand_over_to = |heir: ScopeId| {
            move |owner: &mut ScopeId| {
                if *owner == scope {
                    *owner = heir;
                }
            }
        };
        let hand_over = hand_over_to(heir);
        self.streams.values_mut().for_each(|stream| hand_over(&mut stream.scope));
        self.events.values_mut().for_each(|event| hand_over(&mut event.scope));
        self.contexts.values_mut().for_each(|context| hand_over_to(PROCESS)(&mut context.scope));
        self.memory.allocations_mut().for_each(|allocation| hand_over(&mut allocation.scope));
        let is_told = heir != NOBODY;
        self.end_graphs_of_scope(scope, heir, is_told);
        let streams = &self.streams;
        let has_work = |scope| streams.values().any(|stream| stream.has_work_of(scope));
        self.faults.retain(|scope, _| scope::lives(*scope) || has_work(*scope));
    }

    /// Whether nothing is held up to this point.
    fn is_let_go(&self, point: Point) -> bool {
        self.streams.get(&point.stream).is_none_or(|stream| stream.let_go >= point.position)
    }

    /// What is held and comes before these points, by way of any stream.
    fn needed(&self, points: &[Point]) -> Needed {
        let mut reached = Needed::new();
        let mut open = points.to_vec();
        let mut is_for_others = false;
        while let Some(Point { stream, position }) = open.pop() {
            let Some(this) = self.streams.get(&stream) else { continue };
            let known = reached.entry(stream).or_insert_with(|| this.begun());
            let mut waits_for_words = self.awaiting.contains(&stream);
            for task in this.tasks(*known, position) {
                open.extend(&task.after);
                waits_for_words |= task.work.waits_for_words();
            }
            *known = position.max(*known);
            // Whoever writes the word has to go, and nobody knows who that is.
            if waits_for_words && !is_for_others {
                is_for_others = true;
                open.extend(self.ends_of_all());
            }
        }
        reached.retain(|stream, position| self.streams[stream].let_go < *position);
        reached
    }

    /// The ends of all work.
    fn ends_of_all(&self) -> Vec<Point> {
        self.contexts.values().flat_map(|context| &context.busy).map(|stream| self.end_of(*stream)).collect()
    }

    fn let_go_of(&mut self, needed: &Needed) {
        for (stream, position) in needed {
            while self.streams.get(stream).is_some_and(|this| this.let_go < *position) {
                self.let_next_go(*stream);
            }
        }
        // Only now, so that what a stream waits for in another is not held.
        for stream in needed.keys() {
            self.advance(*stream);
        }
    }

    /// Lets one task go that may: of a scope, or needed. Chance decides which. False if there is none.
    fn let_one_go(&mut self, scope: ScopeId, needed: &Needed) -> bool {
        let busy = self.contexts.values().flat_map(|context| &context.busy);
        let may_go = |stream: &Serial| {
            let Some(this) = self.streams.get(stream) else { return false };
            let is_needed = || needed.get(stream).is_some_and(|position| this.let_go < *position);
            let is_meant = |task: &&Task| task.scope == scope || is_needed();
            this.next_held().filter(is_meant).is_some_and(|task| task.after.iter().all(|point| self.is_let_go(*point)))
        };
        let choices: Vec<Serial> = busy.copied().filter(may_go).collect();
        if choices.is_empty() {
            return false;
        }
        let Some(generator) = self.paces.generator(scope) else { return false };
        let stream = generator.pick(&choices);
        self.let_next_go(stream);
        self.advance(stream);
        true
    }

    /// Holds the first held task of a stream no longer.
    fn let_next_go(&mut self, stream: Serial) {
        self.last_turn += 1;
        let turn = self.last_turn;
        if let Some(this) = self.streams.get_mut(&stream) {
            this.let_next_go(turn);
        }
    }

    fn let_go_of_scope(&mut self, scope: ScopeId) {
        let mut streams = Vec::new();
        for (serial, stream) in &mut self.streams {
            if stream.let_go < stream.enqueued && stream.let_go_of_scope(scope) {
                streams.push(*serial);
            }
        }
        for stream in streams {
            self.advance(stream);
        }
    }
}

#[cfg(test)]
mod tests;

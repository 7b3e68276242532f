//! What is known to come before what: a clock for each stream, and one for the host threads of each scope.
//!
//! A stream learns what the host knows when work is enqueued, what an event knows when it waits for
//! it, and what the barriers of the legacy stream put before it. A host learns what it waits for, by
//! the calls that are documented to wait. All threads of a scope are one host: channels, locks and
//! joins between threads are invisible here, and a check that did not trust them would report
//! programs that are right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::clock::{Actor, Clock, Moment, OPEN};
use super::objects::{Role, Serial, StreamName};
use super::scope::ScopeId;

mod host;
mod prune;
mod stream;
#[cfg(test)]
mod tests;

use self::host::{Host, Message, host_of};
use self::stream::StreamClock;

/// Where what other processes may know is among the values: no memory is there.
const PEERS: u64 = 0;

/// The streams of a context.
#[derive(Debug)]
struct ContextClock {
    legacy: Actor,
    /// The primary context that it is a green one of.
    green_of: Option<Serial>,
    streams: BTreeSet<Actor>,
    /// Blocking streams with work that the legacy stream's next comes after.
    listed: Vec<Actor>,
    /// What destroyed streams knew and did: all, and the blocking ones since the legacy stream's last work.
    ended: Arc<Clock>,
    ended_and_listed: Arc<Clock>,
}

/// What a wait of a host is for.
#[derive(Debug)]
pub(super) struct Reached {
    moments: Vec<Moment>,
    ended: Vec<Arc<Clock>>,
}

impl From<Option<Moment>> for Reached {
    fn from(moment: Option<Moment>) -> Self {
        Self { moments: moment.into_iter().collect(), ended: Vec::new() }
    }
}

/// An access as the clocks see it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) count: u64,
    pub(super) number: u64,
    pub(super) stream: StreamName,
    /// What comes before it.
    pub(super) clock: Arc<Clock>,
}

/// Who knows what.
#[derive(Debug)]
pub(super) struct Order {
    streams: BTreeMap<Actor, StreamClock>,
    contexts: BTreeMap<Serial, ContextClock>,
    hosts: BTreeMap<ScopeId, Host>,
    /// By the places of the work that brings them.
    messages: BTreeMap<(Actor, u64), Message>,
    /// What was known when values were written, by their addresses.
    values: BTreeMap<u64, Arc<Clock>>,
    /// Accesses so far.
    accesses: u64,
    /// Entries that were made since the last look for superfluous ones, and those that it left.
    pub(super) growth: usize,
    kept: usize,
}

impl Order {
    pub(super) const fn new() -> Self {
        Self {
            streams: BTreeMap::new(),
            contexts: BTreeMap::new(),
            hosts: BTreeMap::new(),
            messages: BTreeMap::new(),
            values: BTreeMap::new(),
            accesses: 0,
            growth: 0,
            kept: 0,
        }
    }

    /// A new stream; the legacy one is the first of its context.
    pub(super) fn add_stream(&mut self, stream: Actor, context: Serial, role: Role) {
        let empty = Arc::new(Clock::new());
        self.streams.insert(stream, StreamClock::new(context, role, Arc::clone(&empty)));
        let (ended, ended_and_listed) = (Arc::clone(&empty), empty);
        let new = || ContextClock { legacy: stream, green_of: None, streams: BTreeSet::new(), listed: Vec::new(), ended, ended_and_listed };
        self.contexts.entry(context).or_insert_with(new).streams.insert(stream);
    }

    /// A stream's handle is gone: no work can be enqueued on it any more.
    pub(super) fn end_stream(&mut self, stream: Actor) {
        let Some(clock) = self.streams.remove(&stream) else { return };
        let Some(context) = self.contexts.get_mut(&clock.context) else { return };
        context.streams.remove(&stream);
        let moment = clock.moment(stream);
        self.growth += moment.join_into(&mut context.ended, OPEN);
        if clock.is_listed {
            context.listed.retain(|listed| *listed != stream);
            self.growth += moment.join_into(&mut context.ended_and_listed, OPEN);
        }
    }

    /// A context is gone, after its work: who ended it has no other way left to wait for that.
    pub(super) fn end_context(&mut self, context: Serial, scope: ScopeId) {
        let reached = self.reached_by_context(context);
        self.learn(scope, &reached);
        self.streams.retain(|_, stream| stream.context != context);
        self.messages.retain(|_, message| message.context != context);
        self.contexts.remove(&context);
    }

    /// A context is a green one of a primary context: who waits for that waits for it too.
    pub(super) fn becomes_green(&mut self, context: Serial, primary: Serial) {
        if let Some(context) = self.contexts.get_mut(&context) {
            context.green_of = Some(primary);
        }
    }

    /// A green context is gone. What its streams did a wait for the primary context is for; nobody has waited yet.
    pub(super) fn end_green_context(&mut self, green: Serial) {
        let streams = self.contexts.get(&green).map(|context| context.streams.clone());
        streams.into_iter().flatten().for_each(|stream| self.end_stream(stream));
        let Some(ContextClock { green_of: Some(primary), ended, .. }) = self.contexts.remove(&green) else { return };
        if let Some(primary) = self.contexts.get_mut(&primary) {
            Arc::make_mut(&mut primary.ended).join(&ended);
            self.growth += primary.ended.len();
        }
    }

    /// A scope has faulted: none of its work goes on, and its threads can wait for nothing any more.
    pub(super) fn fault(&mut self, scope: ScopeId) {
        if !self.hosts.contains_key(&scope) {
            // It has ended: it has no threads.
            return;
        }
        let streams = self.streams.iter().filter(|(_, stream)| stream.met.0 == scope);
        let moments = streams.map(|(stream, clock)| clock.moment(*stream)).collect();
        let ended = self.contexts.values().map(|context| Arc::clone(&context.ended)).collect();
        self.learn(scope, &Reached { moments, ended });
    }

    /// New work of a stream, enqueued by a thread of `scope`, comes after what the scope knows and
    /// what the legacy stream's rules put before it. Asked again it changes nothing.
    pub(super) fn arrive(&mut self, stream: Actor, scope: ScopeId) {
        let (scope, host) = host_of(&mut self.hosts, scope);
        let Some(this) = self.streams.get_mut(&stream) else { return };
        if this.met != (scope, host.version) {
            this.met = (scope, host.version);
            // What it was open for is over by now.
            if this.open_since.is_some_and(|since| host.known.count_of(stream) >= since) {
                this.open_since = None;
                Arc::make_mut(&mut this.others).horizon = 0;
            }
            self.growth += this.learn_clock(&host.known);
        }
        match this.role {
            Role::Created { non_blocking: true } | Role::Branch { .. } => {}
            Role::Legacy => self.join_blocking(stream),
            Role::PerThread | Role::Created { non_blocking: false } => self.join_legacy(stream),
        }
    }

    fn join_blocking(&mut self, legacy: Actor) {
        let Some(context) = self.streams.get(&legacy).map(|this| this.context) else { return };
        let Some(context) = self.contexts.get_mut(&context) else { return };
        let listed = std::mem::take(&mut context.listed);
        let ended = std::mem::take(&mut context.ended_and_listed);
        for stream in listed {
            let Some(other) = self.streams.get_mut(&stream) else { continue };
            other.is_listed = false;
            let moment = other.moment(stream);
            self.wait(legacy, &moment);
        }
        if let Some(this) = self.streams.get_mut(&legacy) {
            self.growth += this.learn_ended(&ended);
        }
    }

    fn join_legacy(&mut self, stream: Actor) {
        let Some(this) = self.streams.get_mut(&stream) else { return };
        let Some(context) = self.contexts.get_mut(&this.context) else { return };
        if !this.is_listed {
            this.is_listed = true;
            context.listed.push(stream);
        }
        let legacy = context.legacy;
        let others = Arc::clone(&this.others);
        let Some(other) = self.streams.get(&legacy) else { return };
        if other.count > others.count_of(legacy) {
            let moment = other.moment(legacy);
            self.wait(stream, &moment);
        }
    }

    /// Lets a stream come after a moment of another, whether that has passed or not.
    pub(super) fn wait(&mut self, stream: Actor, moment: &Moment) {
        if let Some(this) = self.streams.get_mut(&stream) {
            self.growth += this.learn(moment, stream);
        }
    }

    /// Lets a stream come after all that a wait of a host would be for.
    pub(super) fn wait_for_all(&mut self, stream: Actor, reached: &Reached) {
        reached.moments.iter().for_each(|moment| self.wait(stream, moment));
        let Some(this) = self.streams.get_mut(&stream) else { return };
        self.growth += reached.ended.iter().map(|ended| this.learn_ended(ended)).sum::<usize>();
    }

    /// A stream as reports name it.
    pub(super) fn name(&self, stream: Actor) -> Option<StreamName> {
        Some(self.streams.get(&stream)?.name(stream))
    }

    /// The end of a stream's work so far, as an event records it.
    pub(super) fn moment(&self, stream: Actor) -> Option<Moment> {
        Some(self.streams.get(&stream)?.moment(stream))
    }

    /// An access by work of a stream that has arrived.
    pub(super) fn step(&mut self, stream: Actor) -> Option<Step> {
        let this = self.streams.get_mut(&stream)?;
        this.count += 1;
        self.accesses += 1;
        Some(Step { count: this.count, number: self.accesses, stream: this.name(stream), clock: Arc::clone(&this.others) })
    }

    /// Work of a stream waits for somebody who cannot be seen: it, and what follows it, may come after
    /// anything. Until a host has waited for it: then that has been enqueued.
    pub(super) fn open(&mut self, stream: Actor) {
        if let Some(this) = self.streams.get_mut(&stream) {
            Arc::make_mut(&mut this.others).horizon = OPEN;
            this.count += 1;
            this.open_since = Some(this.count);
            self.growth += this.others.len();
        }
    }

    /// A stream writes a value that others may wait for.
    pub(super) fn release(&mut self, stream: Actor, address: u64) {
        let Some(moment) = self.moment(stream) else { return };
        let value = self.values.entry(address).or_default();
        self.growth += moment.join_into(value, OPEN);
    }

    /// A stream waits for the value at an address.
    pub(super) fn acquire(&mut self, stream: Actor, address: u64) {
        if let (Some(this), Some(value)) = (self.streams.get_mut(&stream), self.values.get(&address)) {
            self.growth += this.learn_clock(value);
        }
        self.open(stream);
    }

    /// Other processes may wait for this.
    pub(super) fn tell_peers(&mut self, moment: &Moment) {
        self.growth += moment.join_into(self.values.entry(PEERS).or_default(), OPEN);
    }

    /// A stream waits for another process: for what that was told of, and for anything else.
    pub(super) fn wait_for_peers(&mut self, stream: Actor) {
        self.acquire(stream, PEERS);
    }

    /// What a wait of a host for another process is for.
    pub(super) fn reached_by_peers(&self) -> Reached {
        Reached { moments: Vec::new(), ended: self.values.get(&PEERS).into_iter().cloned().collect() }
    }

    /// The memory at these addresses is gone.
    pub(super) fn forget_values(&mut self, start: u64, bytes: u64) {
        self.values.retain(|address, _| !(start..start + bytes).contains(address));
    }

    /// What a wait for a stream is for: its work so far, and for the legacy stream that of the blocking ones.
    pub(super) fn reached_by_stream(&self, stream: Actor) -> Reached {
        let mut reached = Reached::from(self.moment(stream));
        let context = self.streams.get(&stream).and_then(|this| self.contexts.get(&this.context));
        if let Some(context) = context.filter(|context| context.legacy == stream) {
            reached.moments.extend(context.listed.iter().filter_map(|listed| self.moment(*listed)));
            reached.ended.push(Arc::clone(&context.ended_and_listed));
        }
        reached
    }

    /// What a wait for a context is for: for a primary one its green contexts are a part of it.
    pub(super) fn reached_by_context(&self, context: Serial) -> Reached {
        let parts = || self.contexts.iter().filter(|(id, this)| **id == context || this.green_of == Some(context)).map(|(_, this)| this);
        let moments = parts().flat_map(|part| &part.streams).filter_map(|stream| self.moment(*stream)).collect();
        Reached { moments, ended: parts().map(|part| Arc::clone(&part.ended)).collect() }
    }
}

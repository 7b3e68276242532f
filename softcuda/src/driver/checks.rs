//! Unordered accesses: what enqueued work, frees and host threads touch is checked against what was enqueued before.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::clock::Clock;
use super::history::{Access, OfAllocation, Touch};
use super::objects::{Point, Serial};
use super::order::Reached;
use super::ptx::Entry;
use super::races::{Deed, Place};
use super::raw::Topic;
use super::scope;
use super::state::State;
use super::{calls, memory, races, report};

/// `bytes` at an offset.
fn range(start: u64, bytes: usize) -> Range<u64> {
    start..start + bytes as u64
}

/// What a call that frees memory can be relied on to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// All work of the memory's context.
    ForAll,
    Not,
}

impl State {
    /// Work that is about to be enqueued on a stream touches memory in a live allocation.
    pub(super) fn touches(&mut self, stream: Serial, address: u64, bytes: usize, touch: Touch, kernel: Option<&Arc<Entry>>) {
        let Some((base, _)) = self.memory.bounds(address) else { return };
        let range = range(address - base, bytes);
        let Some((access, clock)) = self.access(stream, range, touch, kernel) else { return };
        let history = &mut self.histories.allocations.entry(base).or_default().history;
        for first in history.conflicts(&access.range, touch, Some(stream), &clock) {
            races::between_streams(&first, &access, Place::Allocation(base));
        }
        self.order.growth += history.add(&access, &clock);
    }

    /// The same for pageable memory of the host.
    pub(super) fn touches_pageable(&mut self, stream: Serial, address: u64, bytes: usize, touch: Touch) {
        let Some((access, clock)) = self.access(stream, range(address, bytes), touch, None) else { return };
        let known = self.order.known_to(scope::current());
        let history = self.histories.pageable.entry(scope::current()).or_default();
        // The addresses may be other memory's by now.
        history.forget(&known);
        for first in history.conflicts(&access.range, touch, Some(stream), &clock) {
            races::between_streams(&first, &access, Place::Pageable);
        }
        self.order.growth += history.add(&access, &clock);
    }

    /// An access by work of a stream, and what comes before it.
    fn access(
        &mut self,
        stream: Serial,
        range: Range<u64>,
        touch: Touch,
        kernel: Option<&Arc<Entry>>,
    ) -> Option<(Arc<Access>, Arc<Clock>)> {
        self.order.arrive(stream, scope::current());
        let step = self.order.step(stream)?;
        let access = Access {
            stream: step.stream,
            context: self.owner(step.stream.context),
            count: step.count,
            number: step.number,
            waits: step.clock.is_open(),
            touch,
            call: calls::current().unwrap_or_default(),
            kernel: kernel.map(Arc::clone),
            range,
        };
        Some((Arc::new(access), step.clock))
    }

    /// A thread of the host touches memory now, in a call or told by `softcuda::host_reads` and the like.
    pub(super) fn host_touches(&mut self, address: u64, bytes: usize, touch: Touch) {
        if bytes == 0 {
            return;
        }
        let deed = Deed(touch, "");
        if memory::is_device_address(address) {
            report::add(Topic::Memory, format_args!("the {deed} by the host is of memory of a device, at {address:#x}"));
            return;
        }
        let known = self.order.known_to(scope::current());
        if let Some((base, _)) = self.memory.bounds(address) {
            let range = range(address - base, bytes);
            if let Some(OfAllocation { history, .. }) = self.histories.allocations.get(&base) {
                for first in history.conflicts(&range, touch, None, &known) {
                    races::with_the_host(&first, deed, Place::Allocation(base), &range);
                }
            }
        } else if let Some(history) = self.histories.pageable.get_mut(&scope::current()) {
            history.forget(&known);
            let range = range(address, bytes);
            for first in history.conflicts(&range, touch, None, &known) {
                races::with_the_host(&first, deed, Place::Pageable, &range);
            }
        }
    }

    /// Memory was allocated in the order of a stream.
    pub(super) fn allocates(&mut self, stream: Serial, base: u64, bytes: usize) {
        self.touches(stream, base, bytes, Touch::Write, None);
        self.histories.allocations.entry(base).or_default().is_ordered = true;
    }

    /// The allocation at `base` is freed in the order of a stream.
    pub(super) fn frees(&mut self, stream: Serial, base: u64) {
        let Some((_, bytes)) = self.memory.bounds(base) else { return };
        self.touches(stream, base, bytes, Touch::Write, None);
        let by = self.order.name(stream);
        self.freed.add(range(base, bytes), calls::current().unwrap_or_default(), by);
        self.forgets(base, bytes);
    }

    /// The allocation at `base` is freed by a call. One that waits for all work of the context is no documented order, but
    /// no race either; with work of other contexts it is one.
    pub(super) fn host_frees(&mut self, base: u64, waits: Waits) {
        let Some((_, allocation)) = self.memory.around(base) else { return };
        let (context, bytes) = (allocation.context, allocation.bytes());
        let call = calls::current().unwrap_or_default();
        let known = self.order.known_to(scope::current());
        let range = range(base, bytes);
        if let Some(OfAllocation { history, .. }) = self.histories.allocations.get(&base) {
            let whole = 0..bytes as u64;
            let is_waited_for = |first: &Access| waits == Waits::ForAll && first.context == context;
            for first in history.conflicts(&whole, Touch::Write, None, &known).iter().filter(|first| !is_waited_for(first)) {
                races::with_the_host(first, Deed(Touch::Write, call), Place::Allocation(base), &whole);
            }
        }
        self.freed.add(range, call, None);
        self.forgets(base, bytes);
    }

    fn forgets(&mut self, base: u64, bytes: usize) {
        self.histories.allocations.remove(&base);
        self.order.forget_values(base, bytes as u64);
    }

    /// Memory of a context that has gone is forgotten with it.
    pub(super) fn forget_histories(&mut self) {
        let memory = &self.memory;
        self.histories.allocations.retain(|base, _| memory.bounds(*base).is_some());
    }

    /// Work that is about to be enqueued on a stream waits for memory that others write.
    pub(super) fn waits_unseen(&mut self, stream: Serial) {
        self.order.arrive(stream, scope::current());
        self.order.open(stream);
    }

    /// Work that is about to be enqueued on a stream waits for the value at an address.
    pub(super) fn waits_for_value(&mut self, stream: Serial, address: u64, bytes: usize) {
        self.order.arrive(stream, scope::current());
        self.order.acquire(stream, address);
        self.touches(stream, address, bytes, Touch::Atomic, None);
    }

    /// Work that is about to be enqueued on a stream writes a value, after all work before it. Where
    /// the host sees the value, `tells` is to follow.
    pub(super) fn writes_value(&mut self, stream: Serial, address: u64, bytes: usize) {
        self.touches(stream, address, bytes, Touch::Atomic, None);
        self.order.release(stream, address);
    }

    /// The work at `point` may let the threads of the calling thread's scope know of what comes before
    /// it: a host function, or a value that they look at.
    pub(super) fn tells(&mut self, point: Point) {
        self.order.tell(point, scope::current());
        if self.is_passed(point) {
            self.order.told(point);
        }
    }

    /// The calling thread has found the record of an event done.
    pub(super) fn learns_event(&mut self, event: Serial) {
        if let Some(moment) = self.events.get(&event).and_then(|event| event.moment.as_ref()) {
            self.order.learn_moment(scope::current(), moment);
        }
    }

    /// The calling thread has waited for this, as documented.
    pub(super) fn learns(&mut self, reached: &Reached) {
        self.order.learn(scope::current(), reached);
    }

    /// Forgets what no question will be about, when enough has been added.
    pub(super) fn prune_order(&mut self) {
        if !self.order.is_due() {
            return;
        }
        let floor = self.order.floor();
        let (mut named, mut kept) = (BTreeSet::new(), 0);
        for history in self.histories.all_mut() {
            history.forget(&floor);
            named.extend(history.actors());
            kept += history.len();
        }
        self.histories.allocations.retain(|_, of| of.is_ordered || !of.history.is_empty());
        self.histories.pageable.retain(|_, history| !history.is_empty());
        let events = self.events.values_mut().filter_map(|event| event.moment.as_mut());
        let needed = self.graphs.objects.values_mut().map(|object| &mut object.needed);
        self.order.prune(&floor, &named, events, needed, kept);
    }
}

#[cfg(test)]
mod tests;

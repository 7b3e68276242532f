//! The driver's state behind its one lock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::PoisonError;

use super::captures::Captures;
use super::codes::{self, Code, Outcome};
use super::device;
use super::freed::Freed;
use super::graphs::Graphs;
use super::handle::{Handle, Kind};
use super::history::Histories;
use super::memory::{Allocation, Home, Memory, Origin};
use super::objects::{Activity, Context, Event, KernelFunction, Module, Point, Primary, Role, Serial, Stream};
use super::order::Order;
use super::orphans::Orphans;
use super::pace::Paces;
use super::scope::{self, ScopeId};
use super::sync::{Mutex, MutexGuard, global};

/// All of it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) primaries: [Primary; device::COUNT],
    pub(super) contexts: BTreeMap<Serial, Context>,
    /// The devices of created contexts by handle, also of contexts that are gone.
    created: BTreeMap<Handle, usize>,
    /// What every call of a scope answers after a fault of its work. A scope is to a fault what a process is on hardware:
    /// none of its contexts recovers, on no device.
    pub(super) faults: BTreeMap<ScopeId, Code>,
    pub(super) streams: BTreeMap<Serial, Stream>,
    pub(super) events: BTreeMap<Serial, Event>,
    pub(super) modules: BTreeMap<Serial, Module>,
    pub(super) functions: BTreeMap<Serial, KernelFunction>,
    pub(super) memory: Memory,
    /// Streams whose first task a thread may take.
    pub(super) ready: VecDeque<Serial>,
    /// Streams for which a thread does, or is about to do, what may wait for a word that others write.
    pub(super) awaiting: BTreeSet<Serial>,
    /// Threads at work, and those of them that have not begun.
    pub(super) workers: usize,
    pub(super) starting: usize,
    /// The system has refused the last thread that was asked for.
    pub(super) threads_refused: bool,
    pub(super) orphans: Orphans,
    pub(super) paces: Paces,
    /// The last turn that was given to host functions, or to held work that was let go.
    pub(super) last_turn: u64,
    pub(super) freed: Freed,
    pub(super) order: Order,
    pub(super) histories: Histories,
    pub(super) captures: Captures,
    pub(super) graphs: Graphs,
    last_serial: Serial,
    pub(super) last_context: Serial,
}

global! {
    static STATE: Mutex<State> = Mutex::new(State::new());
}

/// The state, locked.
pub(super) type Locked = MutexGuard<'static, State>;

/// Locks the state. A panic elsewhere does not make it unusable: it was answered as an error there.
pub(super) fn lock() -> Locked {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) const fn new() -> Self {
        Self {
            primaries: [Primary { context: None, retained: 0, flags: 0 }; device::COUNT],
            contexts: BTreeMap::new(),
            created: BTreeMap::new(),
            faults: BTreeMap::new(),
            streams: BTreeMap::new(),
            events: BTreeMap::new(),
            modules: BTreeMap::new(),
            functions: BTreeMap::new(),
            memory: Memory::new(),
            ready: VecDeque::new(),
            awaiting: BTreeSet::new(),
            workers: 0,
            starting: 0,
            threads_refused: false,
            orphans: Orphans::new(),
            paces: Paces::new(),
            last_turn: 0,
            freed: Freed::new(),
            order: Order::new(),
            histories: Histories::new(),
            captures: Captures::new(),
            graphs: Graphs::new(),
            last_serial: 0,
            last_context: 0,
        }
    }

    /// A new serial number.
    pub(super) fn serial(&mut self) -> Serial {
        self.last_serial += 1;
        self.last_serial
    }

    /// The live context `handle`.
    pub(super) fn context_at(&self, handle: Handle) -> Option<Serial> {
        self.contexts.iter().find(|(_, context)| context.handle == handle && context.is_named && !context.ends).map(|(id, _)| *id)
    }

    /// Whether a context that was found earlier, under the lock, still lives and works.
    pub(super) fn check_again(&self, context: Serial) -> Outcome {
        if self.contexts.contains_key(&context) { self.check() } else { Err(codes::CONTEXT_IS_DESTROYED) }
    }

    /// The code of a fault in the calling thread's scope.
    pub(super) fn check(&self) -> Outcome {
        self.check_scope(scope::current())
    }

    /// The code of a fault in a scope.
    pub(super) fn check_scope(&self, scope: ScopeId) -> Outcome {
        self.faults.get(&scope).copied().map_or(Ok(()), Err)
    }

    /// The device of a context that is or was there.
    pub(super) fn device_at(&self, handle: Handle) -> Option<usize> {
        let primary = (0..device::COUNT).find(|device| primary_handle(*device) == handle);
        primary.or_else(|| self.created.get(&handle).copied())
    }

    /// The device of a context.
    pub(super) fn device_of(&self, context: Serial) -> Option<usize> {
        self.contexts.get(&context).map(|context| context.device)
    }

    /// The context whose memory and events a context uses: its own, or for a green one the primary context's.
    pub(super) fn owner(&self, context: Serial) -> Serial {
        self.contexts.get(&context).and_then(|this| this.green_of).unwrap_or(context)
    }

    /// Whether work of a context reaches an allocation.
    pub(super) fn is_reachable(&self, context: Serial, allocation: &Allocation) -> bool {
        let Home::Device(device) = allocation.home else { return true };
        let Some(context) = self.contexts.get(&self.owner(context)) else { return false };
        match allocation.origin {
            Origin::Pool(pool) => self.memory.pools.is_reached_by(pool, context.device),
            _ => context.device == device || context.peers[device],
        }
    }

    /// Whether the work up to `point` is done. Streams that are gone had no work left.
    pub(super) fn is_passed(&self, point: Point) -> bool {
        self.streams.get(&point.stream).is_none_or(|stream| stream.done >= point.position)
    }

    /// Where a stream's work ends at the moment.
    pub(super) fn end_of(&self, stream: Serial) -> Point {
        Point { stream, position: self.streams.get(&stream).map_or(0, |stream| stream.enqueued) }
    }

    /// The ends of what a query or a wait for a stream asks for: its own work, and for the legacy
    /// stream that of the blocking streams of its context.
    pub(super) fn ends_with(&self, stream: Serial) -> Vec<Point> {
        let mut ends = self.blocking_ends(stream);
        ends.push(self.end_of(stream));
        ends
    }

    /// For the legacy stream the ends of the blocking streams of its context that work.
    pub(super) fn blocking_ends(&self, stream: Serial) -> Vec<Point> {
        let Some(legacy) = self.streams.get(&stream).filter(|this| this.role == Role::Legacy) else {
            return Vec::new();
        };
        let others = self.busy_streams(legacy.context).filter(|other| *other != stream);
        others.filter(|other| self.streams[other].is_blocking()).map(|other| self.end_of(other)).collect()
    }

    /// The ends of all work of a context: for a primary one its green contexts are a part of it.
    pub(super) fn ends_of(&self, context: Serial) -> Vec<Point> {
        let parts = self.contexts.iter().filter(|(id, this)| **id == context || this.green_of == Some(context));
        parts.flat_map(|(_, part)| &part.busy).map(|stream| self.end_of(*stream)).collect()
    }

    fn busy_streams(&self, context: Serial) -> impl Iterator<Item = Serial> {
        self.contexts.get(&context).into_iter().flat_map(|context| context.busy.iter().copied())
    }

    pub(super) fn add_stream(&mut self, context: Serial, role: Role, priority: i32) -> Serial {
        let serial = self.serial();
        self.streams.insert(serial, Stream::new(context, role, priority));
        self.order.add_stream(serial, context, role);
        serial
    }

    /// Takes away the handle of a stream that is in no capture. Queued work is still done.
    pub(super) fn retire_stream(&mut self, serial: Serial) {
        let Some(stream) = self.streams.get_mut(&serial) else { return };
        stream.destroyed = true;
        self.order.end_stream(serial);
        if stream.is_idle() && stream.activity == Activity::Free {
            self.streams.remove(&serial);
        }
    }

    /// A handle for a created context. They recur, as addresses of contexts do on a real driver.
    pub(super) fn free_context_handle(&self) -> Handle {
        let taken = |slot| self.context_at(Handle::new(Kind::Context, slot)).is_some();
        let mut slot = FIRST_CREATED_SLOT;
        while taken(slot) {
            slot += 1;
        }
        Handle::new(Kind::Context, slot)
    }

    pub(super) fn add_context(&mut self, handle: Handle, device: usize, flags: u32) -> Serial {
        self.last_context += 1;
        let id = self.last_context;
        let legacy = self.add_stream(id, Role::Legacy, 0);
        self.created.insert(handle, device);
        self.contexts.insert(
            id,
            Context {
                handle,
                is_named: true,
                scope: scope::current(),
                ends: false,
                device,
                flags,
                green_of: None,
                legacy,
                per_thread: BTreeMap::new(),
                busy: BTreeSet::new(),
                peers: [false; device::COUNT],
                limits: BTreeMap::new(),
                in_host_function: false,
                host_function_turns: BTreeMap::new(),
            },
        );
        id
    }

    /// Takes a context away with all it owns. Its work must be done.
    pub(super) fn remove_context(&mut self, context: Serial) {
        self.abandon_captures_in(context);
        let orphans = &mut self.orphans;
        let handle = self.contexts.get(&context).map_or(Handle::NULL, |context| context.handle);
        self.streams.retain(|serial, stream| {
            let stays = stream.context != context;
            if !stays && !stream.destroyed {
                orphans.add(Handle::new(Kind::Stream, *serial), handle);
            }
            stays
        });
        self.events.retain(|serial, event| {
            let stays = event.context != context;
            if !stays {
                orphans.add(Handle::new(Kind::Event, *serial), handle);
            }
            stays
        });
        self.modules.retain(|_, module| module.context != context);
        self.functions.retain(|_, function| function.context != context);
        self.memory.remove_context(context);
        self.forget_histories();
        self.order.end_context(context, scope::current());
        self.contexts.remove(&context);
        self.ends_launches();
    }
}

/// Lower ones are the primary contexts'.
const FIRST_CREATED_SLOT: u64 = 16;

/// The handle of a device's primary context: the same each time.
pub(super) fn primary_handle(device: usize) -> Handle {
    Handle::new(Kind::Context, device as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::super::buffer::Buffer;
    use super::*;

    #[test]
    fn memory_of_another_device_needs_peer_access() {
        let mut state = State::new();
        let context = state.add_context(primary_handle(0), 0, 0);
        let pool = state.memory.pools.create(1, None);
        let [zero, one] = [0, 1].map(|device| state.memory.add(context, device, Buffer::of_device(1).unwrap()));
        let host = state.memory.add_host(context, Origin::Pinned(0), Buffer::of_host(1).unwrap()).addr() as u64;
        let pooled = state.memory.add_to_pool(context, 1, pool, Buffer::of_device(1).unwrap());
        let reaches =
            |state: &State| [zero, one, host, pooled].map(|address| state.is_reachable(context, state.memory.around(address).unwrap().1));
        assert_eq!(reaches(&state), [true, false, true, false]);
        state.contexts.get_mut(&context).unwrap().peers[1] = true;
        assert_eq!(reaches(&state), [true, true, true, false], "a pool says itself who reaches it");
        state.memory.pools.get_mut(pool).unwrap().reached_by[0] = true;
        assert_eq!(reaches(&state), [true; 4]);
    }
}

//! The driver's state behind its one lock, and how a caller's handle becomes an object.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::codes::{self, Code, Outcome};
use super::device;
use super::handle::{Handle, Kind};
use super::memory::Memory;
use super::objects::{Context, Event, KernelFunction, Module, Point, Primary, Role, Serial, Stream};
use super::{report, thread};

/// All of it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) primaries: [Primary; device::COUNT],
    pub(super) contexts: BTreeMap<Serial, Context>,
    pub(super) streams: BTreeMap<Serial, Stream>,
    pub(super) events: BTreeMap<Serial, Event>,
    pub(super) modules: BTreeMap<Serial, Module>,
    pub(super) functions: BTreeMap<Serial, KernelFunction>,
    pub(super) memory: Memory,
    /// Streams whose first task a thread may take.
    pub(super) ready: VecDeque<Serial>,
    /// Threads at work, those of them that have not begun, and callers that wait.
    pub(super) workers: usize,
    pub(super) starting: usize,
    pub(super) waiting: usize,
    /// Streams and events that went with their context, and its handle.
    orphans: BTreeMap<Handle, Handle>,
    last_serial: Serial,
    last_context: Serial,
}

static STATE: Mutex<State> = Mutex::new(State::new());

/// The state, locked.
pub(super) type Locked = MutexGuard<'static, State>;

/// Locks the state. A panic elsewhere does not make it unusable: it was answered as an error there.
pub(super) fn lock() -> Locked {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) const fn new() -> Self {
        Self {
            primaries: [Primary { context: None, retained: 0, flags: 0, fault: None }; device::COUNT],
            contexts: BTreeMap::new(),
            streams: BTreeMap::new(),
            events: BTreeMap::new(),
            modules: BTreeMap::new(),
            functions: BTreeMap::new(),
            memory: Memory::new(),
            ready: VecDeque::new(),
            workers: 0,
            starting: 0,
            waiting: 0,
            orphans: BTreeMap::new(),
            last_serial: 0,
            last_context: 0,
        }
    }

    /// A new serial number.
    pub(super) fn serial(&mut self) -> Serial {
        self.last_serial += 1;
        self.last_serial
    }

    /// The live context `handle`, faulted or not.
    pub(super) fn context_at(&self, handle: Handle) -> Option<Serial> {
        self.contexts.iter().find(|(_, context)| context.handle == handle && !context.ends).map(|(id, _)| *id)
    }

    /// The context of `handle`, which may be null for the current one.
    pub(super) fn context_or_current(&self, handle: Handle) -> Outcome<Serial> {
        if handle == Handle::NULL { self.current_even_faulted() } else { self.named_context(handle) }
    }

    /// The context of a caller's handle.
    pub(super) fn named_context(&self, handle: Handle) -> Outcome<Serial> {
        self.context_at(handle).ok_or_else(|| {
            if handle.kind() == Some(Kind::Context) {
                report::add(format_args!("context {handle:?} was destroyed"));
                codes::CONTEXT_IS_DESTROYED
            } else {
                report::add(format_args!("{handle:?} is not the handle of any context"));
                codes::INVALID_CONTEXT
            }
        })
    }

    /// The calling thread's current context, if it works.
    pub(super) fn current(&self) -> Outcome<Serial> {
        let context = self.current_even_faulted()?;
        self.check(context)?;
        Ok(context)
    }

    /// The calling thread's current context, also after a fault.
    pub(super) fn current_even_faulted(&self) -> Outcome<Serial> {
        match thread::current() {
            Handle::NULL => Err(codes::INVALID_CONTEXT),
            handle => self.context_at(handle).ok_or(codes::CONTEXT_IS_DESTROYED),
        }
    }

    /// The code of a context that has faulted.
    pub(super) fn check(&self, context: Serial) -> Outcome {
        self.contexts.get(&context).and_then(|context| context.fault).map_or(Ok(()), Err)
    }

    /// The stream of a caller's handle; 0, 1 and 2 are those of the current context.
    pub(super) fn stream(&mut self, handle: Handle) -> Outcome<Serial> {
        match handle {
            Handle::NULL | Handle::LEGACY_STREAM => {
                let context = self.current()?;
                Ok(self.contexts[&context].legacy)
            }
            Handle::PER_THREAD_STREAM => self.per_thread_stream(),
            _ => self.created_stream(handle),
        }
    }

    /// The created stream of a caller's handle.
    pub(super) fn created_stream(&self, handle: Handle) -> Outcome<Serial> {
        let found = handle.serial(Kind::Stream).and_then(|serial| Some((serial, self.streams.get(&serial)?)));
        match found {
            Some((serial, stream)) if !stream.destroyed => self.check(stream.context).map(|()| serial),
            _ => Err(self.refuse(handle, Kind::Stream)),
        }
    }

    fn per_thread_stream(&mut self) -> Outcome<Serial> {
        let context = self.current()?;
        let number = thread::number();
        if let Some(stream) = self.contexts[&context].per_thread.get(&number) {
            return Ok(*stream);
        }
        let stream = self.add_stream(context, Role::PerThread, 0);
        if let Some(context) = self.contexts.get_mut(&context) {
            context.per_thread.insert(number, stream);
        }
        Ok(stream)
    }

    /// The event of a caller's handle.
    pub(super) fn event(&self, handle: Handle) -> Outcome<(Serial, &Event)> {
        let found = handle.serial(Kind::Event).and_then(|serial| Some((serial, self.events.get(&serial)?)));
        let (serial, event) = found.ok_or_else(|| self.refuse(handle, Kind::Event))?;
        self.check(event.context)?;
        Ok((serial, event))
    }

    /// Reports the use of a handle that is not live; a real driver may crash here.
    #[cold]
    pub(super) fn refuse(&self, handle: Handle, kind: Kind) -> Code {
        if let Some(context) = self.orphans.get(&handle).filter(|_| handle.kind() == Some(kind)) {
            report::add(format_args!("{kind} {handle:?} was destroyed with its context"));
            // Where another context has the handle by now, a real driver takes an event for one of
            // nowhere, and crashes on a stream.
            let recurred = kind == Kind::Event && self.context_at(*context).is_some();
            return if recurred { codes::INVALID_CONTEXT } else { codes::CONTEXT_IS_DESTROYED };
        }
        match handle.kind() {
            Some(same) if same == kind => report::add(format_args!("{kind} {handle:?} was destroyed")),
            Some(other) => report::add(format_args!("{handle:?} is of kind {other}, not {kind}")),
            None => report::add(format_args!("{handle:?} is not the handle of any {kind}")),
        }
        codes::INVALID_HANDLE
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
        let others = self.streams.iter().filter(|(_, other)| other.context == legacy.context && other.is_blocking() && !other.is_idle());
        others.filter(|(serial, _)| **serial != stream).map(|(serial, _)| self.end_of(*serial)).collect()
    }

    /// The ends of all work of a context.
    pub(super) fn ends_of(&self, context: Serial) -> Vec<Point> {
        let streams = self.streams.iter().filter(|(_, stream)| stream.context == context && !stream.is_idle());
        streams.map(|(serial, stream)| Point { stream: *serial, position: stream.enqueued }).collect()
    }

    pub(super) fn add_stream(&mut self, context: Serial, role: Role, priority: i32) -> Serial {
        let serial = self.serial();
        self.streams.insert(serial, Stream::new(context, role, priority));
        serial
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
        self.contexts.insert(
            id,
            Context {
                handle,
                ends: false,
                device,
                flags,
                legacy,
                per_thread: BTreeMap::new(),
                peers: [false; device::COUNT],
                fault: None,
                in_host_function: false,
                host_function_turns: VecDeque::new(),
            },
        );
        id
    }

    /// Takes a context away with all it owns. Its work must be done.
    pub(super) fn remove_context(&mut self, context: Serial) {
        let orphans = &mut self.orphans;
        let handle = self.contexts.get(&context).map_or(Handle::NULL, |context| context.handle);
        self.streams.retain(|serial, stream| {
            let stays = stream.context != context;
            if !stays && !stream.destroyed {
                orphans.insert(Handle::new(Kind::Stream, *serial), handle);
            }
            stays
        });
        self.events.retain(|serial, event| {
            let stays = event.context != context;
            if !stays {
                orphans.insert(Handle::new(Kind::Event, *serial), handle);
            }
            stays
        });
        self.modules.retain(|_, module| module.context != context);
        self.functions.retain(|_, function| function.context != context);
        self.memory.remove_context(context);
        self.contexts.remove(&context);
    }
}

/// Lower ones are the primary contexts'.
const FIRST_CREATED_SLOT: u64 = 16;

/// The handle of a device's primary context: the same each time.
pub(super) fn primary_handle(device: usize) -> Handle {
    Handle::new(Kind::Context, device as u64 + 1)
}

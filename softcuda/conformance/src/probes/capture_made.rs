//! What calls are made on while a stream captures.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::atomic::AtomicU32;

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, Memory};
use crate::graphs::{Executable, Graph};
use crate::handles::{Event, INTERPROCESS, Stream};
use crate::outcome::Outcome;

/// What the calls are made on.
pub(super) struct Made<'f> {
    pub(super) f: &'f Fixture,
    pub(super) d: &'static Driver,
    /// It captures.
    pub(super) origin: Handle,
    pub(super) idle: Handle,
    pub(super) complete: Handle,
    pub(super) later: Handle,
    pub(super) never: Handle,
    /// Recorded in the capture.
    pub(super) captured: Handle,
    pub(super) shared: Handle,
    pub(super) memory: u64,
    pub(super) word: &'static AtomicU32,
    pub(super) graph: Handle,
    pub(super) executable: Handle,
    /// For calls that end something.
    pub(super) spare: RefCell<Spare<'f>>,
}

/// What a call may destroy; the rest is destroyed at the end of the probe.
pub(super) struct Spare<'f> {
    pub(super) event: Option<Event<'f>>,
    pub(super) captured: Option<Event<'f>>,
    pub(super) stream: Option<Stream<'f>>,
    pub(super) memory: Option<Memory<'f>>,
    pub(super) pool_memory: u64,
    pub(super) pinned: *mut c_void,
    pub(super) graph: Option<Graph<'f>>,
    pub(super) executable: Option<Executable<'f>>,
    /// What gives back what calls have made.
    last: Vec<Last>,
}

type Last = Box<dyn FnOnce(&Driver) -> Code>;

impl<'f> Made<'f> {
    /// Makes a call on a thing that is given to it.
    pub(super) fn take<T>(&self, which: impl FnOnce(&mut Spare<'f>) -> Option<T>, call: impl FnOnce(&Self, T) -> Code) -> Code {
        let thing = which(&mut self.spare.borrow_mut()).expect("one call takes it");
        call(self, thing)
    }

    /// Makes a call when the capture has ended, which it might invalidate.
    pub(super) fn afterwards(&self, last: impl FnOnce(&Driver) -> Code + 'static) {
        self.spare.borrow_mut().last.push(Box::new(last));
    }
}

/// What `call` answers while a stream captures in this mode, and what the capture is afterwards.
pub(super) fn with(f: &Fixture, capture: u32, call: impl FnOnce(&Made<'_>) -> Code) -> Outcome {
    let (origin, idle, spare_stream) = (f.stream(), f.stream(), f.stream());
    let (complete, later, spare_event) = (f.complete(0), f.complete(0), f.complete(0));
    let (never, captured, spare_captured, shared) = (f.event(0), f.event(0), f.event(0), f.event(INTERPROCESS));
    let (memory, spare_memory, word) = (f.memory(2, 0), f.memory(1, 0), &f.pinned(1)[0]);
    let (mut pool_memory, mut pinned) = (0, std::ptr::null_mut());
    f.driver.cuMemAllocAsync(Some(&mut pool_memory), 4, *idle);
    f.driver.cuMemHostAlloc(Some(&mut pinned), 4, 0);
    let (graph, spare_graph) = (f.captured(|_| ()), f.captured(|_| ()));
    let (executable, spare_executable) = (graph.instantiate().1, graph.instantiate().1);
    f.driver.cuStreamSynchronize(*idle);

    f.driver.cuStreamBeginCapture_v2(*origin, capture);
    for event in [*captured, *spare_captured] {
        f.driver.cuEventRecord(event, *origin);
    }
    let made = Made {
        f,
        d: f.driver,
        origin: *origin,
        idle: *idle,
        complete: *complete,
        later: *later,
        never: *never,
        captured: *captured,
        shared: *shared,
        memory: memory.address,
        word,
        graph: *graph,
        executable: *executable,
        spare: RefCell::new(Spare {
            event: Some(spare_event),
            captured: Some(spare_captured),
            stream: Some(spare_stream),
            memory: Some(spare_memory),
            pool_memory,
            pinned,
            graph: Some(spare_graph),
            executable: Some(spare_executable),
            last: Vec::new(),
        }),
    };
    let outcome = Outcome::from(call(&made)).and(f.status(*origin));
    drop(f.end(*origin));
    let spare = made.spare.into_inner();
    for last in spare.last {
        last(f.driver);
    }
    if !spare.pinned.is_null() {
        f.driver.cuMemFreeHost(spare.pinned);
    }
    if spare.pool_memory != 0 {
        f.driver.cuMemFreeAsync(spare.pool_memory, *idle);
    }
    outcome
}

//! The driver's objects: streams with their queues, events, contexts, modules.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar};
use std::time::Instant;

use super::codes::Code;
use super::device;
use super::handle::Handle;
use super::job::Job;
use super::kernel::Registration;
use super::ptx::Entry;
use super::word::ValueWrite;

/// Serial numbers of objects. Never reused.
pub(super) type Serial = u64;

/// A place in the work of a stream. It is passed once as much work is done as was enqueued then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) stream: Serial,
    pub(super) position: u64,
}

/// One entry of a stream's queue.
#[derive(Debug)]
pub(super) struct Task {
    /// Points that must be passed before: work of other streams that a barrier orders before this.
    pub(super) after: Vec<Point>,
    pub(super) work: Work,
}

/// What a task does.
#[derive(Debug)]
pub(super) enum Work {
    /// Stamps the record `record` of an event, unless it was recorded anew.
    Record { event: Serial, record: Serial },
    /// Nothing: the task's points are all.
    Wait,
    /// Ends an allocation.
    Free(u64),
    /// Writes a word.
    Write(ValueWrite),
    /// A fault of the device.
    Fault(Code),
    /// Something for a thread.
    Run(Job),
}

/// What a stream does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Nothing is known to hold it.
    Free,
    /// It waits: for a point of another stream, or for its turn to run a host function.
    Blocked,
    /// Its first task waits for a thread.
    Ready,
    /// A thread is at work for it.
    Running,
}

/// Who waits for work of a stream.
#[derive(Debug)]
pub(super) enum Waiter {
    /// Another stream.
    Stream(Serial),
    /// A caller, told by a condition of his own: nobody else wakes up.
    Caller(Arc<Condvar>),
}

/// Which stream it is to its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The legacy default stream.
    Legacy,
    /// The default stream of a thread.
    PerThread,
    /// A created one.
    Created { non_blocking: bool },
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) context: Serial,
    pub(super) role: Role,
    pub(super) priority: i32,
    pub(super) queue: VecDeque<Task>,
    pub(super) activity: Activity,
    /// Set while it waits for a word in memory: ends that wait.
    pub(super) value_wait: Option<Arc<AtomicBool>>,
    /// Tasks enqueued and done so far: the position of the last.
    pub(super) enqueued: u64,
    pub(super) done: u64,
    /// Who waits for a position of this one.
    pub(super) waiters: Vec<(u64, Waiter)>,
    /// Its handle is gone; it ends with its last task.
    pub(super) destroyed: bool,
}

impl Stream {
    pub(super) fn new(context: Serial, role: Role, priority: i32) -> Self {
        Self {
            context,
            role,
            priority,
            queue: VecDeque::new(),
            activity: Activity::Free,
            value_wait: None,
            enqueued: 0,
            done: 0,
            waiters: Vec::new(),
            destroyed: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.done == self.enqueued
    }

    /// Whether barriers of the legacy stream hold for it.
    pub(super) fn is_blocking(&self) -> bool {
        !matches!(self.role, Role::Created { non_blocking: true })
    }
}

/// An event.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) context: Serial,
    pub(super) timed: bool,
    pub(super) record: Option<Record>,
}

/// The last record of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) serial: Serial,
    pub(super) point: Point,
    pub(super) time: Option<Instant>,
}

/// A context.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) handle: Handle,
    /// It only waits for its work: the handle may be another context's from now on.
    pub(super) ends: bool,
    pub(super) device: usize,
    pub(super) flags: u32,
    pub(super) legacy: Serial,
    /// Default streams by the number of their thread.
    pub(super) per_thread: BTreeMap<u64, Serial>,
    /// Streams with work that is not done.
    pub(super) busy: BTreeSet<Serial>,
    /// Devices whose memory its kernels may reach.
    pub(super) peers: [bool; device::COUNT],
    /// The code that every call answers after a fault.
    pub(super) fault: Option<Code>,
    /// Host functions run one at a time: whether one does, and the streams whose turn comes.
    pub(super) in_host_function: bool,
    pub(super) host_function_turns: VecDeque<Serial>,
}

/// A loaded module.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) context: Serial,
    pub(super) entries: Vec<Arc<Entry>>,
    /// Handles that were given out for entries, by the index of the entry.
    pub(super) functions: BTreeMap<usize, Serial>,
}

/// A kernel of a module.
#[derive(Debug)]
pub(super) struct KernelFunction {
    pub(super) module: Serial,
    pub(super) context: Serial,
    pub(super) twin: Registration,
    pub(super) entry: Arc<Entry>,
}

/// The primary context of a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Primary {
    pub(super) context: Option<Serial>,
    pub(super) retained: u32,
    pub(super) flags: u32,
    /// Only a new process recovers from a fault.
    pub(super) fault: Option<Code>,
}

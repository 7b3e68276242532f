//! The driver's objects: streams with their queues, events, contexts, modules.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::clock::Moment;
use super::codes::Code;
use super::device;
use super::handle::{Handle, Kind};
use super::job::{Job, Wait};
use super::kernel::Registration;
use super::mark::Mark;
use super::ptx::Entry;
use super::scope::{self, ScopeId};
use super::sharing::Sharing;
use super::sync::Condvar;
use super::tickets::{Pending, Ticket};
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
    /// Who enqueued it.
    pub(super) scope: ScopeId,
    /// A schedule holds it.
    pub(super) held: bool,
    /// When it was let go, as a number, if it was held.
    pub(super) turn: Option<u64>,
}

impl Task {
    /// Work of the calling thread's scope.
    pub(super) fn new(after: Vec<Point>, work: Work, held: bool) -> Self {
        Self { after, work, scope: scope::current(), held, turn: None }
    }
}

/// What a task does.
#[derive(Debug)]
pub(super) enum Work {
    /// Stamps the record `record` of an event, unless it was recorded anew, and tells other processes that share it.
    Record { event: Serial, record: Serial, shared: Option<Pending> },
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

impl Work {
    /// Whether it may wait for a word that others write.
    pub(super) fn waits_for_words(&self) -> bool {
        self.job().is_some_and(Job::waits_for_words)
    }

    /// Whether it is done after a fault too.
    pub(super) fn outlives_faults(&self) -> bool {
        self.job().is_some_and(Job::outlives_faults)
    }

    /// What it has for a thread.
    pub(super) fn job(&self) -> Option<&Job> {
        if let Self::Run(job) = self { Some(job) } else { None }
    }
}

/// What a stream does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Nothing but a schedule is known to hold it.
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
    /// A branch of an executable graph.
    Branch { executable: Serial },
}

/// A stream as reports name it, also when it is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamName {
    pub(super) serial: Serial,
    pub(super) role: Role,
    pub(super) context: Serial,
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            // By the number that `cuCtxGetId` answers: handles of contexts recur.
            Role::Legacy => write!(f, "the legacy stream of context {}", self.context),
            Role::PerThread => write!(f, "the default stream of a thread in context {}", self.context),
            Role::Branch { executable } => {
                write!(f, "a branch of the executable graph {:?}", Handle::new(Kind::Executable, executable))
            }
            Role::Created { .. } => write!(f, "stream {:?}", Handle::new(Kind::Stream, self.serial)),
        }
    }
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) context: Serial,
    /// Who created it, and whose task a thread does at the moment.
    pub(super) scope: ScopeId,
    pub(super) at_work: ScopeId,
    pub(super) role: Role,
    pub(super) priority: i32,
    pub(super) queue: VecDeque<Task>,
    pub(super) activity: Activity,
    /// Set while it waits for a word in memory, or for another process.
    pub(super) wait: Option<Wait>,
    /// Tasks enqueued and done so far: the position of the last.
    pub(super) enqueued: u64,
    pub(super) done: u64,
    /// Up to here nothing is held: the next position, if there is one, is of a task that is.
    pub(super) let_go: u64,
    /// Queries in a row that found work held.
    pub(super) queries: u32,
    /// Who waits for a position of this one.
    pub(super) waiters: Vec<(u64, Waiter)>,
    /// Its handle is gone; it ends with its last task.
    pub(super) destroyed: bool,
    /// Its green context is gone: nothing can be done with it but what ends it.
    pub(super) detached: bool,
}

impl Stream {
    pub(super) fn new(context: Serial, role: Role, priority: i32) -> Self {
        Self {
            context,
            scope: scope::current(),
            at_work: scope::current(),
            role,
            priority,
            queue: VecDeque::new(),
            activity: Activity::Free,
            wait: None,
            enqueued: 0,
            done: 0,
            let_go: 0,
            queries: 0,
            waiters: Vec::new(),
            destroyed: false,
            detached: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.done == self.enqueued
    }

    /// Whose task a thread does, or is about to do.
    pub(super) fn scope_at_work(&self) -> Option<ScopeId> {
        match self.activity {
            Activity::Running => Some(self.at_work),
            Activity::Ready => self.queue.front().map(|task| task.scope),
            Activity::Free | Activity::Blocked => None,
        }
    }

    /// Whether a thread does a task of a scope, or will.
    pub(super) fn has_work_of(&self, scope: ScopeId) -> bool {
        self.scope_at_work() == Some(scope) || self.queue.iter().any(|task| task.scope == scope)
    }

    /// Appends a task; its position.
    pub(super) fn append(&mut self, task: Task) -> u64 {
        if !task.held && self.let_go == self.enqueued {
            self.let_go += 1;
        }
        self.enqueued += 1;
        self.queue.push_back(task);
        self.enqueued
    }

    /// The position of the last task that has begun.
    pub(super) fn begun(&self) -> u64 {
        self.enqueued - self.queue.len() as u64
    }

    /// Whether a schedule holds the first task.
    pub(super) fn is_held(&self) -> bool {
        self.let_go <= self.begun()
    }

    /// The first task that a schedule holds.
    pub(super) fn next_held(&self) -> Option<&Task> {
        self.tasks(self.let_go, self.enqueued).next()
    }

    /// The tasks after one position up to another, of those that have not begun.
    pub(super) fn tasks(&self, after: u64, last: u64) -> impl Iterator<Item = &Task> {
        let index = |position: u64| usize::try_from(position.saturating_sub(self.begun())).unwrap_or(usize::MAX).min(self.queue.len());
        self.queue.range(index(after)..index(last.max(after)))
    }

    /// Lets the first held task go, and what follows up to the next.
    pub(super) fn let_next_go(&mut self, turn: u64) {
        self.queries = 0;
        let index = self.index_of_held();
        if let Some(task) = self.queue.get_mut(index) {
            task.held = false;
            task.turn = Some(turn);
            self.let_go_of_what_is_not_held();
        }
    }

    /// Holds no task of a scope any longer. Whether that lets any go.
    pub(super) fn let_go_of_scope(&mut self, scope: ScopeId) -> bool {
        for task in self.queue.iter_mut().filter(|task| task.scope == scope) {
            task.held = false;
        }
        let before = self.let_go;
        self.let_go_of_what_is_not_held();
        self.let_go > before
    }

    fn let_go_of_what_is_not_held(&mut self) {
        let index = self.index_of_held();
        let free = self.queue.range(index..).take_while(|task| !task.held).count();
        self.let_go += free as u64;
    }

    fn index_of_held(&self) -> usize {
        usize::try_from(self.let_go.saturating_sub(self.begun())).unwrap_or(usize::MAX).min(self.queue.len())
    }

    /// Drops what has not begun, and counts it as done.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.done = self.enqueued;
        self.let_go = self.enqueued;
    }

    /// Whether barriers of the legacy stream hold for it.
    pub(super) fn is_blocking(&self) -> bool {
        !matches!(self.role, Role::Created { non_blocking: true } | Role::Branch { .. })
    }
}

/// An event.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) context: Serial,
    /// Who created it.
    pub(super) scope: ScopeId,
    pub(super) timed: bool,
    pub(super) sharing: Sharing,
    /// The last one that this process has made.
    pub(super) record: Option<Record>,
    /// What comes before the record.
    pub(super) moment: Option<Moment>,
    /// It was recorded in a capture last, which is no record of work.
    pub(super) captured: Option<Mark>,
}

/// A record of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) serial: Serial,
    pub(super) point: Point,
    /// What other processes know it by that share the event.
    pub(super) ticket: Ticket,
    pub(super) time: Option<Instant>,
}

/// A context.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) handle: Handle,
    /// The handle is known as a context's: that of a green one only once a function has answered it as one.
    pub(super) is_named: bool,
    /// Who created it.
    pub(super) scope: ScopeId,
    /// It only waits for its work: the handle may be another context's from now on.
    pub(super) ends: bool,
    pub(super) device: usize,
    pub(super) flags: u32,
    /// The primary context that it is a green one of, whose memory and events it uses, unless that is gone.
    pub(super) green_of: Option<Serial>,
    pub(super) legacy: Serial,
    /// Default streams by the number of their thread.
    pub(super) per_thread: BTreeMap<u64, Serial>,
    /// Streams with work that is not done.
    pub(super) busy: BTreeSet<Serial>,
    /// Devices whose memory its kernels may reach.
    pub(super) peers: [bool; device::COUNT],
    /// Limits that were set.
    pub(super) limits: BTreeMap<u32, usize>,
    /// Host functions run one at a time, with those of green contexts: whether one does, and the streams whose turn comes, in order.
    pub(super) in_host_function: bool,
    pub(super) host_function_turns: BTreeMap<u64, Serial>,
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
}

//! Captures: streams whose work becomes nodes of a graph.

use std::collections::BTreeMap;

use super::handle::Handle;
use super::modes::Mode;
use super::objects::Serial;
use super::scope::{self, ScopeId};
use super::thread;

/// A capture.
#[derive(Debug)]
pub(super) struct Capture {
    /// Who began it, on which thread.
    pub(super) scope: ScopeId,
    pub(super) thread: u64,
    pub(super) mode: Mode,
    /// The stream that it began on.
    pub(super) origin: Serial,
    pub(super) graph: Serial,
    /// The streams in it, each with the nodes that its next one comes after.
    pub(super) streams: BTreeMap<Serial, Vec<usize>>,
    /// The nodes that it has made, by their places: callers may add others to the graph.
    pub(super) nodes: Vec<usize>,
    /// Something was done that cannot be captured.
    pub(super) is_invalidated: bool,
    /// What callers were told of these nodes, by stream.
    pub(super) told: BTreeMap<Serial, Vec<Handle>>,
}

impl Capture {
    pub(super) fn new(mode: Mode, origin: Serial, graph: Serial) -> Self {
        Self {
            scope: scope::current(),
            thread: thread::number(),
            mode,
            origin,
            graph,
            streams: BTreeMap::from([(origin, Vec::new())]),
            nodes: Vec::new(),
            is_invalidated: false,
            told: BTreeMap::new(),
        }
    }

    /// Whether the calling thread may end it.
    pub(super) fn is_for_this_thread(&self) -> bool {
        self.mode == Mode::Relaxed || self.thread == thread::number()
    }

    /// Whether a call of the calling thread that might be unsafe ends it.
    pub(super) fn is_ended_by_this_thread(&self, mode: Mode) -> bool {
        let is_own = self.thread == thread::number() && self.mode != Mode::Relaxed;
        let is_global = self.mode == Mode::Global && mode == Mode::Global;
        self.scope == scope::current() && mode != Mode::Relaxed && (is_own || is_global)
    }
}

/// The captures that were begun and not ended, by number.
#[derive(Debug)]
pub(super) struct Captures(BTreeMap<Serial, Capture>);

impl Captures {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The capture that a stream is in.
    pub(super) fn of(&self, stream: Serial) -> Option<Serial> {
        self.0.iter().find(|(_, capture)| capture.streams.contains_key(&stream)).map(|(number, _)| *number)
    }

    pub(super) fn get(&self, number: Serial) -> Option<&Capture> {
        self.0.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: Serial) -> Option<&mut Capture> {
        self.0.get_mut(&number)
    }

    pub(super) fn insert(&mut self, number: Serial, capture: Capture) {
        self.0.insert(number, capture);
    }

    pub(super) fn remove(&mut self, number: Serial) -> Option<Capture> {
        self.0.remove(&number)
    }

    /// The numbers of those that are meant.
    pub(super) fn numbers(&self, is_meant: impl Fn(&Capture) -> bool) -> Vec<Serial> {
        self.0.iter().filter(|(_, capture)| is_meant(capture)).map(|(number, _)| *number).collect()
    }

    /// Nothing more can be captured in these.
    pub(super) fn invalidate(&mut self, numbers: &[Serial]) {
        for number in numbers {
            if let Some(capture) = self.0.get_mut(number) {
                capture.is_invalidated = true;
            }
        }
    }
}

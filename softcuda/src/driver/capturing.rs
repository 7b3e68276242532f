//! What may be done beside and inside captures. Everything here happens under the lock.
//!
//! A stream that captures enqueues nothing: its work becomes nodes. Whatever would wait for such work, or let
//! other work come after it, is refused and invalidates the capture. So does a call that is unsafe beside a
//! capture whatever it is about, unless its thread has said otherwise.

use super::codes::{self, Code, Outcome};
use super::graphs::Destructor;
use super::handle::Handle;
use super::mark::Mark;
use super::node::{Node, NodeWork};
use super::objects::{Role, Serial};
use super::raw::Topic;
use super::scope::ScopeId;
use super::state::State;
use super::{report, scope, thread};

impl State {
    /// Whether a stream captures.
    pub(super) fn is_capturing(&self, stream: Serial) -> bool {
        !self.captures.is_empty() && self.captures.of(stream).is_some()
    }

    /// The stream of a caller's handle, for work: it may capture.
    pub(super) fn stream_for_work(&mut self, handle: Handle) -> Outcome<Serial> {
        let stream = self.stream(handle)?;
        if !self.captures.is_empty() {
            self.check_target(stream)?;
        }
        Ok(stream)
    }

    fn check_target(&mut self, stream: Serial) -> Outcome {
        self.check_implicit(stream)?;
        let capture = self.captures.of(stream).and_then(|number| self.captures.get(number));
        if capture.is_some_and(|capture| capture.is_invalidated) { Err(codes::STREAM_CAPTURE_INVALIDATED) } else { Ok(()) }
    }

    /// The stream of a caller's handle, for what cannot be captured, and for what is asked of no stream that captures, nor
    /// of the legacy one while it depends on a capture.
    pub(super) fn stream_outside_captures(&mut self, handle: Handle) -> Outcome<Serial> {
        let stream = self.stream(handle)?;
        if !self.captures.is_empty() {
            self.check_implicit(stream)?;
            self.check_not_capturing(stream)?;
        }
        Ok(stream)
    }

    /// The stream of a caller's handle, for work that a real driver makes a node of and this one does not.
    pub(super) fn stream_not_captured(&mut self, handle: Handle) -> Outcome<Serial> {
        let stream = self.stream_for_work(handle)?;
        if self.is_capturing(stream) {
            report::add(Topic::Unsupported, "this cannot be captured here");
            return Err(codes::NOT_SUPPORTED);
        }
        Ok(stream)
    }

    /// The stream of a caller's handle, for a call that waits for its work or asks for it.
    pub(super) fn stream_to_wait_for(&mut self, handle: Handle) -> Outcome<Serial> {
        let stream = self.stream_outside_captures(handle)?;
        self.check_unsafe_call()?;
        Ok(stream)
    }

    fn check_not_capturing(&mut self, stream: Serial) -> Outcome {
        match self.captures.of(stream) {
            Some(number) => Err(self.break_captures(&[number], codes::STREAM_CAPTURE_UNSUPPORTED)),
            None => Ok(()),
        }
    }

    /// The captures of the calling thread's scope that work of a stream would depend on, or that would depend on
    /// it, without saying so: for the legacy stream those with blocking streams of its context.
    pub(super) fn implicit_captures(&self, stream: Serial) -> Vec<Serial> {
        let Some(legacy) = self.streams.get(&stream).filter(|this| this.role == Role::Legacy) else { return Vec::new() };
        let is_blocking = |other: &Serial| {
            let other = self.streams.get(other);
            other.is_some_and(|other| other.context == legacy.context && other.is_blocking())
        };
        self.captures.numbers(|capture| capture.scope == scope::current() && capture.streams.keys().any(is_blocking))
    }

    fn check_implicit(&mut self, stream: Serial) -> Outcome {
        let implicit = self.implicit_captures(stream);
        if implicit.is_empty() { Ok(()) } else { Err(self.break_captures(&implicit, codes::STREAM_CAPTURE_IMPLICIT)) }
    }

    /// Whether the calling thread may make a call that could disturb a capture: one that waits, allocates or frees.
    pub(super) fn check_unsafe_call(&mut self) -> Outcome {
        if self.captures.is_empty() { Ok(()) } else { self.check_unsafe_call_beside_captures() }
    }

    #[cold]
    fn check_unsafe_call_beside_captures(&mut self) -> Outcome {
        let mode = thread::capture_mode();
        let ended = self.captures.numbers(|capture| capture.is_ended_by_this_thread(mode));
        if ended.is_empty() { Ok(()) } else { Err(self.break_captures(&ended, codes::STREAM_CAPTURE_UNSUPPORTED)) }
    }

    /// Whether the calling thread may wait for all work of a context: for none with a capturing stream, in any mode. Captures
    /// of other contexts, global ones too, go on: seen on a real driver with two devices.
    pub(super) fn check_wait_for_context(&mut self, context: Serial) -> Outcome {
        if self.captures.is_empty() {
            return Ok(());
        }
        let is_inside = |stream: &Serial| self.streams.get(stream).is_some_and(|stream| self.is_part(stream.context, context));
        let inside = self.captures.numbers(|capture| capture.scope == scope::current() && capture.streams.keys().any(is_inside));
        if inside.is_empty() { Ok(()) } else { Err(self.break_captures(&inside, codes::STREAM_CAPTURE_UNSUPPORTED)) }
    }

    /// A call of the caller's cannot be part of these captures.
    pub(super) fn break_captures(&mut self, numbers: &[Serial], code: Code) -> Code {
        self.captures.invalidate(numbers);
        code
    }

    /// Why nothing can be asked of an event that was recorded in a capture last, whose capture it ends.
    #[cold]
    pub(super) fn refuse_captured(&mut self, mark: Serial) -> Code {
        if self.is_active(mark) { self.break_captures(&[mark], codes::CAPTURED_EVENT) } else { codes::INVALID_VALUE }
    }

    /// Makes work of a capturing stream a node. False if the stream does not capture.
    pub(super) fn captures_work(&mut self, stream: Serial, work: impl FnOnce() -> NodeWork) -> bool {
        if self.captures.is_empty() {
            return false;
        }
        let serial = self.serial();
        let Some(number) = self.captures.of(stream) else { return false };
        let context = self.streams.get(&stream).map(|this| this.context);
        let Some(capture) = self.captures.get_mut(number) else { return false };
        let Some(graph) = self.graphs.all.get_mut(&capture.graph) else { return false };
        let after = capture.streams.remove(&stream).unwrap_or_default();
        let work = work();
        let memory = self.memory.used_by(&work);
        let place = graph.add(Node { serial, context, work, memory, after });
        capture.nodes.push(place);
        capture.streams.insert(stream, vec![place]);
        true
    }

    /// What a record on a capturing stream marks.
    pub(super) fn mark(&self, stream: Serial) -> Option<Mark> {
        if self.captures.is_empty() {
            return None;
        }
        let capture = self.captures.of(stream)?;
        let nodes = self.captures.get(capture)?.streams.get(&stream)?.clone();
        Some(Mark { capture, nodes })
    }

    /// Lets a stream wait for a record that was captured: it joins the capture.
    pub(super) fn waits_for_mark(&mut self, stream: Serial, mark: &Mark) -> Outcome {
        let own = self.captures.of(stream);
        if let Some(other) = own.filter(|own| *own != mark.capture) {
            return Err(self.break_captures(&[other, mark.capture], codes::STREAM_CAPTURE_MERGE));
        }
        if self.streams.get(&stream).is_some_and(|this| this.role == Role::Legacy) {
            return Err(self.break_captures(&[mark.capture], codes::STREAM_CAPTURE_IMPLICIT));
        }
        if let Some(capture) = self.captures.get_mut(mark.capture) {
            let after = capture.streams.entry(stream).or_default();
            let new: Vec<usize> = mark.nodes.iter().copied().filter(|node| !after.contains(node)).collect();
            after.extend(new);
        }
        Ok(())
    }

    /// A call cannot be part of the capture that a stream is in, if it is in one.
    pub(super) fn breaks_own_capture(&mut self, stream: Serial, code: Code) -> Code {
        let capture = self.captures.of(stream);
        self.break_captures(capture.as_slice(), code)
    }

    /// Whether a capture was neither ended nor invalidated.
    pub(super) fn is_active(&self, capture: Serial) -> bool {
        self.captures.get(capture).is_some_and(|capture| !capture.is_invalidated)
    }

    /// A stream's handle goes. With the origin of a capture that goes too, as nobody can end it: the destructors of what
    /// it has kept.
    #[must_use]
    pub(super) fn leaves_captures(&mut self, stream: Serial) -> Vec<Destructor> {
        let Some(number) = self.captures.of(stream) else { return Vec::new() };
        if self.captures.get(number).is_some_and(|capture| capture.origin == stream) {
            return self.abandon_capture(number);
        }
        if let Some(capture) = self.captures.get_mut(number) {
            capture.streams.remove(&stream);
        }
        Vec::new()
    }

    /// A context goes, and with it the captures that began on its streams. What they have kept threads of the driver
    /// destroy.
    pub(super) fn abandon_captures_in(&mut self, context: Serial) {
        let is_inside = |stream: &Serial| self.streams.get(stream).is_some_and(|stream| stream.context == context);
        for number in self.captures.numbers(|capture| is_inside(&capture.origin)) {
            let unused = self.abandon_capture(number);
            self.graphs.destroy_later(unused);
        }
    }

    /// The same where a scope ends: how many.
    pub(super) fn abandon_captures_of(&mut self, scope: ScopeId) -> usize {
        let captures = self.captures.numbers(|capture| capture.scope == scope);
        for number in &captures {
            let unused = self.abandon_capture(*number);
            self.graphs.destroy_later(unused);
        }
        captures.len()
    }

    #[must_use]
    fn abandon_capture(&mut self, number: Serial) -> Vec<Destructor> {
        self.captures.remove(number).map(|capture| self.graphs.remove(capture.graph)).unwrap_or_default()
    }
}

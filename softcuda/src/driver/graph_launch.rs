//! `cuGraphLaunch` and its like: each branch goes on a stream, and ordinary points and moments join them.
//!
//! One branch goes on the stream that the launch is made on, the others on streams of the executable's own. So
//! schedules, faults, checks of order and turns of host functions are those of any work.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::buffer::Span;
use super::clock::Moment;
use super::codes::{self, Outcome};
use super::copy::{ReadyCopy, ReadyFill};
use super::graphs::{Destructor, Executable};
use super::handle::{Handle, Kind};
use super::mem_op::ReadyOperations;
use super::node::{Node, NodeWork, Plan};
use super::objects::{Point, Role, Serial, Work};
use super::raw::Topic;
use super::side::HostMemory;
use super::state::{Locked, State, lock};
use super::{event, host_function, launch as kernel_launch, peers, report, stream as streams};

/// Launches an executable; after its last launch, wherever that was made.
pub(super) fn launch(handle: Handle, stream: Handle) -> Outcome {
    let mut state = lock();
    let executable = state.executable(handle)?;
    // Other than documented a real driver captures none.
    state.stream_outside_captures(stream)?;
    let plan = Arc::clone(&state.graphs.executables[&executable].plan);
    // What a copy reads may be gone with what else is.
    plan.nodes.iter().try_for_each(|node| state.ready(node, None).map(drop))?;
    let (mut state, read) = read_sources(state, &plan)?;
    for event in plan.recorded() {
        state = peers::with_room(state, Handle::new(Kind::Event, event));
    }
    // Once more: the lock may have been given up.
    let executable = state.executable(handle)?;
    let stream = state.stream_outside_captures(stream)?;
    state.launches(executable, &plan, stream, read)
}

/// What a launch would prepare, this does; which is nothing here. It comes after earlier launches, and is nothing that
/// later ones come after.
pub(super) fn upload(handle: Handle, stream: Handle) -> Outcome {
    let mut state = lock();
    let executable = state.executable(handle)?;
    let stream = state.stream_outside_captures(stream)?;
    state.comes_after_the_last(executable, stream);
    state.submit(stream, None, Work::Wait);
    Ok(())
}

/// What copies have read now, by the places of their nodes.
type Read = BTreeMap<usize, Span>;

/// Reads the pageable memory that a launch copies from, without the lock.
fn read_sources(state: Locked, plan: &Plan) -> Outcome<(Locked, Read)> {
    let source = |(place, node): (usize, &Node)| match &node.work {
        NodeWork::Copy { to, from, bytes } => Some((place, ReadyCopy::source(&state, *to, *from, *bytes)?, *bytes)),
        _ => None,
    };
    let sources: Vec<(usize, HostMemory, usize)> = plan.nodes.iter().enumerate().filter_map(source).collect();
    if sources.is_empty() {
        return Ok((state, Read::new()));
    }
    drop(state);
    let read = sources.into_iter().map(|(place, memory, bytes)| Ok((place, memory.read(bytes)?))).collect::<Outcome<_>>()?;
    Ok((lock(), read))
}

/// Where work ends, and what comes before that.
type End = (Point, Option<Moment>);

/// What a node does, once its memory was found.
enum Ready<'plan> {
    Copy(ReadyCopy),
    Fill(ReadyFill),
    Values(ReadyOperations),
    Other(&'plan NodeWork),
}

impl State {
    fn launches(&mut self, executable: Serial, plan: &Plan, stream: Serial, mut read: Read) -> Outcome {
        // All of it or nothing.
        let nodes = plan.nodes.iter().enumerate();
        let ready: Vec<Ready<'_>> = nodes.map(|(place, node)| self.ready(node, read.remove(&place))).collect::<Outcome<_>>()?;
        let on = self.streams_for(executable, plan, stream);
        self.comes_after_the_last(executable, stream);
        // For the rules of the legacy stream, which concern all branches.
        self.submit(stream, None, Work::Wait);
        let start = self.end_and_moment(stream);
        let mut ends: Vec<End> = Vec::with_capacity(ready.len());
        let mut outcome = Ok(());
        for ((place, node), ready) in plan.nodes.iter().enumerate().zip(ready) {
            let this = on[plan.branch_of[place]];
            for from in node.after.iter().filter(|from| on[plan.branch_of[**from]] != this) {
                self.comes_after(this, &ends[*from]);
            }
            if node.after.is_empty() && this != stream {
                self.comes_after(this, &start);
            }
            outcome = outcome.and(self.submit_node(this, ready));
            ends.push(self.end_and_moment(this));
        }
        for (branch, on) in plan.branches.iter().zip(on) {
            if on != stream {
                self.comes_after(stream, &ends[branch.last]);
            }
        }
        let end = self.end_of(stream);
        self.ends_with_launch(executable, stream, end);
        outcome
    }

    /// What a node does, if what it needs is there. A copy has `read` what is to be read now.
    fn ready<'plan>(&self, node: &'plan Node, read: Option<Span>) -> Outcome<Ready<'plan>> {
        if let Some(context) = node.context.filter(|context| !self.contexts.contains_key(context)) {
            report::add(Topic::Handle, format_args!("the graph has a node of context {context}, which was destroyed"));
            return Err(codes::CONTEXT_IS_DESTROYED);
        }
        // A real driver was seen to record another event, that had the place.
        if !matches!(node.work, NodeWork::Record(_)) {
            self.check_node(node)?;
        }
        self.check_memory(node)?;
        let context = || node.context.ok_or(codes::INVALID_CONTEXT);
        Ok(match &node.work {
            NodeWork::Copy { to, from, bytes } => Ready::Copy(ReadyCopy::find(self, *to, *from, *bytes, read)?),
            NodeWork::Fill(fill) => Ready::Fill(ReadyFill::find(self, context()?, *fill)?),
            NodeWork::Values(operations) => Ready::Values(ReadyOperations::find(self, context()?, operations)?),
            other => Ready::Other(other),
        })
    }

    /// The streams of the branches: the first one that can goes on the stream of the launch.
    fn streams_for(&mut self, executable: Serial, plan: &Plan, stream: Serial) -> Vec<Serial> {
        let Some(own) = self.streams.get(&stream).map(|this| this.context) else { return vec![stream; plan.branches.len()] };
        let is_at_home = |context: Option<Serial>| context.is_none_or(|context| self.owner(context) == self.owner(own));
        let on_it = plan.branches.iter().position(|branch| is_at_home(branch.context));
        let mut on = Vec::with_capacity(plan.branches.len());
        for (place, branch) in plan.branches.iter().enumerate() {
            let context = branch.context.unwrap_or(own);
            on.push(if Some(place) == on_it { stream } else { self.stream_of_branch(executable, place, context) });
        }
        on
    }

    fn stream_of_branch(&mut self, executable: Serial, branch: usize, context: Serial) -> Serial {
        let known = self.graphs.executables.get(&executable).and_then(|this| this.streams.get(&branch)).copied();
        // They go with their context.
        known.filter(|stream| self.streams.get(stream).is_some_and(|this| this.context == context)).unwrap_or_else(|| {
            let stream = self.add_stream(context, Role::Branch { executable }, 0);
            let before = self.graphs.executables.get_mut(&executable).and_then(|this| this.streams.insert(branch, stream));
            if let Some(before) = before {
                self.retire_stream(before);
            }
            stream
        })
    }

    fn end_and_moment(&self, stream: Serial) -> End {
        (self.end_of(stream), self.order.moment(stream))
    }

    fn comes_after(&mut self, stream: Serial, (point, moment): &End) {
        if let Some(moment) = moment {
            self.order.wait(stream, moment);
        }
        self.submit(stream, Some(*point), Work::Wait);
    }

    fn comes_after_the_last(&mut self, executable: Serial, stream: Serial) {
        let last = self.graphs.executables.get(&executable).and_then(|this| this.last.clone());
        if let Some(last) = last.filter(|(point, _)| point.stream != stream) {
            self.comes_after(stream, &last);
        }
    }

    fn ends_with_launch(&mut self, executable: Serial, stream: Serial, end: Point) {
        let moment = self.order.moment(stream);
        if let Some(this) = self.graphs.executables.get_mut(&executable) {
            this.last = Some((end, moment));
        }
    }

    fn submit_node(&mut self, stream: Serial, ready: Ready<'_>) -> Outcome {
        let work = match ready {
            Ready::Copy(copy) => {
                copy.submit(self, stream);
                return Ok(());
            }
            Ready::Fill(fill) => {
                fill.submit(self, stream);
                return Ok(());
            }
            Ready::Values(operations) => {
                operations.submit(self, stream);
                return Ok(());
            }
            Ready::Other(work) => work,
        };
        match work {
            NodeWork::Kernel(kernel) => {
                let (entry, twin, shape) = (Arc::clone(&kernel.entry), kernel.twin.clone(), kernel.shape.clone());
                kernel_launch::submit(self, stream, entry, twin, shape, kernel.declared.as_deref());
            }
            NodeWork::HostFunction(function, user) => host_function::submit(self, stream, *function, *user),
            NodeWork::Record(event) if self.has_event(*event) => return event::submit_record(self, *event, stream),
            NodeWork::Wait(event) => streams::submit_wait(self, stream, *event),
            _ => drop(self.submit(stream, None, Work::Wait)),
        }
        Ok(())
    }

    /// Takes an executable away. What it refers to stays until its last launch has ended; the destructors, if that has.
    #[must_use]
    pub(super) fn remove_executable(&mut self, executable: Serial) -> Vec<Destructor> {
        let Some(Executable { references, streams, last, .. }) = self.graphs.executables.remove(&executable) else { return Vec::new() };
        for stream in streams.into_values() {
            self.retire_stream(stream);
        }
        if let Some((_, Some(end))) = &last {
            self.needed_until(&references, end);
        }
        match last {
            Some((point, _)) if !self.is_passed(point) => {
                self.graphs.in_flight.push((point, references));
                Vec::new()
            }
            _ => self.graphs.give_up(references),
        }
    }
}

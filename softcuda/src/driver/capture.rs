//! `cuStreamBeginCapture` and its like: captures begin, end and are asked for.

use super::abi::Out;
use super::captures::Capture;
use super::codes::{self, Outcome};
use super::graphs::{Destructor, Graph};
use super::handle::{Handle, Kind, RawHandle};
use super::modes::Mode;
use super::objects::{Role, Serial};
use super::state::{State, lock};
use super::worker;

/// What a stream is to captures, as C numbers it.
mod status {
    pub(super) const NONE: u32 = 0;
    pub(super) const ACTIVE: u32 = 1;
    pub(super) const INVALIDATED: u32 = 2;
}

pub(super) fn begin(handle: Handle, mode: u32) -> Outcome {
    let mode = Mode::from_number(mode).ok_or(codes::INVALID_VALUE)?;
    let mut state = lock();
    let stream = state.stream(handle)?;
    if state.streams[&stream].role == Role::Legacy {
        return Err(codes::STREAM_CAPTURE_UNSUPPORTED);
    }
    if state.is_capturing(stream) {
        return Err(codes::ILLEGAL_STATE);
    }
    let (number, graph) = (state.serial(), state.serial());
    state.graphs.all.insert(graph, Graph::new(true));
    state.captures.insert(number, Capture::new(mode, stream, graph));
    Ok(())
}

/// Answers the graph. A capture that was invalidated, or has streams that did not join, is over as well, without one,
/// and so is one that another thread ends, which may not: seen on a real driver.
pub(super) fn end(handle: Handle, out: Option<Out<RawHandle>>) -> Outcome {
    let mut state = lock();
    let stream = state.stream(handle)?;
    let mut unused = Vec::new();
    let ended = end_on(&mut state, stream, &mut unused);
    if let (Ok(graph), None) = (ended, &out) {
        // Nobody could destroy it.
        unused = state.graphs.remove(graph);
    }
    set(out, ended.map_or(Handle::NULL, |graph| Handle::new(Kind::Graph, graph)).raw());
    worker::destroy(state, unused);
    ended.map(drop)
}

/// `unused` becomes the destructors of what a capture without a graph has kept.
fn end_on(state: &mut State, stream: Serial, unused: &mut Vec<Destructor>) -> Outcome<Serial> {
    let number = state.captures.of(stream).ok_or(codes::ILLEGAL_STATE)?;
    if state.captures.get(number).is_some_and(|capture| capture.origin != stream) {
        return Err(state.break_captures(&[number], codes::STREAM_CAPTURE_UNMATCHED));
    }
    let capture = state.captures.remove(number).ok_or(codes::ILLEGAL_STATE)?;
    let last = capture.streams.get(&stream).map_or(&[][..], Vec::as_slice);
    let graph = state.graphs.all.get_mut(&capture.graph);
    let code = match graph {
        _ if capture.is_invalidated => codes::STREAM_CAPTURE_INVALIDATED,
        _ if !capture.is_for_this_thread() => codes::STREAM_CAPTURE_WRONG_THREAD,
        Some(graph) if graph.come_before(&capture.nodes, last) => {
            graph.in_capture = false;
            return Ok(capture.graph);
        }
        _ => codes::STREAM_CAPTURE_UNJOINED,
    };
    *unused = state.graphs.remove(capture.graph);
    Err(code)
}

/// The stream of a caller's handle. The legacy one is nothing that could be asked for while it depends on a capture,
/// which that does not end.
fn stream(state: &mut State, handle: Handle) -> Outcome<Serial> {
    let stream = state.stream(handle)?;
    if state.implicit_captures(stream).is_empty() { Ok(stream) } else { Err(codes::STREAM_CAPTURE_IMPLICIT) }
}

fn status_of(state: &State, stream: Serial) -> (u32, Option<Serial>) {
    let capture = state.captures.of(stream).and_then(|number| Some((number, state.captures.get(number)?)));
    match capture {
        None => (status::NONE, None),
        Some((_, capture)) if capture.is_invalidated => (status::INVALIDATED, None),
        Some((number, _)) => (status::ACTIVE, Some(number)),
    }
}

pub(super) fn is_capturing(handle: Handle, out: Out<u32>) -> Outcome {
    let mut state = lock();
    let stream = stream(&mut state, handle)?;
    out.set(status_of(&state, stream).0);
    Ok(())
}

/// Places for what a caller wants to know of a capture.
pub(super) struct Info {
    pub(super) status: Out<u32>,
    pub(super) number: Option<Out<u64>>,
    pub(super) graph: Option<Out<RawHandle>>,
    pub(super) nodes: Option<Out<*const RawHandle>>,
    pub(super) edges: Option<Out<*const RawHandle>>,
    pub(super) count: Option<Out<usize>>,
}

/// Of an active capture all, of others that they are none.
pub(super) fn info(handle: Handle, info: Info) -> Outcome {
    let mut state = lock();
    let stream = stream(&mut state, handle)?;
    let (status, number) = status_of(&state, stream);
    info.status.set(status);
    let Some(number) = number else { return Ok(()) };
    let state = &mut *state;
    let Some(capture) = state.captures.get_mut(number) else { return Ok(()) };
    let Some(graph) = state.graphs.all.get(&capture.graph) else { return Ok(()) };
    let after = capture.streams.get(&stream).map_or(&[][..], Vec::as_slice);
    let nodes: Vec<Handle> = after.iter().map(|place| Handle::new(Kind::GraphNode, graph.nodes[*place].serial)).collect();
    let count = nodes.len();
    // The caller reads them until his next call with the stream.
    let told = capture.told.entry(stream).or_default();
    *told = nodes;
    let start = if count == 0 { std::ptr::null() } else { told.as_ptr().cast() };
    set(info.number, number);
    set(info.graph, Handle::new(Kind::Graph, capture.graph).raw());
    set(info.nodes, start);
    // No edge has data.
    set(info.edges, std::ptr::null());
    set(info.count, count);
    Ok(())
}

fn set<T>(out: Option<Out<T>>, value: T) {
    if let Some(out) = out {
        out.set(value);
    }
}

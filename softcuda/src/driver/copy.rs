//! `cuMemcpy*` and `cuMemset*`.
//!
//! Memory that the driver knows is copied in stream order. Pageable memory is read at the call, and
//! written before the call returns: that is how a real driver was seen to behave. `pageable.rs` has a
//! switch for copies that are as asynchronous as the documentation allows.

use super::buffer::{Buffer, Span};
use super::clock::Moment;
use super::codes::{self, Outcome};
use super::handle::Handle;
use super::history::Touch;
use super::job::{CallerMemory, Job, Pattern, Place};
use super::memory::{self, Home};
use super::node::{Fill, NodeWork};
use super::objects::{Point, Serial, Work};
use super::raw::Topic;
use super::side::{HostMemory, Side};
use super::state::{State, lock};
use super::{pageable, report, thread, worker};

impl HostMemory {
    /// What lies there. Pageable is only what the driver knows no byte of: a real one was seen to refuse memory that is
    /// registered in part.
    fn find(self, state: &State, bytes: usize) -> Outcome<Found> {
        match state.memory.overlapping(self.address(), bytes) {
            _ if self.0.is_null() => Err(codes::INVALID_VALUE),
            None => Ok(Found::Pageable(self)),
            Some(_) => known(state, self.address(), bytes),
        }
    }

    /// A copy of the bytes, made now. It may take a while: not under the lock, which other threads need.
    pub(super) fn read(self, bytes: usize) -> Outcome<Span> {
        let copy = Span::whole(Buffer::unfilled(bytes, align_of::<u64>())?);
        // SAFETY: the caller's bytes are valid now, and the copy is as long and nobody else's.
        unsafe { copy.start().copy_from_nonoverlapping(self.0, bytes) };
        Ok(copy)
    }

    /// The bytes themselves, for a copy that is made later.
    fn later(self) -> Place {
        Place::Callers(CallerMemory(self.0))
    }
}

impl Side {
    /// What lies there.
    fn find(self, state: &State, bytes: usize) -> Outcome<Found> {
        match self {
            Self::Device(address) => known(state, address, bytes),
            Self::Unified(address, _) if memory::is_device_address(address) => known(state, address, bytes),
            // One address space: a real driver copies there, but no documentation promises that.
            Self::Host(memory) if memory::is_device_address(memory.address()) => {
                report::add(Topic::Misuse, format_args!("{:?} is an address of a device, not of the host", memory.0));
                known(state, memory.address(), bytes)
            }
            Self::Host(memory) | Self::Unified(_, memory) => memory.find(state, bytes),
        }
    }
}

/// What lies on one side of a copy.
enum Found {
    Known(Span, Home),
    Pageable(HostMemory),
}

impl Found {
    fn is_on_host(&self) -> bool {
        !matches!(self, Self::Known(_, Home::Device(_)))
    }

    /// What a graph finds again at each launch. Memory that the driver knew when it was captured is not pageable
    /// once it has been freed.
    fn to_capture(&self, address: u64) -> Side {
        match self {
            Self::Known(..) => Side::Device(address),
            Self::Pageable(memory) => Side::Host(*memory),
        }
    }

    /// The bytes, for a copy that is made later.
    fn later(self) -> Place {
        match self {
            Self::Known(span, _) => Place::Known(span),
            Self::Pageable(memory) => memory.later(),
        }
    }
}

fn known(state: &State, address: u64, bytes: usize) -> Outcome<Found> {
    let (home, span) = device_memory(state, address, bytes)?;
    Ok(Found::Known(span, home))
}

/// The memory at `address`, which devices reach, or a report.
pub(super) fn device_memory(state: &State, address: u64, bytes: usize) -> Outcome<(Home, Span)> {
    let found = state.memory.span(address, bytes).map(|(allocation, span)| (allocation.home, span));
    found.ok_or_else(|| {
        let freed = state.freed.describe(address);
        report::add(Topic::Memory, format_args!("{bytes} bytes at {address:#x} are not all in one live allocation{freed}"));
        codes::INVALID_VALUE
    })
}

/// When a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returns {
    /// Once the copy is enqueued, if its memory allows that.
    Enqueued,
    /// Once the copy is done, if it is not between devices.
    Done,
}

/// Copies in stream order.
pub(super) fn copy(to: Side, from: Side, bytes: usize, stream: Handle) -> Outcome {
    enqueue(to, from, bytes, stream, Returns::Enqueued)
}

/// Copies on the legacy stream, and waits for that and for nothing that was enqueued later.
pub(super) fn copy_and_wait(to: Side, from: Side, bytes: usize) -> Outcome {
    worker::may_wait()?;
    enqueue(to, from, bytes, Handle::NULL, Returns::Done)
}

/// Nothing is enqueued for no bytes.
fn enqueue(to: Side, from: Side, bytes: usize, stream: Handle, returns: Returns) -> Outcome {
    // A memset may be enqueued by a host function, a copy not: seen on a real driver.
    thread::may("copy memory")?;
    let mut state = lock();
    let stream = state.stream_for_work(stream)?;
    if bytes == 0 {
        return Ok(());
    }
    let is_unified = matches!(to, Side::Unified(..));
    let [from_address, to_address] = [from, to].map(Side::address);
    // The host's side is looked at first.
    let (from, to) = match to {
        Side::Host(_) => {
            let to = to.find(&state, bytes)?;
            (from.find(&state, bytes)?, to)
        }
        Side::Device(_) | Side::Unified(..) => (from.find(&state, bytes)?, to.find(&state, bytes)?),
    };
    let to_capture = || NodeWork::Copy { to: to.to_capture(to_address), from: from.to_capture(from_address), bytes };
    if state.captures_work(stream, to_capture) {
        return Ok(());
    }
    let on_hosts = [&from, &to].map(Found::is_on_host);
    let may_be_late = returns == Returns::Enqueued && on_hosts != [true; 2] && pageable::is_async();
    let wait = match (returns, &to) {
        (Returns::Done, _) if on_hosts == [false; 2] => Wait::No,
        (_, Found::Pageable(_)) if !may_be_late => Wait::ForTheCopy,
        // From the host to the host, which only these calls copy, is documented to be synchronous.
        _ if is_unified && on_hosts == [true; 2] => Wait::ForTheCopy,
        (Returns::Done, _) => Wait::UnlessFaulted,
        (Returns::Enqueued, _) if is_too_long_to_stage(&from, bytes) && !may_be_late => Wait::Undocumented,
        (Returns::Enqueued, _) => Wait::No,
    };
    if wait != Wait::No {
        worker::may_wait()?;
    }
    let mut is_read_now = false;
    let from = match from {
        Found::Known(span, _) => Place::Known(span),
        Found::Pageable(memory) if may_be_late => memory.later(),
        Found::Pageable(memory) => {
            state.host_touches(from_address, bytes, Touch::Read);
            is_read_now = true;
            drop(state);
            let copy = memory.read(bytes)?;
            state = lock();
            Place::Known(copy)
        }
    };
    let to = to.later();
    if !is_read_now {
        touch(&mut state, stream, &from, from_address, bytes, Touch::Read);
    }
    touch(&mut state, stream, &to, to_address, bytes, Touch::Write);
    let end = state.submit(stream, None, Work::Run(Job::Copy { from, to, bytes }));
    let reached = state.order.moment(stream).into();
    match wait {
        Wait::No => Ok(()),
        Wait::UnlessFaulted => worker::finish(state, &[end], &reached),
        Wait::Undocumented => worker::wait_unless_faulted(state, &[end]).map(drop),
        Wait::ForTheCopy => {
            let mut state = worker::wait_for(state, &[end])?;
            state.check()?;
            state.learns(&reached);
            Ok(())
        }
    }
}

/// Whether a copy is of more pageable memory than a driver takes along with the call: a real one was seen to
/// wait for what comes before it on the stream. The bound is the one that is documented for other calls.
fn is_too_long_to_stage(from: &Found, bytes: usize) -> bool {
    const MOST_STAGED: usize = 64 << 10;
    matches!(from, Found::Pageable(_)) && bytes > MOST_STAGED
}

/// Takes note of what a copy does with one of its sides.
fn touch(state: &mut State, stream: Serial, place: &Place, address: u64, bytes: usize, touch: Touch) {
    match place {
        Place::Known(_) => state.touches(stream, address, bytes, touch, None),
        Place::Callers(_) => state.touches_pageable(stream, address, bytes, touch),
    }
}

/// What a call waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    No,
    /// The copy, or a fault.
    UnlessFaulted,
    /// The same, but nobody may rely on it.
    Undocumented,
    /// The copy, and not only until a fault: it may be at work on the caller's memory.
    ForTheCopy,
}

/// A copy of a graph whose memory is there.
pub(super) struct ReadyCopy {
    from: (u64, Place),
    to: (u64, Place),
    bytes: usize,
}

impl ReadyCopy {
    /// The memory that a launch is to read: what is pageable and goes to a device, as seen on a real driver.
    pub(super) fn source(state: &State, to: Side, from: Side, bytes: usize) -> Option<HostMemory> {
        let Side::Host(memory) = from else { return None };
        let is_pageable = state.memory.overlapping(memory.address(), bytes).is_none();
        let home = to.device_address().and_then(|address| state.memory.around(address)).map(|(_, allocation)| allocation.home);
        (is_pageable && matches!(home, Some(Home::Device(_))) && !pageable::is_async()).then_some(memory)
    }

    /// `read` is what was read of its source.
    pub(super) fn find(state: &State, to: Side, from: Side, bytes: usize, read: Option<Span>) -> Outcome<Self> {
        let (from_found, to_found) = (from.find(state, bytes)?, to.find(state, bytes)?);
        let from_place = match (from_found, read) {
            (Found::Pageable(_), Some(read)) => Place::Known(read),
            (found, _) => found.later(),
        };
        Ok(Self { from: (from.address(), from_place), to: (to.address(), to_found.later()), bytes })
    }

    pub(super) fn submit(self, state: &mut State, stream: Serial) {
        let Self { from: (from_address, from), to: (to_address, to), bytes } = self;
        if matches!(from, Place::Known(_)) && state.memory.bounds(from_address).is_none() {
            state.host_touches(from_address, bytes, Touch::Read);
        } else {
            touch(state, stream, &from, from_address, bytes, Touch::Read);
        }
        touch(state, stream, &to, to_address, bytes, Touch::Write);
        state.submit(stream, None, Work::Run(Job::Copy { from, to, bytes }));
    }
}

/// Sets memory in stream order.
pub(super) fn fill(target: u64, pattern: Pattern, count: usize, stream: Handle) -> Outcome {
    enqueue_fill(target, pattern, count, stream).map(drop)
}

/// Sets memory on the legacy stream, and waits for that if it is memory of the host.
pub(super) fn fill_and_wait(target: u64, pattern: Pattern, count: usize) -> Outcome {
    match enqueue_fill(target, pattern, count, Handle::NULL)? {
        Some(Filled { home: Home::Host, end, moment }) => worker::finish(lock(), &[end], &moment.into()),
        Some(_) | None => Ok(()),
    }
}

/// A fill that was enqueued.
struct Filled {
    home: Home,
    end: Point,
    moment: Option<Moment>,
}

/// Nothing is enqueued for no bytes.
fn enqueue_fill(target: u64, pattern: Pattern, count: usize, stream: Handle) -> Outcome<Option<Filled>> {
    let size = pattern.size();
    let bytes = count.checked_mul(size).ok_or(codes::INVALID_VALUE)?;
    let mut state = lock();
    let stream = state.stream_for_work(stream)?;
    if bytes == 0 {
        return Ok(None);
    }
    let context = state.streams[&stream].context;
    let found = memory_to_fill(&state, context, target, pattern, bytes);
    // A real driver captures a memset of no memory, too: it is reported here, and a launch is refused.
    if is_aligned(target, pattern) && state.captures_work(stream, || NodeWork::Fill(Fill { target, pattern, count, rows: 1, pitch: 0 })) {
        return Ok(None);
    }
    let (home, memory) = found?;
    state.touches(stream, target, bytes, Touch::Write, None);
    let end = state.submit(stream, None, Work::Run(Job::Fill { target: memory, pattern }));
    Ok(Some(Filled { home, end, moment: state.order.moment(stream) }))
}

fn is_aligned(target: u64, pattern: Pattern) -> bool {
    target.is_multiple_of(pattern.size() as u64)
}

/// The memory of a memset in a context.
fn memory_to_fill(state: &State, context: Serial, target: u64, pattern: Pattern, bytes: usize) -> Outcome<(Home, Span)> {
    if !is_aligned(target, pattern) {
        return Err(codes::INVALID_VALUE);
    }
    let found = device_memory(state, target, bytes)?;
    // Other than a copy.
    if state.memory.around(target).is_some_and(|(_, allocation)| !state.is_reachable(context, allocation)) {
        report::add(Topic::Memory, format_args!("a memset does not reach {target:#x}, which is memory of another device"));
        return Err(codes::INVALID_VALUE);
    }
    Ok(found)
}

/// A memset of a graph whose memory is there: each row.
pub(super) struct ReadyFill {
    rows: Vec<(u64, Span)>,
    pattern: Pattern,
}

impl ReadyFill {
    pub(super) fn find(state: &State, context: Serial, fill: Fill) -> Outcome<Self> {
        let Fill { target, pattern, count, rows, pitch } = fill;
        let bytes = count.checked_mul(pattern.size()).ok_or(codes::INVALID_VALUE)?;
        let row = |row: usize| {
            let offset = row.checked_mul(pitch).ok_or(codes::INVALID_VALUE)?;
            let target = target.checked_add(offset as u64).ok_or(codes::INVALID_VALUE)?;
            Ok((target, memory_to_fill(state, context, target, pattern, bytes)?.1))
        };
        // The last first: there may be more rows than fit into any memory.
        row(rows.saturating_sub(1))?;
        Ok(Self { rows: (0..rows).map(row).collect::<Outcome<_>>()?, pattern })
    }

    pub(super) fn submit(self, state: &mut State, stream: Serial) {
        for (address, target) in self.rows {
            state.touches(stream, address, target.bytes(), Touch::Write, None);
            state.submit(stream, None, Work::Run(Job::Fill { target, pattern: self.pattern }));
        }
    }
}

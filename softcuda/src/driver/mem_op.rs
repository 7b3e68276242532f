//! `cuStreamWaitValue*`, `cuStreamWriteValue*` and batches of them: words in memory that order streams.
//!
//! A write releases, and a wait acquires, what was known when the same word was written. The host may
//! have written it as well, which nobody sees.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::codes::{self, Outcome};
use super::handle::Handle;
use super::job::Job;
use super::memory::{self, Origin};
use super::node::NodeWork;
use super::objects::{Serial, Work};
use super::raw::Topic;
use super::report;
use super::state::{State, lock};
use super::value_operation::{Kind, Operation};
use super::word::{Condition, ValueWait, ValueWrite, Width, Word};

/// One operation of a batch: `CUstreamBatchMemOpParams`, a union, of which a caller has written the words
/// that belong to the operation.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Params([MaybeUninit<u32>; 12]);

const WAIT_32: u32 = 1;
const WRITE_32: u32 = 2;
const FLUSH: u32 = 3;
const WAIT_64: u32 = 4;
const WRITE_64: u32 = 5;
const BARRIER: u32 = 6;

/// How many operations a batch may have.
const MOST: u32 = 255;

/// One operation.
pub(super) fn operate(stream: Handle, operation: Operation) -> Outcome {
    let mut state = lock();
    let stream = state.stream_for_work(stream)?;
    let work = operation.work(&state, state.streams[&stream].context)?;
    if !state.captures_work(stream, || NodeWork::Values([operation].into())) {
        enqueue(&mut state, stream, operation, work);
    }
    Ok(())
}

/// Several operations, in order: all of them, or none if one cannot be.
///
/// # Safety
///
/// `params` is null or an array of `count`, each with all that the documentation has for its operation.
pub(super) unsafe fn batch(stream: Handle, count: u32, params: *const Params, flags: u32) -> Outcome {
    let mut state = lock();
    let stream = state.stream_for_work(stream)?;
    let context = state.streams[&stream].context;
    if params.is_null() || count == 0 || count > MOST || flags != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let mut works = Vec::new();
    for index in 0..count as usize {
        // SAFETY: the array has that many.
        let params = unsafe { params.wrapping_add(index).read() };
        // SAFETY: the caller has written what belongs to the operation.
        if let Some(operation) = unsafe { params.operation() }? {
            works.push((operation, operation.work(&state, context)?));
        }
    }
    if !state.captures_work(stream, || NodeWork::Values(works.iter().map(|(operation, _)| *operation).collect())) {
        for (operation, work) in works {
            enqueue(&mut state, stream, operation, work);
        }
    }
    Ok(())
}

/// Operations of a graph whose words are there.
pub(super) struct ReadyOperations(Vec<(Operation, Work)>);

impl ReadyOperations {
    pub(super) fn find(state: &State, context: Serial, operations: &[Operation]) -> Outcome<Self> {
        let ready = operations.iter().map(|operation| Ok((*operation, operation.work(state, context)?)));
        ready.collect::<Outcome<_>>().map(Self)
    }

    pub(super) fn submit(self, state: &mut State, stream: Serial) {
        for (operation, work) in self.0 {
            enqueue(state, stream, operation, work);
        }
    }
}

fn enqueue(state: &mut State, stream: Serial, operation: Operation, work: Work) {
    let Operation { kind, width, address, .. } = operation;
    match kind {
        Kind::Wait => state.waits_for_value(stream, address, width.bytes()),
        Kind::Write => state.writes_value(stream, address, width.bytes()),
    }
    let point = state.submit(stream, None, work);
    if kind == Kind::Write && !memory::is_device_address(address) {
        // The host may look at the word.
        state.tells(point);
    }
    let is_shared = || state.memory.around(address).is_some_and(|(_, allocation)| allocation.is_shared());
    if kind == Kind::Write && is_shared() {
        // Others may wait for it, and this process would not know.
        state.demand(&[point]);
        state.start_workers(0);
    }
}

impl Params {
    /// # Safety
    ///
    /// The word was written.
    unsafe fn word(self, index: usize) -> u32 {
        // SAFETY: the same promise.
        unsafe { self.0[index].assume_init() }
    }

    /// # Safety
    ///
    /// The two words from `index` were written.
    unsafe fn double_word(self, index: usize) -> u64 {
        // SAFETY: the same promise.
        let (low, high) = (unsafe { self.word(index) }, unsafe { self.word(index + 1) });
        u64::from(low) | u64::from(high) << u32::BITS
    }

    /// What is asked for; nothing for a barrier, which all operations here are anyway.
    ///
    /// # Safety
    ///
    /// The words of the operation were written.
    unsafe fn operation(self) -> Outcome<Option<Operation>> {
        // SAFETY: every operation has its number there.
        let (kind, width) = match unsafe { self.word(0) } {
            WAIT_32 => (Kind::Wait, Width::Bits32),
            WRITE_32 => (Kind::Write, Width::Bits32),
            WAIT_64 => (Kind::Wait, Width::Bits64),
            WRITE_64 => (Kind::Write, Width::Bits64),
            // Of the whole system, or of the device.
            // SAFETY: a barrier has its flags there.
            BARRIER if unsafe { self.word(1) } <= 1 => return Ok(None),
            FLUSH => return Err(codes::NOT_SUPPORTED),
            _ => return Err(codes::INVALID_VALUE),
        };
        // SAFETY: a wait and a write have their address there.
        let address = unsafe { self.double_word(2) };
        let value = match width {
            // SAFETY: and their value here,
            Width::Bits32 => unsafe { self.word(4) }.into(),
            // SAFETY: which may be as long,
            Width::Bits64 => unsafe { self.double_word(4) },
        };
        // SAFETY: and then their flags.
        let flags = unsafe { self.word(6) };
        Ok(Some(Operation { kind, width, address, value, flags }))
    }
}

impl Operation {
    /// The work, if the word is there and the flags are known.
    fn work(self, state: &State, context: Serial) -> Outcome<Work> {
        match self.kind {
            Kind::Wait => {
                let condition = condition(self.flags)?;
                let over = Arc::new(AtomicBool::new(false));
                let wait = ValueWait { word: self.word(state, context)?, condition, value: self.value, over };
                Ok(Work::Run(Job::ValueWait(wait)))
            }
            Kind::Write => {
                // The second form of the functions always has a memory barrier.
                if self.flags != 0 {
                    return Err(codes::INVALID_VALUE);
                }
                Ok(Work::Write(ValueWrite { word: self.word(state, context)?, value: self.value }))
            }
        }
    }

    /// Aligned, live, reached by the stream's device, and neither managed, which is documented not to work,
    /// nor of a pool, which was seen not to.
    fn word(self, state: &State, context: Serial) -> Outcome<Word> {
        let bytes = self.width.bytes();
        if self.address == 0 || !self.address.is_multiple_of(bytes as u64) {
            return Err(codes::INVALID_VALUE);
        }
        let (allocation, span) = state.memory.span(self.address, bytes).ok_or_else(|| {
            report::add(Topic::Memory, format_args!("the word at {:#x} is not in a live allocation", self.address));
            codes::INVALID_VALUE
        })?;
        let is_fit = !matches!(allocation.origin, Origin::Managed | Origin::Pool(_));
        if !is_fit || !state.is_reachable(context, allocation) {
            return Err(codes::INVALID_VALUE);
        }
        Word::new(span, self.width).ok_or(codes::INVALID_VALUE)
    }
}

fn condition(flags: u32) -> Outcome<Condition> {
    /// Remote writes are flushed once the wait is over; no device here has any.
    const FLUSH_AFTERWARDS: u32 = 1 << 30;
    if flags & FLUSH_AFTERWARDS != 0 {
        return Err(codes::NOT_SUPPORTED);
    }
    match flags {
        0 => Ok(Condition::AtLeast),
        1 => Ok(Condition::Equal),
        2 => Ok(Condition::And),
        3 => Ok(Condition::Nor),
        _ => Err(codes::INVALID_VALUE),
    }
}
